package ctnetlink

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

var capture = flag.Bool("capture", false, "write testdata/*.bin anew from this kernel's events, and their descriptions, which are then to be reviewed")

// scene is one kind of traffic whose events are kept as golden datagrams.
type scene struct {
	name  string
	rules []testnet.Rule
	play  func(testing.TB, *testnet.Namespace, testnet.Traffic) error
}

func plays(f func(testnet.Traffic, testing.TB) (int, error)) func(testing.TB, *testnet.Namespace, testnet.Traffic) error {
	return func(tb testing.TB, _ *testnet.Namespace, t testnet.Traffic) error {
		_, err := f(t, tb)
		return err
	}
}

func runs(commands ...[]string) func(testing.TB, *testnet.Namespace, testnet.Traffic) error {
	return func(tb testing.TB, ns *testnet.Namespace, _ testnet.Traffic) error {
		for _, args := range commands {
			ns.Conntrack(tb, args...)
		}
		return nil
	}
}

func scenes() []scene {
	far, server := netip.MustParseAddr("127.99.99.99"), netip.MustParseAddrPort("127.0.0.1:21")
	six := netip.IPv6Loopback()
	udp := plays(func(t testnet.Traffic, tb testing.TB) (int, error) { return t.UDP(tb.Context(), 1, true) })
	ftp := testnet.UseHelper(testnet.Match{Proto: unix.IPPROTO_TCP, DstPort: 21}, "ftp")
	entry := []string{"-I", "-p", "udp", "-s", "192.0.2.1", "-d", "198.51.100.2", "--sport", "1024", "--dport", "53", "--timeout", "60"}
	tuple := []string{"-D", "-p", "udp", "-s", "192.0.2.1", "-d", "198.51.100.2", "--sport", "1024", "--dport", "53"}
	with := func(args []string, more ...string) []string { return append(args[:len(args):len(args)], more...) }
	return []scene{
		{"udp4", nil, udp},
		{"udp6", nil, plays(func(t testnet.Traffic, tb testing.TB) (int, error) { t.Src = six; return t.UDP(tb.Context(), 1, true) })},
		{"udp4-unreplied", nil, plays(func(t testnet.Traffic, tb testing.TB) (int, error) { return t.UDP(tb.Context(), 1, false) })},
		{"tcp4", nil, plays(func(t testnet.Traffic, tb testing.TB) (int, error) { return t.TCP(tb.Context(), 1) })},
		{"tcp6-reset", nil, plays(func(t testnet.Traffic, tb testing.TB) (int, error) { t.Src = six; return t.TCPReset(tb.Context(), 1) })},
		{"icmp", nil, plays(func(t testnet.Traffic, tb testing.TB) (int, error) { return t.ICMP(tb.Context(), 1) })},
		{"icmpv6", nil, plays(func(t testnet.Traffic, tb testing.TB) (int, error) { t.Src = six; return t.ICMP(tb.Context(), 1) })},
		{"sctp", nil, plays(func(t testnet.Traffic, tb testing.TB) (int, error) { return t.SCTP(tb.Context(), 1, false) })},
		{"gre", nil, plays(func(t testnet.Traffic, tb testing.TB) (int, error) { return t.GRE(tb.Context(), 1) })},
		{"esp", nil, plays(func(t testnet.Traffic, tb testing.TB) (int, error) { return t.ESP(tb.Context()) })},
		{"mark-label", []testnet.Rule{testnet.SetMark(testnet.Match{}, 0xcafe), testnet.SetLabel(testnet.Match{}, 77)}, udp},
		{"zone", []testnet.Rule{testnet.SetZone(testnet.Match{}, 42)}, udp},
		{"snat", []testnet.Rule{testnet.SourceNAT(testnet.Match{Dst: netip.MustParseAddr("127.0.0.1")}, netip.MustParseAddr("127.9.9.9"))}, udp},
		{"ftp", []testnet.Rule{ftp}, plays(func(t testnet.Traffic, tb testing.TB) (int, error) {
			t.Port = 21
			return t.FTP(tb.Context(), 1, true)
		})},
		{"ftp-dnat", []testnet.Rule{ftp, testnet.DestinationNAT(testnet.Match{Proto: unix.IPPROTO_TCP, DstPort: 21, Dst: far}, server)},
			plays(func(t testnet.Traffic, tb testing.TB) (int, error) {
				t.Src, t.Dst, t.Port, t.Listen = server.Addr(), far, 21, server
				return t.FTP(tb.Context(), 1, false)
			})},
		{"churn", nil, func(tb testing.TB, ns *testnet.Namespace, _ testnet.Traffic) error {
			_, err := testnet.Churn{NS: ns, Entries: 6, Mark: 5, Update: true}.Run(tb.Context())
			return err
		}},
		{"ftp-waiting", []testnet.Rule{ftp}, plays(func(t testnet.Traffic, tb testing.TB) (int, error) {
			t.Port = 21
			return t.FTP(tb.Context(), 1, false)
		})},
		{"command", nil, runs(with(entry, "--mark", "9", "--zone", "7"), with(tuple, "--zone", "7"))},
		{"command-orig-zone", nil, runs(with(entry, "--orig-zone", "7"), with(tuple, "--orig-zone", "7"))},
	}
}

