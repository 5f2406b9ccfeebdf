package sinks

import (
	"slices"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// plan is what a set of outlets needs done with every batch, each thing once.
type plan struct {
	filters    []selection
	renderings []rendering
	routes     []route
}

// selection is a filter and which events of the batch it passes.
type selection struct {
	filter Matcher
	pass   []bool
}

// rendering is one way to write a record and the batch's records written so.
type rendering struct {
	format     string
	projection encode.Projection
	inside     bool // each record's inside address stands behind it
	encoder    encode.Encoder
	want       []bool // the events that some route chose
	slab       []byte
	ends       []ends // of each event's record in slab
}

// ends is where a record ends, and where what stands behind it does.
type ends struct{ value, inside int }

// route leads to one outlet.
type route struct {
	outlet    *Outlet
	filter    int // in plan.filters, -1 for none
	rendering int // in plan.renderings
	chosen    []int
	recs      []Record
	disk      bool   // the batch under way goes to the spool
	stored    uint64 // events of the parcel under way that the outlet wants
	told      bool   // one of them is the gap of what it lost before
}

func newPlan(outlets []*Outlet) plan {
	var p plan
	for _, o := range outlets {
		p.routes = append(p.routes, route{
			outlet:    o,
			filter:    p.filterOf(o.cfg.Filter),
			rendering: p.renderingOf(o),
		})
	}
	return p
}

// part notes which outlets' events go to the disk.
func (p *plan) part(stored bool) {
	for i := range p.routes {
		r := &p.routes[i]
		r.disk = stored && (r.outlet.overflow == nil || r.outlet.overflow.claim())
	}
}

// hand gives the events to the outlets that have them in memory.
func (p *plan) hand(events []flow.Event) (fill float64) {
	for i := range p.renderings {
		p.renderings[i].reset(len(events))
	}
	for i := range p.routes {
		if r := &p.routes[i]; !r.disk {
			r.choose(p, events)
		}
	}
	for i := range p.renderings {
		p.renderings[i].render(events)
	}
	for i := range p.routes {
		if r := &p.routes[i]; !r.disk {
			fill = max(fill, r.offer(p, events))
		}
	}
	return fill
}

func (p *plan) filterOf(m Matcher) int {
	if m == nil {
		return -1
	}
	for i := range p.filters {
		if p.filters[i].filter == m {
			return i
		}
	}
	p.filters = append(p.filters, selection{filter: m})
	return len(p.filters) - 1
}

func (p *plan) renderingOf(o *Outlet) int {
	for i := range p.renderings {
		if r := &p.renderings[i]; r.format == o.format.Name && r.projection == o.projection && r.inside == o.inside {
			return i
		}
	}
	p.renderings = append(p.renderings, rendering{
		format:     o.format.Name,
		projection: o.projection,
		inside:     o.inside,
		encoder:    o.format.NewEncoder(o.projection),
	})
	return len(p.renderings) - 1
}

func (s *selection) match(events []flow.Event) {
	s.pass = s.pass[:0]
	for i := range events {
		s.pass = append(s.pass, s.filter.Match(&events[i]))
	}
}

func (r *rendering) reset(events int) {
	if cap(r.want) < events {
		r.want, r.ends = make([]bool, events), make([]ends, events)
	}
	r.want, r.ends = r.want[:events], r.ends[:events]
	clear(r.want)
	r.slab = r.slab[:0]
}

// render writes what was chosen, one record behind the other.
func (r *rendering) render(events []flow.Event) {
	for i, want := range r.want {
		if want {
			r.slab = r.encoder.Append(r.slab, &events[i])
		}
		r.ends[i].value = len(r.slab)
		if want && r.inside {
			r.slab = appendInside(r.slab, &events[i])
		}
		r.ends[i].inside = len(r.slab)
	}
}

// record gives event i as it was rendered; up to its capacity stands what
// belongs behind it.
func (r *rendering) record(i int) []byte {
	from := 0
	if i > 0 {
		from = r.ends[i-1].inside
	}
	return r.slab[from:r.ends[i].value:r.ends[i].inside]
}

// appendInside appends the bytes of an event's inside address, if it has one.
func appendInside(dst []byte, e *flow.Event) []byte {
	a, family, ok := e.Inside()
	switch {
	case !ok || flow.AlwaysTypes.Has(e.Type):
		return dst
	case family == flow.IPv4:
		return append(dst, a[:4]...)
	}
	return append(dst, a[:]...)
}

// choose notes which events the outlet wants, and has them rendered.
func (r *route) choose(p *plan, events []flow.Event) {
	r.chosen = r.chosen[:0]
	want := p.renderings[r.rendering].want
	for i := range events {
		if !r.wants(p, &events[i], i) {
			continue
		}
		r.chosen = append(r.chosen, i)
		if events[i].Type != flow.TypeStatus {
			want[i] = true
		}
	}
}

func (r *route) wants(p *plan, e *flow.Event, i int) bool {
	if yes, sure := r.outlet.chooses(e); sure {
		return yes
	}
	return p.filters[r.filter].pass[i]
}

// offer hands the chosen records over, with their order.
func (r *route) offer(p *plan, events []flow.Event) (fill float64) {
	if r.outlet.overflow != nil {
		return r.offerWhole(p, events)
	}
	rendered := &p.renderings[r.rendering]
	r.recs = r.recs[:0]
	for _, i := range r.chosen {
		e := &events[i]
		if e.Type != flow.TypeStatus {
			r.recs = append(r.recs, recordOf(e, rendered.record(i)))
			continue
		}
		// The books in a status record count everything that stands before it.
		fill = max(fill, r.flush())
		r.recs = append(r.recs, recordOf(e, r.status(rendered.encoder, e, 0)))
	}
	return max(fill, r.flush())
}

// offerWhole is offer for an outlet that takes all of the batch into memory or
// nothing: then the batch is for the disk.
func (r *route) offerWhole(p *plan, events []flow.Event) (fill float64) {
	if len(r.chosen) == 0 {
		return 0
	}
	rendered := &p.renderings[r.rendering]
	r.recs = r.recs[:0]
	for n, i := range r.chosen {
		e := &events[i]
		value := rendered.record(i)
		if e.Type == flow.TypeStatus {
			value = r.status(rendered.encoder, e, uint64(n))
		}
		r.recs = append(r.recs, recordOf(e, value))
	}
	fill, taken := r.outlet.overflow.offer(r.recs)
	r.disk = !taken
	return fill
}

func (r *route) flush() (fill float64) {
	if len(r.recs) == 0 {
		return 0
	}
	fill = r.outlet.offer(r.recs)
	r.recs = r.recs[:0]
	return fill
}

// status renders a status record with the outlet's own books, as they are when
// the given number of records more is held.
func (r *route) status(encoder encode.Encoder, e *flow.Event, more uint64) []byte {
	return slices.Clip(r.outlet.appendStatus(nil, encoder, e, more))
}

// appendStatus renders a status record with the outlet's own books, as they are
// when the given number of records more is held. It allocates: status records
// are rare.
func (o *Outlet) appendStatus(dst []byte, encoder encode.Encoder, e *flow.Event, more uint64) []byte {
	own, agent, books := *e, flow.Agent{}, o.Books()
	books.Offered += more
	books.Held += more
	if e.Agent != nil {
		agent = *e.Agent
	}
	agent.Sink = &books
	own.Agent = &agent
	return encoder.Append(dst, &own)
}

// recordOf says of an event what a sink needs to place it. What stands between
// value's length and its capacity is the inside address.
func recordOf(e *flow.Event, value []byte) Record {
	rec := Record{
		Value:  value,
		Seq:    e.Seq,
		Time:   e.Time,
		Type:   e.Type,
		Table:  e.Table,
		Family: e.Family,
		Proto:  e.Proto,
		Origin: e.Origin,
		inside: uint8(cap(value) - len(value)),
	}
	if e.Got(flow.HasFlowID) && !flow.AlwaysTypes.Has(e.Type) {
		rec.FlowID = e.FlowID
	}
	return rec
}
