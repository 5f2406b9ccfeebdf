package frontend

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
)

// Target is where a command line is to be carried out and how: what this
// program's own options say. The zero Target is this host.
type Target struct {
	Nodes []string // over NATS, in the order of the line
	Fleet bool     // every node that answers
	NetNS string   // a namespace of the host, by its name there; "" is the host's own

	Server, Creds, Context string        // how to reach NATS: URLs, a credentials file, a context of the nats command
	Config                 string        // a configuration file that tells the connection
	Site                   string        // "" is the default
	Wait                   time.Duration // for nodes to answer; 0 is the default

	DryRun bool // tell what would be touched, and touch nothing
	Limit  int  // -L: rows at most; -D and -U: refuse to touch more; 0 is none
}

// Remote reports whether the target is not this host.
func (t *Target) Remote() bool { return t.Fleet || len(t.Nodes) > 0 }

// Extra are this program's own options, for a conntrack.Parser. --timeout is
// conntrack's, so the time to wait for nodes is called --wait.
func Extra() []conntrack.Extra {
	return []conntrack.Extra{
		{Name: "node", Value: true}, {Name: "fleet"}, {Name: "netns", Value: true}, {Name: "server", Value: true}, {Name: "creds", Value: true},
		{Name: "nats-context", Value: true}, {Name: "config", Value: true}, {Name: "site", Value: true}, {Name: "wait", Value: true},
		{Name: "dry-run"}, {Name: "limit", Value: true},
	}
}

const extraUsage = `
Where (options of ctferry's own, on any line)
      --node NAME[,NAME]...          on these nodes, over NATS
      --fleet                        on every node that answers
      --netns NAME                   in a network namespace of the host
      --server URL[,URL]...          how to reach NATS; else from the environment or the configuration
      --creds FILE, --nats-context NAME, --config FILE
      --site NAME                    the nodes' site
      --wait DURATION                for nodes to answer, such as 5s
      --dry-run                      tell what would be touched, and touch nothing
      --limit N                      list at most N; delete and update no more than N
`

// newTarget reads the options of a line; the last of one that takes one value
// holds, as with conntrack's own.
func newTarget(extra []conntrack.ExtraValue) (Target, error) {
	var t Target
	for _, x := range extra {
		if err := t.take(x); err != nil {
			return t, err
		}
	}
	switch {
	case t.Fleet && len(t.Nodes) > 0:
		return t, wrong("cannot specify `--node' with `--fleet'")
	case !t.Remote() && (t.Server != "" || t.Creds != "" || t.Context != "" || t.Site != "" || t.Wait != 0 || t.Config != ""):
		return t, wrong("options of the connection need `--node' or `--fleet'")
	}
	return t, nil
}

func (t *Target) take(x conntrack.ExtraValue) error {
	text := map[string]*string{
		"netns": &t.NetNS, "server": &t.Server, "creds": &t.Creds, "nats-context": &t.Context, "config": &t.Config, "site": &t.Site,
	}
	switch x.Name {
	case "node":
		return t.node(x.Value)
	case "fleet":
		t.Fleet = true
	case "dry-run":
		t.DryRun = true
	case "wait":
		d, err := time.ParseDuration(x.Value)
		if err != nil || d <= 0 {
			return wrong("Bad value `%s' for `--wait': expected a duration such as 5s", x.Value)
		}
		t.Wait = d
	case "limit":
		n, err := strconv.ParseInt(x.Value, 10, 64)
		if err != nil || n < 1 || n > math.MaxInt32 {
			return wrong("Bad value `%s' for `--limit': expected a number from 1 to %d", x.Value, math.MaxInt32)
		}
		t.Limit = int(n)
	default:
		*text[x.Name] = x.Value
	}
	return nil
}

// node adds names; a name that comes twice is one node.
func (t *Target) node(list string) error {
	for name := range strings.SplitSeq(list, ",") {
		if name == "" {
			return wrong("Bad value `%s' for `--node': expected names, with commas between them", list)
		}
		if !slices.Contains(t.Nodes, name) {
			t.Nodes = append(t.Nodes, name)
		}
	}
	return nil
}

func wrong(format string, args ...any) error {
	return &conntrack.UsageError{Message: fmt.Sprintf(format, args...), Code: exitUsage}
}
