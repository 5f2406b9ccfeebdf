package ctnetlink

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

func churnOf(ns *testnet.Namespace, entries int) testnet.Churn {
	return testnet.Churn{NS: ns, Entries: entries, Update: true, Mark: 1}
}

// realTraffic makes events of every kind, ours and the kernel's.
func realTraffic(t *testing.T, ns *testnet.Namespace) {
	t.Helper()
	churn(t, churnOf(ns, 80))
	churn(t, testnet.Churn{NS: ns, First: 100, Entries: 40, Zone: 2, Mark: 0x10})
	if _, err := (testnet.Mix{NS: ns, Flows: 40}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	ns.Conntrack(t, "-I", "-p", "udp", "-s", "10.0.0.1", "-d", "10.0.0.2", "--sport", "9", "--dport", "53", "--timeout", "9", "--orig-zone", "3", "--mark", "5")
	ns.Conntrack(t, "-F")
}

// TestKernelFilterOnEvents has filters judge the kernel's own events: a socket
// with a filter is given all that the filter passes, and, where all of it runs in
// the kernel, nothing else.
func TestKernelFilterOnEvents(t *testing.T) { both(t, testKernelFilterOnEvents) }

func testKernelFilterOnEvents(t *testing.T, via Receive) {
	for _, c := range []struct {
		filter any
		exact  bool
	}{
		{m{"proto": "tcp"}, true},
		{m{"family": "ipv6", "event_type": l{"new", "destroy"}}, true},
		{m{"addr": l{"127.0.0.0/8", "2001:db8:77::/48"}}, true},
		{m{"port": l{4739, 53}}, true},
		{m{"sport": "1024-1060"}, true},
		{m{"mark": l{"1", "0xfffffffe"}}, true},
		{m{"zone": 2}, true},
		{m{"zone": 0, "mark": 5}, true},
		{m{"status": "ASSURED"}, true},
		{m{"icmp_type": l{8, 128}}, true},
		{m{"include": l{m{"proto": "udp", "dport": 4739}, m{"zone": 2}}, "exclude": l{m{"family": "ipv6"}, m{"event_type": "update"}}}, true},
		{m{"proto": "tcp", "state": "ESTABLISHED"}, false},
		{m{"exclude": l{m{"nat": "any"}, m{"proto": "tcp"}}}, false},
	} {
		ns := quiet(t)
		f := parseFilter(t, c.filter)
		all := Config{Receive: via, Groups: ConntrackNew | ConntrackUpdate | ConntrackDestroy, Buffer: 4 << 20}
		some := all
		some.Filter = CompileFilter(f, false)
		first, second := listen(t, ns, all), listen(t, ns, some)
		runs, counts, why := second.Filters()
		if !runs || counts != (via == ReceiveRing) || why != nil {
			t.Fatalf("runs %v, counts %v: %v", runs, counts, why)
		}
		realTraffic(t, ns)
		var total, want, got, beyond int
		total = drain(t, first, func(e *flow.Event) {
			if f.Match(e) {
				want++
			}
		})
		given := drain(t, second, func(e *flow.Event) {
			if f.Match(e) {
				got++
			} else {
				beyond++
			}
		})
		if got != want || want == 0 || c.exact && beyond > 0 || given >= total {
			t.Errorf("%s: of %d events %d match; %d of them came, and %d others", f, total, want, got, beyond)
		}
		s, err := second.Stats()
		if err != nil || s.Drops != 0 || counts && s.Refused != uint64(total-given) || !counts && s.Refused != 0 {
			t.Errorf("%s: of %d events %d came: %+v: %v", f, total, given, s, err)
		}
	}
}

// TestExpectationsPass wants expectations to come whatever the filter says of
// flows, unless it names their table.
func TestExpectationsPass(t *testing.T) { both(t, testExpectationsPass) }

func testExpectationsPass(t *testing.T, via Receive) {
	for _, c := range []struct {
		filter any
		want   bool
	}{
		{m{"exclude": l{m{"proto": "tcp"}}}, true},
		{m{"include": l{m{"proto": "udp"}}}, true},
		{m{"exclude": l{m{"table": "conntrack"}}}, true},
		{m{"include": l{m{"table": "conntrack"}}}, false},
		{m{"exclude": l{m{"table": "expect", "event_type": "new"}}}, false},
		{m{"exclude": l{m{"table": "expect", "event_type": "destroy"}}}, true},
	} {
		ns := quiet(t)
		if err := ns.Lay(testnet.UseHelper(testnet.Match{Proto: unix.IPPROTO_TCP, DstPort: 21}, "ftp")); err != nil {
			t.Fatal(err)
		}
		l := listen(t, ns, Config{Receive: via, Groups: ExpectNew, Buffer: 1 << 20, Filter: CompileFilter(parseFilter(t, c.filter), false)})
		if _, err := (testnet.Traffic{NS: ns, Port: 21}).FTP(t.Context(), 2, true); err != nil {
			t.Fatal(err)
		}
		if n := drain(t, l, none); (n > 0) != c.want {
			t.Errorf("%v: %d expectations", c.filter, n)
		}
	}
}

// TestFilterBesideReliable refuses events on a socket whose sender hears of what
// is lost: what the filter refuses is not lost.
func TestFilterBesideReliable(t *testing.T) { both(t, testFilterBesideReliable) }

func testFilterBesideReliable(t *testing.T, via Receive) {
	ns := quiet(t)
	k := CompileFilter(parseFilter(t, m{"exclude": l{m{"family": "ipv6"}}}), false)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew | ConntrackDestroy, Buffer: 4 << 20, Reliable: true, Filter: k})
	churn(t, testnet.Churn{NS: ns, Entries: 200})
	if n := drain(t, l, none); n != 200 {
		t.Errorf("%d events, want those of IPv4, 200", n)
	}
	if s, err := l.Stats(); err != nil || s.Drops != 0 {
		t.Errorf("%+v: %v", s, err)
	}
}

// TestForgedPasses leaves what is no message of conntrack's to user space, which
// counts it.
func TestForgedPasses(t *testing.T) {
	ring := loading(t)
	k := CompileFilter(parseFilter(t, m{"exclude": l{m{"family": l{"ipv4", "ipv6"}}}}), false)
	event := eventMessage(kernelEvent(rand.New(rand.NewPCG(2, 2)), flow.NewBatch(1)))
	change := func(at int, to byte) []byte {
		p := append([]byte(nil), event...)
		p[at] = to
		return p
	}
	for by, judge := range judges(t, ring, k) {
		if judge(event) {
			t.Errorf("%s: an event passes", by)
		}
		for name, p := range map[string][]byte{
			"one byte": {1}, "a header": event[:16], "cut": event[:len(event)-4], "two messages": append(append([]byte(nil), event...), event...),
			"other subsystem": change(5, 9), "other operation": change(4, 1), "other family": change(16, 7), "longer than told": append(append([]byte(nil), event...), 0),
		} {
			if !judge(p) {
				t.Errorf("%s: %s is refused", by, name)
			}
		}
	}
}
