package flow

import (
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// threadTime is the processor time of this thread: the figure that holds on a
// machine that others use too.
func threadTime() time.Duration {
	const rusageThread = 1
	var u syscall.Rusage
	if syscall.Getrusage(rusageThread, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// tcpEvent is a flow of TCP port 443 with its source translated, as a NEW event tells it.
func tcpEvent() *Event {
	e := &Event{Type: TypeNew, Table: TableConntrack, Family: IPv4, Proto: ProtoTCP, Origin: &Origin{Node: "n"}}
	e.Has = HasOrig | HasReply | HasStatus | HasTimeout | HasID | HasTCPState
	e.Orig = tupleOf(ProtoTCP, "10.0.0.1", "192.0.2.9", 40000, 443)
	e.Reply = tupleOf(ProtoTCP, "192.0.2.9", "198.51.100.7", 443, 40000)
	e.Status, e.Timeout, e.ID, e.TCP.State = StatusConfirmed|StatusSrcNAT|StatusSrcNATDone, 120, 7, 1
	return e
}

func tupleOf(proto uint8, src, dst string, sport, dport uint16) Tuple {
	t := Tuple{Has: HasAddrs | HasPorts | HasProto, Proto: proto, SrcPort: sport, DstPort: dport}
	t.Src, t.Family = AddrFrom(netip.MustParseAddr(src))
	t.Dst, _ = AddrFrom(netip.MustParseAddr(dst))
	return t
}

func mustFilter(t testing.TB, v any) *Filter {
	t.Helper()
	f, err := ParseFilter(v)
	if err != nil {
		t.Fatalf("ParseFilter(%v): %v", v, err)
	}
	return f
}

type (
	m = map[string]any
	l = []any
)

// fourTerms has four terms, all of which are tried on tcpEvent.
func fourTerms(t testing.TB) *Filter {
	return mustFilter(t, m{
		"exclude": l{m{"proto": "udp", "port": 53}, m{"addr": "127.0.0.0/8"}, m{"proto": "tcp", "dport": l{22, 6443}}},
		"include": l{m{"proto": l{"tcp", "udp"}, "orig_src": l{"10.0.0.0/8", "172.16.0.0/12"}, "zone": 0}},
	})
}

func BenchmarkFilterMatch(b *testing.B) {
	many := make(l, 10000)
	for i := range many {
		many[i] = netip.AddrFrom4([4]byte{11, byte(i >> 8), byte(i), 1}).String()
	}
	for name, f := range map[string]*Filter{
		"nil":        nil,
		"four-terms": fourTerms(b),
		"10k-addrs":  mustFilter(b, m{"exclude": l{m{"addr": many}}}),
	} {
		b.Run(name, func(b *testing.B) {
			e := tcpEvent()
			b.ReportAllocs()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			start := threadTime()
			for b.Loop() {
				if !f.Match(e) {
					b.Fatal("does not match")
				}
			}
			b.ReportMetric(float64(threadTime()-start)/float64(b.N), "cpu-ns/op")
		})
	}
}

func TestFilterMatchAllocatesNothing(t *testing.T) {
	f, e := fourTerms(t), tcpEvent()
	if n := testing.AllocsPerRun(100, func() { f.Match(e) }); n != 0 {
		t.Errorf("Match allocates %v times", n)
	}
}
