package source

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

func TestMain(m *testing.M) { os.Exit(testnet.Main(m)) }

// record is what a test keeps of an event.
type record struct {
	typ    flow.Type
	table  flow.Table
	seq    uint64
	flowID uint64
	netns  string
	src    flow.TimeSource
	bytes  uint64
	gap    flow.Gap
	agent  flow.Agent
	dump   flow.DumpInfo

	has          flow.Has
	synthetic    bool
	since, until int64
	time         int64
	close        flow.CloseReason
	mark         uint32
	deltas       [2]flow.Counters
	totals       [2]flow.Counters
	interval     int64
}

// keeper is a Taker that keeps what it is given.
type keeper struct {
	mu      sync.Mutex
	records []record
	slow    atomic.Pointer[func()] // called for each batch, where the test wants a slow one
	fill    float64
}

func (k *keeper) Take(b *flow.Batch) float64 {
	if slow := k.slow.Load(); slow != nil {
		(*slow)()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range b.Events() {
		k.records = append(k.records, recordOf(&b.Events()[i]))
	}
	return k.fill
}

func recordOf(e *flow.Event) record {
	r := record{typ: e.Type, table: e.Table, seq: e.Seq, netns: e.Origin.NetNS, src: e.TimeSource}
	r.has, r.time, r.close = e.Has, e.Time, e.CloseReason()
	if e.Any(flow.HasSynthetic) {
		r.synthetic = e.Synthetic
	}
	if e.Any(flow.HasBounds) {
		r.since, r.until = e.Since, e.Until
	}
	if e.Any(flow.HasMark) {
		r.mark = e.Mark
	}
	if e.Got(flow.HasOrigDeltas | flow.HasReplyDeltas | flow.HasInterval) {
		r.deltas, r.interval = [2]flow.Counters{e.OrigDeltas, e.ReplyDeltas}, e.Interval
	}
	if e.Got(flow.HasOrigCounters | flow.HasReplyCounters) {
		r.totals = [2]flow.Counters{e.OrigCounters, e.ReplyCounters}
	}
	if e.Any(flow.HasFlowID) {
		r.flowID = e.FlowID
	}
	if e.Any(flow.HasOrigCounters) {
		r.bytes = e.OrigCounters.Bytes
	}
	if e.Gap != nil {
		r.gap = *e.Gap
	}
	if e.Agent != nil {
		r.agent = *e.Agent
	}
	if e.Dump != nil {
		r.dump = *e.Dump
	}
	return r
}

// of gives the kept records of the given types.
func (k *keeper) of(types ...flow.Type) []record {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(k.records), func(r record) bool { return !slices.Contains(types, r.typ) })
}

func kernelTypes() []flow.Type { return []flow.Type{flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy} }

// running is a source that reads a private namespace.
type running struct {
	*Source
	out  *keeper
	stop func() error
}

// start runs a source in a namespace until the test stops it.
func start(t *testing.T, ns *testnet.Namespace, cfg Config, out *keeper) *running {
	t.Helper()
	id := Identity{Node: "test", Run: [16]byte{1}, BootID: [16]byte{2}, Version: "test"}
	log := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	s, err := newIn(namespace{path: ns.Path()}, cfg, id, flow.TypesOf(kernelTypes()...), out, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return &running{s, out, stop}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// eventually waits, within a bound, until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// tracked is a namespace that tracks, counts and stamps every flow.
func tracked(t *testing.T) *testnet.Namespace {
	t.Helper()
	ns := testnet.New(t)
	if err := ns.Up(); err != nil {
		t.Fatal(err)
	}
	if err := ns.Record(); err != nil {
		t.Fatal(err)
	}
	if err := ns.Lay(testnet.Track()); err != nil {
		t.Fatal(err)
	}
	return ns
}

// dialUDP opens a connected socket; the kernel's refusals (ICMP) are no matter.
func dialUDP(to netip.AddrPort) (*net.UDPConn, error) {
	return net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
}
