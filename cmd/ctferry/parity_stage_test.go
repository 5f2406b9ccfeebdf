package main

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
)

// oracleVersion is the conntrack that the suite compares with: another one
// prints other lines.
const oracleVersion = "conntrack v1.4.7 (conntrack-tools)"

// oracle finds conntrack(8), or skips.
func oracle(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("conntrack")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/conntrack")
	}
	if err != nil {
		testnet.Unavailable(tb, "conntrack(8) is not installed: %v", err)
	}
	out, err := exec.Command(path, "-V").Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != oracleVersion {
		testnet.Unavailable(tb, "the oracle is %s, this is %q: %v", oracleVersion, got, err)
	}
	return path
}

// outcome is what became of a command line.
type outcome struct {
	stdout, stderr string
	code           int
}

// runner carries out command lines of conntrack on the tables of a namespace,
// by one tool or the other, from here or over NATS.
type runner func(tb testing.TB, ns *testnet.Namespace, l *parityLine, labels bool) outcome

// connlabels are the labels that both tools know where a group says so.
const connlabels = "0 zero\n1 one\n2 two\n65 sixty-five\n127 last\n"

// inLabels runs a command in a mount namespace of its own that has labels in
// connlabel.conf.
const inLabels = `mkdir -p /etc/xtables && mount -t tmpfs none /etc/xtables && printf '` + connlabels + `' >/etc/xtables/connlabel.conf && exec "$@"`

// tool makes a runner of a program that is told name as its own.
func tool(path, name string) runner {
	return func(tb testing.TB, ns *testnet.Namespace, l *parityLine, labels bool) outcome {
		ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, l.argv...)
		cmd.Args[0] = name
		if labels {
			cmd = exec.CommandContext(ctx, "unshare", append([]string{"-m", "sh", "-c", inLabels, "sh", path}, l.argv...)...)
		}
		var out, diag bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(l.stdin), &out, &diag
		err := ns.Run(cmd)
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			tb.Errorf("%s %q: %v", path, l.argv, err)
			return outcome{code: -1}
		}
		return outcome{out.String(), diag.String(), cmd.ProcessState.ExitCode()}
	}
}

// stage is two namespaces that are the same, one for each tool.
type stage struct {
	theirs, ours *testnet.Namespace
	oracle       string
	filling      time.Duration // what the last fill took

	passes func(*parityLine) bool // nil: no line passes that differs and is not marked
}

