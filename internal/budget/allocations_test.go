package budget

import (
	"runtime"
	"testing"
)

// allocations is what a sink's batch may allocate on its way: looking whether the file
// still stands under its name, and the courier's own. An event allocates nothing: one
// allocation an event would be a thousand here, one for each read of 256 datagrams five.
const allocations = 8

// TestAllocations counts those of the whole process while events come at full rate.
func TestAllocations(t *testing.T) {
	for _, c := range []struct{ receive, encoding string }{{"ring", "json"}, {"socket", "json"}, {"socket", "protobuf"}, {"socket", "xml"}} {
		t.Run(c.receive+"/"+c.encoding, func(t *testing.T) {
			p := newPath(t, c.receive, c.encoding)
			p.start()
			p.mallocs(16_000) // every buffer finds its size
			least := -1.0
			for range 4 { // what the runtime does beside is in some and not in others
				// What a run of the generator allocates is the same in both.
				few, small := p.mallocs(2_000)
				many, large := p.mallocs(22_000)
				a := float64(int64(many-few)) / p.batches(2*20_000, large-small)
				if least < 0 || a < least {
					least = a
				}
				if least <= allocations {
					break
				}
			}
			t.Logf("%.2f allocations a batch of the sink", least)
			if least > allocations {
				t.Errorf("%.2f allocations a batch of the sink: the budget is %d", least, allocations)
			}
		})
	}
}

// mallocs counts the allocations of this process while entries come and go, and the bytes
// that the file grew by.
func (p *path) mallocs(entries int) (n uint64, bytes int64) {
	p.tb.Helper()
	var before, after runtime.MemStats
	asking := testing.AllocsPerRun(10, func() { p.out.Books() })
	from := p.size()
	runtime.ReadMemStats(&before)
	p.churn(entries)
	asked := p.delivered(p.made)
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs - uint64(asking)*uint64(asked), p.size() - from
}
