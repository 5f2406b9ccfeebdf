package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

// listener is one -E of either tool.
type listener struct {
	cmd       *exec.Cmd
	out, diag bytes.Buffer
}

// listen starts one and waits until it has joined its groups.
func listen(t *testing.T, ns *testnet.Namespace, path string, argv []string) *listener {
	t.Helper()
	l := &listener{cmd: exec.Command(path, argv...)}
	l.cmd.Args[0] = "conntrack"
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.diag
	before := joined(t, ns)
	if err := ns.Start(l.cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.cmd.Process.Kill() })
	waitFor(t, fmt.Sprintf("%s %q to listen", path, argv), func() bool { return joined(t, ns) > before })
	return l
}

// joined counts the sockets that are in one of ctnetlink's groups.
func joined(t *testing.T, ns *testnet.Namespace) (n int) {
	t.Helper()
	err := ns.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/netlink")
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 4 && f[1] == "12" && f[3] != "00000000" {
				n++
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// end interrupts it, once it sleeps: the oracle writes a line twice that is cut
// short by the signal.
func (l *listener) end(t *testing.T) outcome {
	t.Helper()
	waitFor(t, "the listener to sleep", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.cmd.Process.Pid))
		return err != nil || strings.Contains(string(stat), ") S ")
	})
	if err := l.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := l.cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{l.out.String(), l.diag.String(), l.cmd.ProcessState.ExitCode()}
}

// eventLines are command lines of -E.
var eventLines = []string{
	"-E", "-E -o extended", "-E -o id", "-E -o timestamp", "-E -o ktimestamp", "-E -o userspace", "-E -o save", "-E -o xml",
	"-E -o extended,id,timestamp,ktimestamp", "-E -o xml,extended,id,timestamp,ktimestamp",
	"-E -e NEW", "-E -e UPDATES,DESTROY", "-E -e ALL", "-E -b 4000000", "-E -p tcp", "-E -p tcp --state ESTABLISHED", "-E -p udp --dport 8002",
	"-E -f ipv6", "-E -s 127.0.0.1", "-E -s 10.0.0.0/8", "-E -s ::1 -o extended", "-E -m 7", "-E -w 17", "-E -n -p tcp", "-E -g -p udp", "-E -r 10.0.0.2",
	"-E expect", "-E expect -o xml", "-E expect -o timestamp",
}

// TestParityEvents has both tools listen side by side to the same traffic: they
// print the same lines, a flow's in their order.
func TestParityEvents(t *testing.T) {
	s := newStage(t)
	path := asName(t, "conntrack")
	type pair struct{ theirs, ours *listener }
	var pairs []pair
	for _, words := range eventLines {
		argv := strings.Fields(words)
		pairs = append(pairs, pair{listen(t, s.ours, s.oracle, argv), listen(t, s.ours, path, argv)})
	}
	s.slowTraffic(t)
	time.Sleep(300 * time.Millisecond)
	total := 0
	for i, p := range pairs {
		theirs, ours := p.theirs.end(t), p.ours.end(t)
		if strings.Contains(theirs.stderr, "WARNING") {
			t.Errorf("conntrack %s lost events: the machine is too busy for its buffer", eventLines[i])
			continue
		}
		if problem := compareEvents(eventLines[i], theirs, ours); problem != "" {
			t.Errorf("conntrack %s\n%s", eventLines[i], problem)
		}
		total += strings.Count(ours.stdout, "\n")
	}
	if total < 1000 {
		t.Errorf("%d lines are too few to tell anything", total)
	}
	t.Logf("%d lines of %d listeners", total, len(pairs))
}

// slowTraffic makes flows of every kind, slowly: the oracle's socket has room
// for 166 events and no more.
func (s *stage) slowTraffic(t *testing.T) {
	t.Helper()
	const every = 8 * time.Millisecond
	ns, ctx := s.ours, t.Context()
	to := func(port uint16) testnet.Traffic { return testnet.Traffic{NS: ns, Port: port, Every: every} }
	redirected := to(8002)
	redirected.Listen = netip.MustParseAddrPort("127.0.0.1:8003")
	_, mixed := (testnet.Mix{NS: ns, Flows: 30, Over: 30 * every}).Run(ctx)
	failed := []error{mixed}
	for _, send := range []func() (int, error){
		func() (int, error) { return to(0).GRE(ctx, 2) },
		func() (int, error) { return to(8001).TCP(ctx, 3) },
		func() (int, error) { return redirected.UDP(ctx, 3, true) },
		func() (int, error) { return to(21).FTP(ctx, 2, true) },
		func() (int, error) { return to(21).FTP(ctx, 1, false) },
	} {
		_, err := send()
		failed = append(failed, err)
	}
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{
		"-I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1001 --dport 80 -t 400 -m 7", "-U -s 10.0.0.1 -p udp -m 9", "-U -s 10.0.0.1 -t 300 -m 7",
		"-I -p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 5 --dport 6 --state ESTABLISHED -t 99 -w 17 -n 10.0.0.7", "-D -s 10.0.0.1",
		"-D -p tcp", "-D -p icmp", "-F expect", "-F",
	} {
		tool(s.oracle, "conntrack")(t, ns, &parityLine{argv: strings.Fields(words)}, false)
		time.Sleep(5 * every)
	}
}

var flowOfLine = []*regexp.Regexp{
	regexp.MustCompile(`<layer3.*?</layer4>`),                                                            // XML of either table
	regexp.MustCompile(`(?:^| )-s \S+ -d \S+ .*-p \w+(?: --(?:sport|dport|icmp\S+|srckey|dstkey) \S+)*`), // -o save
	regexp.MustCompile(`src=\S+ dst=\S+ (?:sport=\S+ dport=\S+|srckey=\S+ dstkey=\S+|type=\d+ code=\d+ id=\d+)?`),
}

// flowOfText is what of a line names the flow, so that the lines of each can be
// compared in their order.
func flowOfText(line string) string {
	for _, p := range flowOfLine {
		if s := p.FindString(line); s != "" {
			return s
		}
	}
	return ""
}

// cutLine is the length at which the oracle cuts a line (encode.TextDifferences:
// long-line).
const cutLine = 1023

func compareEvents(words string, theirs, ours outcome) string {
	theirs.stderr, ours.stderr = bannerPattern.ReplaceAllString(theirs.stderr, "BANNER"), bannerPattern.ReplaceAllString(ours.stderr, "BANNER")
	if theirs.code != ours.code || theirs.stderr != ours.stderr {
		return fmt.Sprintf("exit code %d, ours %d\n--- conntrack\n%s--- ours\n%s", theirs.code, ours.code, theirs.stderr, ours.stderr)
	}
	a, b := byFlow(theirs.stdout), byFlow(ours.stdout)
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) {
			return fmt.Sprintf("%d lines, ours %d", len(a), len(b))
		}
		long := len(strayPat.ReplaceAllString(a[i], "$1")) >= cutLine
		theirLine, an := normal(a[i], true)
		ourLine, bn := normal(b[i], false)
		if long {
			theirLine, _, _ = strings.Cut(theirLine, "<when")
			ourLine = ourLine[:min(len(ourLine), len(theirLine))]
		}
		if theirLine != ourLine || !near(an, bn, closely) {
			return fmt.Sprintf("line %d\n--- conntrack\n%s\n--- ours\n%s", i, a[i], b[i])
		}
	}
	return ""
}

// byFlow puts the lines of a flow together, in their order.
func byFlow(text string) []string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(flowOfText(a), flowOfText(b)) })
	return lines
}
