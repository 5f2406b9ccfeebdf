package frontend

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTarget(t *testing.T) {
	for line, want := range map[string]Target{
		"-L":                                      {},
		"-L --node a":                             {Nodes: []string{"a"}},
		"-L --node=a,b --node b,c":                {Nodes: []string{"a", "b", "c"}},
		"-L --fleet --site x --wait 5s":           {Fleet: true, Site: "x", Wait: 5 * time.Second},
		"--netns n -L":                            {NetNS: "n"},
		"-L --node a --server u --creds f":        {Nodes: []string{"a"}, Server: "u", Creds: "f"},
		"-L --node a --nats-context c --config g": {Nodes: []string{"a"}, Context: "c", Config: "g"},
		"-D --dry-run --limit 7 -p tcp":           {DryRun: true, Limit: 7},
	} {
		got := runLine(Local(&script{}, nil), "", strings.Fields(line)...)
		if !reflect.DeepEqual(got.target, want) {
			t.Errorf("%s: %+v, expected %+v", line, got.target, want)
		}
	}
}

func TestTargetRefusals(t *testing.T) {
	for line, want := range map[string]string{
		"-L --node a --fleet": "cannot specify `--node' with `--fleet'",
		"-L --node a,":        "Bad value `a,' for `--node'",
		"-L --server x":       "options of the connection need `--node' or `--fleet'",
		"-L --fleet --wait 0": "Bad value `0' for `--wait'",
		"-L --fleet --wait x": "expected a duration such as 5s",
		"-L --limit 0":        "Bad value `0' for `--limit'",
		"-L --node":           "option `--node' requires an argument",
		"-F --limit 5":        "Illegal option `--limit' with this command",
		"-C --limit 5":        "Illegal option `--limit'",
		"-E --limit 5":        "Illegal option `--limit'",
		"-G --limit 5 -p 50 -s 1.1.1.1 -d 2.2.2.2":        "Illegal option `--limit'",
		"-A --limit 5 -p 50 -s 1.1.1.1 -d 2.2.2.2 -t 1":   "Illegal option `--limit'",
		"-D expect --limit 5 -p 50 -s 1.1.1.1 -d 2.2.2.2": "Illegal option `--limit'",
		"-L -c 5": "`--secmark' cannot be carried out",
	} {
		got := runLine(Local(&script{}, nil), "", strings.Fields(line)...)
		if got.code != exitUsage || !strings.Contains(got.errOut, want) || !strings.Contains(got.errOut, "Try `ctferry -h'") {
			t.Errorf("%s: %+v", line, got)
		}
	}
	if got := runLine(nil, "", "-L"); got.code != exitFailed || !strings.Contains(got.errOut, "nobody is there") {
		t.Errorf("%+v", got)
	}
}

// TestHelp asks nobody for help.
func TestHelp(t *testing.T) {
	for line, want := range map[string]string{
		"":          "Usage: ctferry COMMAND",
		"-h":        "--node NAME",
		"-h -p tcp": "--sport, --orig-port-src",
		"-V":        "ctferry v1.2.3 (ctferry)\n",
		"-h -p esp": "Usage: ctferry",
		"--help":    "--dry-run",
	} {
		got := runLine(nil, "", strings.Fields(line)...)
		if got.code != exitOK || got.errOut != "" || !strings.Contains(got.out, want) {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestDifferencesAreWellFormed(t *testing.T) {
	ds := Differences()
	if !slices.IsSortedFunc(ds, func(a, b Difference) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("not in the order of their IDs")
	}
	for _, d := range ds {
		if d.ID == "" || d.Tool == "" || d.Ours == "" || d.Why == "" || d.Example == "" {
			t.Errorf("%+v: a field is empty", d)
		}
	}
}