func newStage(tb testing.TB) *stage {
	tb.Helper()
	s := &stage{oracle: oracle(tb), theirs: testnet.New(tb), ours: testnet.New(tb)}
	source := netip.MustParseAddr("192.0.2.77")
	for _, ns := range []*testnet.Namespace{s.theirs, s.ours} {
		if err := errors.Join(ns.Up(source), ns.Record(), lasting(ns), ns.Lay(parityRules(source)...)); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

// lasting keeps real flows until a group that works on them is through, which may take
// longer than their own 3 to 30 seconds.
func lasting(ns *testnet.Namespace) error {
	for _, of := range []string{"sctp_timeout_closed", "sctp_timeout_shutdown_sent", "sctp_timeout_shutdown_recd", "sctp_timeout_shutdown_ack_sent",
		"tcp_timeout_close", "tcp_timeout_last_ack", "udp_timeout", "icmp_timeout", "icmpv6_timeout", "gre_timeout", "generic_timeout"} {
		if err := ns.Sysctl("net.netfilter.nf_conntrack_"+of, "600"); err != nil {
			return err
		}
	}
	return nil
}

// parityRules give traffic a helper, marks, labels, zones and translations.
func parityRules(source netip.Addr) []testnet.Rule {
	home := netip.MustParseAddr("127.0.0.1")
	return []testnet.Rule{
		testnet.UseHelper(testnet.Match{Proto: unix.IPPROTO_TCP, DstPort: 21}, "ftp"),
		testnet.SetMark(testnet.Match{Proto: unix.IPPROTO_ICMP}, 0xdeadbeef),
		testnet.SetMark(testnet.Match{Proto: unix.IPPROTO_UDP, Src: home}, 3),
		testnet.SetLabel(testnet.Match{Proto: unix.IPPROTO_ICMPV6}, 65),
		testnet.SetZone(testnet.Match{Proto: unix.IPPROTO_SCTP}, 17),
		testnet.SourceNAT(testnet.Match{Proto: unix.IPPROTO_TCP, Dst: home, DstPort: 8001}, source),
		testnet.Redirect(testnet.Match{Proto: unix.IPPROTO_UDP, Dst: home, DstPort: 8002}, 8003),
		testnet.Track(),
	}
}

// both does something in both namespaces at once.
func (s *stage) both(do func(ns *testnet.Namespace)) {
	var two sync.WaitGroup
	for _, ns := range []*testnet.Namespace{s.theirs, s.ours} {
		two.Go(func() { do(ns) })
	}
	two.Wait()
}

// fill empties the tables of both namespaces and fills them as the group says.
func (s *stage) fill(tb testing.TB, g *parityGroup) {
	tb.Helper()
	begun := time.Now()
	defer func() { s.filling = time.Since(begun) }()
	run := tool(s.oracle, "conntrack")
	s.both(func(ns *testnet.Namespace) {
		run(tb, ns, &parityLine{argv: []string{"-F", "expect"}}, false)
		for _, setup := range g.fillers() {
			if o := run(tb, ns, &setup, g.labels); o.code != 0 {
				tb.Errorf("%s: setup %q: %+v", g.name, setup.argv, o)
			}
		}
		if g.traffic {
			parityTraffic(tb, ns)
		}
	})
}

// fillers are the lines that empty the conntrack table and fill it: one file,
// but with labels, with which the oracle's -R crashes.
func (g *parityGroup) fillers() []parityLine {
	if !g.labels {
		return []parityLine{{argv: []string{"-R", "-"}, stdin: "-F\n" + strings.Join(g.setup, "\n") + "\n"}}
	}
	all := []parityLine{{argv: []string{"-F"}}}
	for _, words := range g.setup {
		all = append(all, parityLine{argv: strings.Fields(words)})
	}
	return all
}

// parityTraffic makes the same flows in every namespace it is called for.
func parityTraffic(tb testing.TB, ns *testnet.Namespace) {
	ctx := tb.Context()
	to := func(port uint16) testnet.Traffic { return testnet.Traffic{NS: ns, Port: port} }
	redirected, ftp6 := to(8002), to(21)
	redirected.Listen = netip.MustParseAddrPort("127.0.0.1:8003")
	ftp6.Src = netip.IPv6Loopback()
	_, mixed := (testnet.Mix{NS: ns, Flows: 40}).Run(ctx)
	failed := []error{mixed}
	for _, make := range []func() (int, error){
		func() (int, error) { return to(0).GRE(ctx, 2) },
		func() (int, error) { return to(0).ESP(ctx) },
		func() (int, error) { return to(8001).TCP(ctx, 2) },
		func() (int, error) { return redirected.UDP(ctx, 2, true) },
		func() (int, error) { return to(21).FTP(ctx, 2, false) },
		func() (int, error) { return to(21).FTP(ctx, 1, true) },
		func() (int, error) { return ftp6.FTP(ctx, 2, false) },
	} {
		_, err := make()
		failed = append(failed, err)
	}
	if err := errors.Join(failed...); err != nil {
		tb.Errorf("traffic: %v", err)
	}
}

// tables lists both tables of a namespace, by the oracle.
func (s *stage) tables(tb testing.TB, ns *testnet.Namespace, labels bool) string {
	run := tool(s.oracle, "conntrack")
	all := ""
	if labels {
		return run(tb, ns, &parityLine{argv: []string{"-L", "-o", "extended,labels"}}, true).stdout
	}
	for _, argv := range [][]string{{"-L", "-o", "extended"}, {"-L", "expect"}, {"-L", "expect", "-f", "ipv6"}} {
		all += run(tb, ns, &parityLine{argv: argv}, false).stdout
	}
	return all
}
