package sinks

import (
	"slices"
	"sync"

	"github.com/ctferry/ctferry/source/flow"
)

// Fanout hands every batch to the outlets that want something of it. A filter
// that several outlets share is matched once, and what several write in the
// same way is encoded once, into segments that they hold together and that are used again.
//
// It never waits for a sink; the reader that calls Take may use its batch
// again as soon as Take returns.
type Fanout struct {
	store *Store     // nil: every outlet has its own queue in memory
	mu    sync.Mutex // held for one batch; Swap comes between two
	plan  plan
}

// NewFanout makes a Fanout to the given outlets.
func NewFanout(outlets ...*Outlet) *Fanout {
	return &Fanout{plan: newPlan(outlets)}
}

// NewStoredFanout makes a Fanout to outlets that take from the store.
func NewStoredFanout(s *Store, outlets ...*Outlet) *Fanout {
	return &Fanout{store: s, plan: newPlan(outlets)}
}

// Swap replaces the outlets between two batches and returns those that are no
// longer among them: nothing more is offered to these, so the caller may end
// them. An outlet that stays is offered every event, once.
func (f *Fanout) Swap(outlets ...*Outlet) (gone []*Outlet) {
	next := newPlan(outlets)
	f.mu.Lock()
	last := f.plan
	f.plan = next
	f.mu.Unlock()
	for _, r := range last.routes {
		if !slices.Contains(outlets, r.outlet) {
			gone = append(gone, r.outlet)
		}
	}
	return gone
}

// Books gives the account of every outlet, in their order.
func (f *Fanout) Books() []flow.SinkBooks {
	f.mu.Lock()
	routes := f.plan.routes
	f.mu.Unlock()
	books := make([]flow.SinkBooks, len(routes))
	for i := range routes {
		books[i] = routes[i].outlet.Books()
	}
	return books
}

// Take offers a batch's events. It answers how full the fullest queue is among
// those that took something, from 0 to 1: whoever can slow down (a dump) does.
func (f *Fanout) Take(b *flow.Batch) (fill float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	events := b.Events()
	for i := range f.plan.filters {
		f.plan.filters[i].match(events)
	}
	f.plan.part(f.store != nil)
	if f.store == nil || f.store.cfg.Mode == SpoolOverflow {
		fill = f.plan.hand(events)
	}
	if f.store != nil {
		fill = max(fill, f.plan.keep(f.store, events))
	}
	return fill
}
