package source

import (
	"io"
	"log/slog"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

type nowhere struct{}

func (nowhere) Take(*flow.Batch) float64 { return 0 }

// benchSocket is a socket without a kernel: batches are filled by hand.
func benchSocket(track bool) *socket {
	s := &Source{cfg: small("socket"), out: nowhere{}, log: slog.New(slog.NewTextHandler(io.Discard, nil)), names: loadLabelNames(""),
		procs: newProgNames(), notes: flow.NewBatch(4), budget: budget{max: 2_000_000}}
	k := &socket{src: s, origin: &flow.Origin{Node: "n"}, batch: flow.NewBatch(batchSlots), lossy: make(chan struct{}, 1)}
	k.shards = []*socket{k}
	if track {
		k.trackFlows()
	}
	return k
}

// fill makes the batch one of lives: NEW, UPDATE or DESTROY of flows from a
// number on.
func fill(k *socket, model []flow.Event, typ flow.Type, from int) {
	k.batch.Reset()
	for i := range batchSlots {
		e := k.batch.Next()
		*e = model[(from+i)%len(model)]
		e.Type, e.Has = typ, e.Has&^flow.HasFlowID
		e.ID = uint32(from + i)
	}
}

func benchModel() []flow.Event {
	model := make([]flow.Event, 8192)
	for i := range model {
		model[i] = *flowEvent(i * 12) // TCP over IPv4
		model[i].Time, model[i].TimeSource = int64(i+1), flow.TimeKernel
	}
	return model
}

// BenchmarkHandOn is the reader's way with a batch, per event: stamped and given
// away; with tracking, among so many live flows.
func BenchmarkHandOn(b *testing.B) {
	for _, c := range []struct {
		name  string
		track bool
		flows int
	}{{"off", false, 0}, {"1k", true, 1 << 10}, {"100k", true, 100 << 10}, {"1M", true, 1 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			k := benchSocket(c.track)
			model := benchModel()
			for from := 0; from < c.flows; from += batchSlots {
				fill(k, model, flow.TypeNew, from)
				k.handOn(ctnetlink.Counts{}, ctnetlink.Counts{})
			}
			b.ReportAllocs()
			b.ResetTimer()
			n := 0
			for i := 0; n < b.N; i++ {
				// A new flow, an update of it, and the end of the oldest: the number of live ones stays.
				from := c.flows + i*batchSlots
				for _, step := range []struct {
					typ  flow.Type
					from int
				}{{flow.TypeNew, from}, {flow.TypeUpdate, from}, {flow.TypeDestroy, i * batchSlots}} {
					b.StopTimer()
					fill(k, model, step.typ, step.from)
					b.StartTimer()
					k.handOn(ctnetlink.Counts{}, ctnetlink.Counts{})
					n += batchSlots
				}
			}
			if c.track {
				b.ReportMetric(float64(k.track.table.bytes())/float64(max(k.track.table.used, 1)), "B/flow")
			}
		})
	}
}

// BenchmarkRow is a dump's row of a flow that is tracked.
func BenchmarkRow(b *testing.B) {
	k := benchSocket(true)
	model := benchModel()
	for from := 0; from < 100<<10; from += batchSlots {
		fill(k, model, flow.TypeNew, from)
		k.handOn(ctnetlink.Counts{}, ctnetlink.Counts{})
	}
	k.track.begin()
	d := dump{k: k, track: k.track}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += batchSlots {
		b.StopTimer()
		fill(k, model, flow.TypeDump, n%(100<<10))
		b.StartTimer()
		d.compare(k.batch, 1)
	}
}

// BenchmarkGrow is the longest the reader stands still for the index: it doubles
// at three quarters of two million slots.
func BenchmarkGrow(b *testing.B) {
	e := flowEvent(0)
	table := &flowTable{}
	for i := range 1_500_000 {
		e.FlowID, e.ID = uint64(i)*0x9E3779B185EBCA87, uint32(i)
		table.add(e)
	}
	slots := table.slots
	b.ResetTimer()
	for range b.N {
		table.slots = slots
		table.grow()
	}
}

// TestTrackingAllocatesNothing holds the reader's way to it, with flows that come
// and go.
func TestTrackingAllocatesNothing(t *testing.T) {
	k := benchSocket(true)
	model := benchModel()
	i := 0
	life := func() {
		for _, typ := range []flow.Type{flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy} {
			fill(k, model, typ, i)
			k.handOn(ctnetlink.Counts{}, ctnetlink.Counts{})
		}
		i += batchSlots
	}
	life()
	if n := testing.AllocsPerRun(200, life); n != 0 {
		t.Errorf("%v allocations for %d events", n, 3*batchSlots)
	}
	if k.books.Track.Flows != 0 || k.books.Track.Added == 0 || !k.books.Balanced() && k.books.Received != 0 {
		t.Errorf("books %+v", k.books)
	}
}

// BenchmarkMeter is one measurement of the table's fill.
func BenchmarkMeter(b *testing.B) {
	ns := testnet.New(b)
	m := meter{dial: func() (*ctnetlink.Conn, error) { return ctnetlink.Dial(ctnetlink.DialConfig{NetNS: ns.Path()}) }}
	defer m.close()
	for b.Loop() {
		if _, err := m.read(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
