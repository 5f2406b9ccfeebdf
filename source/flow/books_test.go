package flow

import "testing"

// TestBooksBalance takes each figure out of balance by one, in both directions.
func TestBooksBalance(t *testing.T) {
	balanced := func() *Books {
		return &Books{
			Sockets: []SocketBooks{{}, {Offered: 21, Received: 15, Lost: 6, Emitted: 8, Excluded: 4, Malformed: 2, Foreign: 1}},
			Sinks: []SinkBooks{{}, {Offered: 10, Recovered: 5, Delivered: 6, Dropped: []Drop{{"memory", 3}, {"spool_full", 1}},
				DeadLettered: 2, Held: 3, Bytes: 99, Retries: 7, Errors: []Drop{{"timeout", 4}}}},
			Events: []EventCount{{"conntrack", "new", "tcp", 7}, {"expect", "new", "other", 5}},
		}
	}
	if b := balanced(); !b.Balanced() || b.Sinks[1].DroppedTotal() != 4 || b.Sinks[0].DroppedTotal() != 0 {
		t.Error("balanced books do not balance")
	}
	if !(&Books{}).Balanced() {
		t.Error("empty books do not balance")
	}
	figures := map[string]func(*Books) *uint64{
		"offered":       func(b *Books) *uint64 { return &b.Sockets[1].Offered },
		"received":      func(b *Books) *uint64 { return &b.Sockets[1].Received },
		"lost":          func(b *Books) *uint64 { return &b.Sockets[1].Lost },
		"emitted":       func(b *Books) *uint64 { return &b.Sockets[1].Emitted },
		"excluded":      func(b *Books) *uint64 { return &b.Sockets[1].Excluded },
		"malformed":     func(b *Books) *uint64 { return &b.Sockets[1].Malformed },
		"foreign":       func(b *Books) *uint64 { return &b.Sockets[1].Foreign },
		"sink offered":  func(b *Books) *uint64 { return &b.Sinks[1].Offered },
		"recovered":     func(b *Books) *uint64 { return &b.Sinks[1].Recovered },
		"delivered":     func(b *Books) *uint64 { return &b.Sinks[1].Delivered },
		"dropped":       func(b *Books) *uint64 { return &b.Sinks[1].Dropped[1].Count },
		"dead-lettered": func(b *Books) *uint64 { return &b.Sinks[1].DeadLettered },
		"held":          func(b *Books) *uint64 { return &b.Sinks[1].Held },
		"kind":          func(b *Books) *uint64 { return &b.Events[1].Count },
	}
	for name, figure := range figures {
		for _, by := range []uint64{1, ^uint64(0)} {
			b := balanced()
			*figure(b) += by
			if b.Balanced() {
				t.Errorf("%s off by %d is not seen", name, int64(by))
			}
		}
	}
	b := balanced()
	b.Sinks[1].Errors[0].Count, b.Sinks[1].Retries, b.Sockets[1].Queued = 1, 1, 1
	if !b.Balanced() {
		t.Error("errors, retries and gauges are part of the account")
	}
}
