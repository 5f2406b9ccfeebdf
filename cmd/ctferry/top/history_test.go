package top

import (
	"testing"

	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/source/flow"
)

func told(run string, uptime float64, n uint64) *admin.Snapshot {
	return &admin.Snapshot{
		Run: run, Uptime: uptime, EventCost: 1000,
		Books: flow.Books{
			Sockets: []flow.SocketBooks{{Offered: 10 * n, Received: 9 * n, Lost: n, Buffer: 1_000_000, Queued: 500_000}, {NetNS: "gone"}},
			Sinks:   []flow.SinkBooks{{Name: "a", Delivered: 2 * n, Bytes: 100 * n, Dropped: []flow.Drop{{Reason: "memory", Count: n}}}},
		},
	}
}

// TestRatesOfANode measures over the node's own time, and not over a restart.
func TestRatesOfANode(t *testing.T) {
	t.Parallel()
	var h history
	first := told("a", 10, 100)
	h.add(first)
	if first.Rates != nil || len(first.Buffers) != 1 || first.Buffers[0].Headroom != nil {
		t.Errorf("rates of one reading: %+v %+v", first.Rates, first.Buffers)
	}
	second := told("a", 12, 300)
	h.add(second)
	r := second.Rates
	if r == nil || r.Offered != 1000 || r.Received != 900 || r.Lost != 100 || len(r.Sinks) != 1 || r.Sinks[0] != (admin.SinkRate{Name: "a", Delivered: 200, Bytes: 10000, Dropped: 100}) {
		t.Errorf("%+v", r)
	}
	if b := second.Buffers[0]; b.Headroom == nil || *b.Headroom != 0.5 { // half a million bytes at a thousand events of a thousand bytes
		t.Errorf("%+v", b)
	}
	same := told("a", 12, 300) // told again within the second
	h.add(same)
	if same.Rates == nil || same.Rates.Sinks[0] != r.Sinks[0] || len(h.past) != 2 {
		t.Errorf("%+v, %d kept", same.Rates, len(h.past))
	}
	for i := range 100 {
		h.add(told("a", 13+float64(i)/10, 400))
	}
	if len(h.past) > maxPast {
		t.Errorf("%d kept", len(h.past))
	}
	restarted := told("b", 1, 0)
	h.add(restarted)
	if restarted.Rates != nil || len(h.past) != 1 {
		t.Errorf("rates over a restart: %+v", restarted.Rates)
	}
	fresh := told("b", 2, 10)
	fresh.Books.Sinks[0].Name = "new"
	h.add(fresh)
	if fresh.Rates == nil || len(fresh.Rates.Sinks) != 0 {
		t.Errorf("a rate of a sink that is new: %+v", fresh.Rates)
	}
}
