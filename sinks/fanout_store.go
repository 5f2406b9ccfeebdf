package sinks

import (
	"slices"

	"github.com/ctferry/ctferry/sinks/spool"
	"github.com/ctferry/ctferry/source/flow"
)

// keep gives the store, once, every event that some outlet wants on disk, with
// how many each of them does.
func (p *plan) keep(s *Store, events []flow.Event) (fill float64) {
	defer p.kept()
	if !slices.ContainsFunc(p.routes, func(r route) bool { return r.disk }) {
		return 0
	}
	parcel := p.begin(s)
	for i := range events {
		wanted := false
		for j := range p.routes {
			if r := &p.routes[j]; r.disk && r.wants(p, &events[i], i) {
				r.stored++
				wanted = true
			}
		}
		if !wanted {
			continue
		}
		s.add(parcel, &events[i])
		if s.full(parcel) {
			fill = max(fill, p.send(s, parcel))
			parcel = p.begin(s)
		}
	}
	return max(fill, p.send(s, parcel))
}

// kept ends the claims on the batch: what is under way of it is in parcels.
func (p *plan) kept() {
	for i := range p.routes {
		if r := &p.routes[i]; r.disk && r.outlet.overflow != nil {
			r.outlet.overflow.landed()
		}
	}
}

// begin gives a parcel. If an outlet's records found no room before, the gap
// stands ahead of the others.
func (p *plan) begin(s *Store) *parcel {
	parcel := s.parcel()
	for i := range p.routes {
		r := &p.routes[i]
		r.stored, r.told = 0, r.disk && r.outlet.front.count > 0
		if r.told {
			s.add(parcel, r.outlet.front.told())
			r.stored++
		}
	}
	return parcel
}

// send hands a parcel over. The books come first: what a courier can see must
// be in them. A parcel of gaps alone waits for what comes behind them.
func (p *plan) send(s *Store, parcel *parcel) (fill float64) {
	gaps := uint64(0)
	for i := range p.routes {
		if p.routes[i].told {
			gaps++
		}
	}
	if uint64(parcel.frame.Records) == gaps {
		return 0
	}
	since, last := parcel.since, *parcel.last()
	ok, fill := s.reserve(parcel)
	if !ok {
		for i := range p.routes {
			p.routes[i].lost(since, &last)
		}
		return fill
	}
	for i := range p.routes {
		r := &p.routes[i]
		if q := r.outlet.overflow; q != nil {
			if r.stored == 0 {
				continue // the frame is none of its business
			}
			parcel.frame.Chosen = true
			q.push()
		}
		r.outlet.ledger.offer(r.stored, 0)
		parcel.frame.Counts = append(parcel.frame.Counts, spool.Count{Sink: r.outlet.cfg.Name, N: r.stored})
		parcel.outlets = append(parcel.outlets, r.outlet)
		if r.told {
			r.outlet.front.clear()
		}
	}
	s.push(parcel)
	return fill
}

// lost notes that there was no room for a parcel. The gap in it was never
// offered: the next one tells all.
func (r *route) lost(since int64, last *Record) {
	if r.told {
		r.stored--
	}
	r.outlet.ledger.offer(r.stored, r.stored)
	if r.stored > 0 {
		r.outlet.front.addRun(r.stored, since, last, dropMemory)
	}
}
