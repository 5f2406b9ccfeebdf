package testnet

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	addr4 = netip.MustParseAddr("10.77.0.1")
	addr6 = netip.MustParseAddr("2001:db8:77::1")
)

// tracked is a namespace with tracking on, ready for traffic.
func tracked(t testing.TB, rules ...Rule) *Namespace {
	t.Helper()
	ns := New(t)
	err := errors.Join(ns.Up(addr4, addr6, netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("2001:db8:77::2")), ns.Record())
	if err == nil {
		err = ns.Lay(append(rules, Track())...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func TestTraffic(t *testing.T) {
	flows := func(f func(Traffic, context.Context, int) (int, error), n int) func(Traffic, context.Context) (int, error) {
		return func(tr Traffic, ctx context.Context) (int, error) { return f(tr, ctx, n) }
	}
	for name, c := range map[string]struct {
		make func(Traffic, context.Context) (int, error)
		want int
		all4 []string // words in each line of conntrack -L
		all6 []string
	}{
		"tcp":       {flows(Traffic.TCP, 7), 7, []string{"tcp ", "TIME_WAIT", "ASSURED"}, nil},
		"tcp reset": {flows(Traffic.TCPReset, 6), 6, []string{"tcp ", "CLOSE "}, nil},
		"udp echo":  {func(tr Traffic, ctx context.Context) (int, error) { return tr.UDP(ctx, 9, true) }, 9, []string{"udp ", "packets=1 bytes=34 src="}, []string{"udp ", "packets=1 bytes=54 src="}},
		"udp":       {func(tr Traffic, ctx context.Context) (int, error) { return tr.UDP(ctx, 8, false) }, 8, []string{"udp ", "UNREPLIED"}, nil},
		"icmp":      {flows(Traffic.ICMP, 5), 5, []string{"icmp ", "type=8 code=0", "type=0 code=0"}, []string{"icmpv6 ", "type=128 code=0", "type=129 code=0"}},
		"sctp":      {func(tr Traffic, ctx context.Context) (int, error) { return tr.SCTP(ctx, 4, false) }, 4, []string{"sctp ", "ESTABLISHED", "ASSURED"}, nil},
		"sctp shut": {func(tr Traffic, ctx context.Context) (int, error) { return tr.SCTP(ctx, 3, true) }, 3, []string{"sctp ", "CLOSED"}, nil},
		"udplite":   {flows(Traffic.UDPLite, 6), 6, []string{"udplite ", "UNREPLIED"}, nil},
		"gre":       {flows(Traffic.GRE, 5), 5, []string{"gre ", "srckey=", "dstkey="}, nil},
		"esp":       {Traffic.ESP, 1, []string{"unknown ", " 50 "}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, src := range []netip.Addr{addr4, addr6} {
				ns := tracked(t)
				made, err := c.make(Traffic{NS: ns, Src: src}, t.Context())
				if errors.Is(err, unix.EPROTONOSUPPORT) {
					Unavailable(t, "the kernel lacks it: %v", err)
				}
				if err != nil || made != c.want {
					t.Fatalf("from %s: %d flows, expected %d: %v", src, made, c.want, err)
				}
				words, family := c.all4, "ipv4"
				if src.Is6() {
					family = "ipv6"
					if c.all6 != nil {
						words = c.all6
					}
				}
				got := ns.Conntrack(t, "-L", "-f", family)
				if grep(got, words...) != made || ns.ConntrackCount(t) != made {
					t.Errorf("from %s: expected %d entries with %q and no other, found %q", src, made, words, got)
				}
			}
		})
	}
}

func TestTrafficBetweenTwoAddresses(t *testing.T) {
	ns := tracked(t)
	tr := Traffic{NS: ns, Src: addr4, Dst: netip.MustParseAddr("10.77.0.2"), Port: 8080}
	if n, err := tr.SCTP(t.Context(), 3, false); err != nil || n != 3 {
		t.Fatalf("sctp: %d, %v", n, err)
	}
	if n, err := tr.TCP(t.Context(), 3); err != nil || n != 3 {
		t.Fatalf("tcp: %d, %v", n, err)
	}
	got := ns.Conntrack(t, "-L")
	for _, proto := range []string{"sctp ", "tcp "} {
		if n := grep(got, proto, "src=10.77.0.1 dst=10.77.0.2", "dport=8080", "src=10.77.0.2 dst=10.77.0.1"); n != 3 {
			t.Errorf("%s: %d of 3 between the two addresses: %q", proto, n, got)
		}
	}
}

func TestTrafficEvents(t *testing.T) {
	ns := tracked(t)
	events := listen(t, ns)
	if _, err := (Traffic{NS: ns}).TCP(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	seen := events(60)
	for _, state := range []string{"SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "LAST_ACK", "TIME_WAIT"} {
		if n := grep(seen, state); n != 10 {
			t.Errorf("%s: %d events, expected 10", state, n)
		}
	}
}

func TestTrafficIsBounded(t *testing.T) {
	ns := tracked(t)
	for _, n := range []int{-1, MaxFlows + 1} {
		if _, err := (Traffic{NS: ns}).UDP(t.Context(), n, true); err == nil {
			t.Errorf("%d flows were accepted", n)
		}
	}
	if _, err := (Traffic{NS: ns, Src: addr4, Dst: addr6}).TCP(t.Context(), 1); err == nil {
		t.Error("a path from IPv4 to IPv6 was accepted")
	}
	if _, err := (Traffic{NS: ns, Src: netip.MustParseAddr("192.0.2.1")}).TCP(t.Context(), 1); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("an address of nobody's: %v, expected EADDRNOTAVAIL", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	start := time.Now()
	n, err := Traffic{NS: ns, Every: 20 * time.Millisecond}.UDP(ctx, 1000, false)
	if !errors.Is(err, context.DeadlineExceeded) || n < 4 || n > 9 || time.Since(start) > 2*time.Second {
		t.Errorf("%d flows in %v: %v; expected about 8 and the deadline", n, time.Since(start), err)
	}
	// Nobody accepts at an address where nothing listens: the handshake fails at once.
	tr := Traffic{NS: ns, Src: addr4, Port: 81, Listen: netip.AddrPortFrom(addr4, 82)}
	if n, err := tr.TCP(t.Context(), 1); !errors.Is(err, unix.ECONNREFUSED) || n != 0 {
		t.Errorf("nothing listens: %d, %v", n, err)
	}
}

func TestManyFlowsAreDistinct(t *testing.T) {
	ns := tracked(t)
	const n = 3000
	for range 2 {
		if made, err := (Traffic{NS: ns, Src: addr4, Port: 9999}).UDP(t.Context(), n, true); err != nil || made != n {
			t.Fatalf("%d of %d: %v", made, n, err)
		}
	}
	if got := ns.ConntrackCount(t); got != 2*n {
		t.Errorf("%d entries, expected %d", got, 2*n)
	}
}

// TestMostFlowsAreDistinct goes once round the source ports, past the server's own.
func TestMostFlowsAreDistinct(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 44,000 flows")
	}
	ns := tracked(t)
	if err := ns.Sysctl("net.netfilter.nf_conntrack_udp_timeout", "600"); err != nil {
		t.Fatal(err)
	}
	made, err := Traffic{NS: ns, Src: addr6, Port: firstPort + 5}.UDP(t.Context(), MaxFlows, false)
	if err != nil || made != MaxFlows {
		t.Fatalf("%d of %d: %v", made, MaxFlows, err)
	}
	if got := ns.ConntrackCount(t); got != MaxFlows {
		t.Errorf("%d entries, expected %d", got, MaxFlows)
	}
}

func TestMix(t *testing.T) {
	ns := tracked(t)
	var progress int
	start := time.Now()
	tally, err := Mix{NS: ns, Flows: 100, Over: 300 * time.Millisecond, Progress: func(n int) { progress = n }}.Run(t.Context())
	if err != nil || tally.Total() != 100 || progress != 100 {
		t.Fatalf("made %v, progress %d: %v", tally, progress, err)
	}
	if d := time.Since(start); d < 290*time.Millisecond {
		t.Errorf("took %v, expected to be spread over 300 ms", d)
	}
	if len(tally) != 8 {
		t.Errorf("%d kinds of flow, expected 8: %v", len(tally), tally)
	}
	for kind, n := range tally {
		family := "ipv4"
		if kind.Family == 6 {
			family = "ipv6"
		}
		if got := grep(ns.Conntrack(t, "-L", "-f", family), kind.Proto+" "); got != n {
			t.Errorf("%v: %d entries, expected %d", kind, got, n)
		}
	}
	if got := ns.ConntrackCount(t); got != 100 {
		t.Errorf("%d entries in all", got)
	}
	if _, err := (Mix{NS: ns, Flows: MaxFlows + 1}).Run(t.Context()); err == nil {
		t.Error("a mix larger than the ports was accepted")
	}
}
