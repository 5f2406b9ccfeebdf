package source

import (
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// TestTally counts one event of every table, type and protocol number.
func TestTally(t *testing.T) {
	k := newTally()
	b := flow.NewBatch(2 * 3 * 256)
	for table := flow.TableConntrack; table <= flow.TableExpect; table++ {
		for kind := flow.TypeNew; kind <= flow.TypeDestroy; kind++ {
			for p := range 256 {
				e := b.Next()
				e.Table, e.Type, e.Proto = table, kind, uint8(p)
			}
		}
	}
	if n := testing.AllocsPerRun(10, func() { k.add(b.Events()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	counts, sum := k.counts(), uint64(0)
	if len(counts) != 2*3*protoClasses {
		t.Fatalf("%d kinds", len(counts))
	}
	for _, c := range counts {
		sum += c.Count
		want := uint64(11) // AllocsPerRun runs once more, to warm up
		if c.Proto == "other" {
			want *= 256 - protoOther
		}
		if c.Count != want || c.Table == "" || c.Event == "" || c.Proto == "" {
			t.Errorf("%+v, expected %d", c, want)
		}
	}
	if sum != 11*uint64(b.Len()) {
		t.Errorf("%d counted of %d", sum, 11*b.Len())
	}
}

func BenchmarkTally(b *testing.B) {
	k, batch := newTally(), flow.NewBatch(batchSlots)
	for i := range batchSlots {
		e := batch.Next()
		e.Table, e.Type, e.Proto = flow.TableConntrack, flow.Type(1+i%3), []uint8{6, 17, 1, 132}[i%4]
	}
	b.ReportAllocs()
	for b.Loop() {
		k.add(batch.Events())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batchSlots, "ns/event")
}