// TestScenes decodes every event and dump of every scene as this kernel makes
// them today; with -capture it writes them as golden datagrams.
func TestScenes(t *testing.T) { both(t, testScenes) }

func testScenes(t *testing.T, via Receive) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			ns := quiet(t, netip.MustParseAddr("127.9.9.9"))
			if err := ns.Lay(s.rules...); err != nil {
				t.Fatal(err)
			}
			l := listen(t, ns, Config{Receive: via, Groups: allGroups, Buffer: 1 << 20})
			if err := s.play(t, ns, testnet.Traffic{NS: ns}); err != nil {
				t.Fatal(err)
			}
			n := save(t, s.name, l)
			saveDump(t, s.name, ns)
			// What is left ends now, so that every scene has its DESTROY.
			ns.Conntrack(t, "-F")
			if n += save(t, s.name+"-flushed", l); n < 2 {
				t.Errorf("%d events", n)
			}
		})
	}
}

// save keeps every datagram that waits.
func save(t *testing.T, scene string, l *Listener) int {
	t.Helper()
	got, err := l.recv.next()
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range got {
		keep(t, fmt.Sprintf("%s-%d", scene, i+1), d.data)
	}
	return len(got)
}

// saveDump keeps the first datagram of a dump.
func saveDump(t *testing.T, scene string, ns *testnet.Namespace) {
	t.Helper()
	c := dialNS(t, ns)
	for _, table := range []flow.Table{flow.TableConntrack, flow.TableExpect} {
		q, err := (&dumpOptions{}).request(table, DumpFilter{})
		if err == nil {
			err = errors.Join(c.sock.send(q), c.sock.fill(t.Context(), q))
		}
		if err != nil {
			t.Fatal(err)
		}
		if m, _, err := cutMessage(c.sock.rest); err == nil && m.kind != unix.NLMSG_DONE {
			keep(t, fmt.Sprintf("%s-dump-%s", scene, table), c.sock.rest)
		}
		c.sock.rest = nil
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c = dialNS(t, ns)
	}
}

// keep decodes a datagram and, if asked, writes it and what the decoder makes of it.
func keep(t *testing.T, name string, p []byte) {
	t.Helper()
	text, err := golden(p)
	if err != nil {
		t.Fatalf("%s: %v: %x", name, err, p)
	}
	if !*capture {
		return
	}
	path := filepath.Join("testdata", name)
	if err := errors.Join(os.WriteFile(path+".bin", p, 0o644), os.WriteFile(path+".txt", []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}
