package conntrack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

// banner is what the oracle prints in front of its messages: no other version
// of conntrack may judge the grammar.
const banner = "conntrack v1.4.7 (conntrack-tools)"

// labelled runs conntrack in a mount namespace of its own that has labels in
// connlabel.conf.
const labelled = `e=$(mktemp -d) && cp /etc/ld.so.cache /etc/protocols /etc/nsswitch.conf "$e"
mount -t tmpfs none /etc && cp "$e"/* /etc/ && rm -r "$e" && mkdir /etc/xtables &&
printf '0 zero\n1 one\n2 two\n' >/etc/xtables/connlabel.conf && exec conntrack "$@"`

type oracle struct {
	ns     *testnet.Namespace
	parser Parser
}

func newOracle(t *testing.T) *oracle {
	t.Helper()
	out, err := exec.Command("conntrack", "-V").Output()
	if err != nil || strings.TrimSpace(string(out)) != banner {
		testnet.Unavailable(t, "the oracle is %s; here is %q (%v)", banner, out, err)
	}
	protocols, err := os.ReadFile("/etc/protocols")
	if err != nil {
		testnet.Unavailable(t, "protocol names: %v", err)
	}
	names := ProtocolNames(string(protocols))
	labels := LabelNames("0 zero\n1 one\n2 two\n")
	return &oracle{ns: testnet.New(t), parser: Parser{
		Protocol: func(s string) (uint8, bool) { n, ok := names[s]; return n, ok },
		Label:    func(s string) bool { _, ok := labels[s]; return ok },
	}}
}

// verdict is what the tool says to a command line: its message if it refuses
// the line as such, and "" if it goes to work.
func (o *oracle) verdict(t *testing.T, argv []string, stdin string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "conntrack", argv...)
	if strings.Contains(strings.Join(argv, " ")+stdin, "-l") {
		cmd = exec.CommandContext(ctx, "unshare", append([]string{"-m", "sh", "-c", labelled, "sh"}, argv...)...)
	}
	var stderr bytes.Buffer
	cmd.Stderr, cmd.Stdin = &stderr, strings.NewReader(stdin)
	if err := o.ns.Start(cmd); err != nil {
		t.Fatalf("conntrack %q: %v", argv, err)
	}
	if o.mayListen(argv) {
		timer := time.AfterFunc(200*time.Millisecond, cancel) // it listens until it is ended
		defer timer.Stop()
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("conntrack %q: %v", argv, err)
	}
	return judge(cmd.ProcessState.ExitCode(), stderr.String())
}

// mayListen reports whether the tool may wait for events: it is given all the
// time it needs to refuse what we refuse in its words.
func (o *oracle) mayListen(argv []string) bool {
	words := " " + strings.Join(argv, " ")
	ours, id := verdictOf(o.parser.Parse(argv))
	return (strings.Contains(words, " -E") || strings.Contains(words, " --ev")) && (ours == "" || id != "")
}

// judge finds the tool's complaint about a line. A message with exit code 1
// that is not about the kernel's answer is one too; that a file cannot be
// opened is none.
func judge(code int, stderr string) string {
	for text := range strings.Lines(stderr) {
		message, ok := strings.CutPrefix(strings.TrimSuffix(text, "\n"), banner+": ")
		if strings.HasPrefix(message, "Failed to open file") {
			return ""
		}
		if ok && (code == 2 || code == 1 && strings.HasPrefix(message, "cannot ")) {
			return fmt.Sprint(code, " ", message)
		}
	}
	if code == 2 {
		return "2 " + stderr
	}
	return ""
}

func TestAgainstConntrack(t *testing.T) {
	o := newOracle(t)
	seen := map[string]bool{}
	lines := corpus(t)
	for _, l := range lines {
		if l.difference != "" {
			seen[l.difference] = true
		}
		o.compare(t, l)
	}
	if len(lines) < 300 {
		t.Errorf("the corpus has %d lines, expected 300", len(lines))
	}
	for _, d := range Differences() {
		if !seen[d.ID] && d.ID != "load-quotes" && d.ID != "load-expect" { // which TestLinesAgainstConntrack shows
			t.Errorf("no line of the corpus shows difference %q", d.ID)
		}
	}
}

func (o *oracle) compare(t *testing.T, l corpusLine) {
	t.Helper()
	theirs := o.verdict(t, l.argv, "")
	ours, id := verdictOf(o.parser.Parse(l.argv))
	switch {
	case l.difference == "" && ours != theirs:
		t.Errorf("%s\n   ours %q (%s)\n theirs %q", l.text, ours, id, theirs)
	case id != "" && id != l.difference:
		t.Errorf("%s\n   refused for %q, the corpus says %q: %s", l.text, id, l.difference, ours)
	}
}

func verdictOf(_ *Command, err error) (text, difference string) {
	var u *UsageError
	if !errors.As(err, &u) {
		return "", ""
	}
	return fmt.Sprint(u.Code, " ", u.Message), u.Difference
}
