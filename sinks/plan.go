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
	format     encode.Format
	projection encode.Projection
	inside     bool // each record's inside address stands behind it
	encoder    encode.Encoder
	want       []bool    // the events that some route chose
	made       []*Record // of each of these
	count      int       // how many they are
	pieces     []piece   // all of them
	to         segmentWriter
}

// route leads to one outlet.
type route struct {
	outlet    *Outlet
	filter    int  // in plan.filters, -1 for none
	rendering int  // in plan.renderings
	whole     bool // wants whatever any outlet wants of it
	chosen    []int
	statuses  int // of the chosen: each sink's is its own
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
	for i := range p.routes {
		p.routes[i].whole = p.allOf(&p.routes[i])
	}
	for i := range p.renderings {
		r := &p.renderings[i]
		r.to = newSegmentWriter(p.segmentSize(i), r.format.Framing, r.inside)
	}
	return p
}

// allOf reports whether the route wants all that is rendered for it, whatever comes: then
// it may hold segments together with others. If it wanted a part it would bind much for little.
func (p *plan) allOf(r *route) bool {
	return !slices.ContainsFunc(p.routes, func(o route) bool {
		return o.rendering == r.rendering && (r.filter >= 0 && o.filter != r.filter || o.outlet.types&^r.outlet.types != 0)
	})
}

// segmentSize is how long the segments of a rendering may be: no outlet must be bound
// up by what it holds a small part of.
func (p *plan) segmentSize(rendering int) int {
	size := maxSegment
	for i := range p.routes {
		if r := &p.routes[i]; r.rendering == rendering {
			size = min(size, r.outlet.segmentSize())
		}
	}
	return size
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
	for i := range p.renderings {
		p.renderings[i].to.settle()
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
		if r := &p.renderings[i]; r.format.Name == o.format.Name && r.projection == o.projection && r.inside == o.inside {
			return i
		}
	}
	p.renderings = append(p.renderings, rendering{
		format:     o.format,
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
		r.want, r.made = make([]bool, events), make([]*Record, events)
	}
	r.want, r.made = r.want[:events], r.made[:events]
	clear(r.want)
	r.count, r.pieces = 0, nil
}

// render writes what was chosen, one record behind the other.
func (r *rendering) render(events []flow.Event) {
	r.to.begin()
	for i, want := range r.want {
		if want {
			r.made[i] = r.to.encode(r.encoder, &events[i])
			r.count++
		}
	}
	r.pieces = r.to.pieces()
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
	r.chosen, r.statuses = r.chosen[:0], 0
	want := p.renderings[r.rendering].want
	for i := range events {
		if !r.wants(p, &events[i], i) {
			continue
		}
		r.chosen = append(r.chosen, i)
		if events[i].Type == flow.TypeStatus {
			r.statuses++
			continue
		}
		want[i] = true
	}
}

func (r *route) wants(p *plan, e *flow.Event, i int) bool {
	if yes, sure := r.outlet.chooses(e); sure {
		return yes
	}
	return p.filters[r.filter].pass[i]
}

// offer hands the chosen records over, with their order. Where these are all that
// was written, the outlet need not copy them.
func (r *route) offer(p *plan, events []flow.Event) (fill float64) {
	rendered := &p.renderings[r.rendering]
	switch whole := r.whole && r.statuses == 0 && len(r.chosen) == rendered.count; {
	case len(r.chosen) == 0:
		return 0
	case r.outlet.overflow != nil && whole:
		return r.offerWhole(nil, rendered.pieces)
	case r.outlet.overflow != nil:
		return r.offerWhole(r.records(rendered, events), nil)
	case whole:
		return r.outlet.share(rendered.pieces)
	}
	r.recs = r.recs[:0]
	for _, i := range r.chosen {
		e := &events[i]
		if e.Type != flow.TypeStatus {
			r.recs = append(r.recs, *rendered.made[i])
			continue
		}
		// The books in a status record count everything that stands before it.
		fill = max(fill, r.flush())
		r.recs = append(r.recs, recordOf(e, r.status(rendered.encoder, e, 0)))
	}
	return max(fill, r.flush())
}

// records are those that were chosen.
func (r *route) records(rendered *rendering, events []flow.Event) []Record {
	r.recs = r.recs[:0]
	for n, i := range r.chosen {
		if e := &events[i]; e.Type == flow.TypeStatus {
			r.recs = append(r.recs, recordOf(e, r.status(rendered.encoder, e, uint64(n))))
		} else {
			r.recs = append(r.recs, *rendered.made[i])
		}
	}
	return r.recs
}

// offerWhole is offer for an outlet that takes all of the batch into memory or
// nothing: then the batch is for the disk.
func (r *route) offerWhole(recs []Record, pieces []piece) (fill float64) {
	fill, taken := r.outlet.overflow.offer(recs, pieces)
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
func recordOf(e *flow.Event, value []byte) (rec Record) {
	rec.set(e, value)
	return rec
}

func (r *Record) set(e *flow.Event, value []byte) {
	r.Value, r.Seq, r.Time = value, e.Seq, e.Time
	r.FlowID = 0
	if e.Has&flow.HasFlowID != 0 && !flow.AlwaysTypes.Has(e.Type) {
		r.FlowID = e.FlowID
	}
	r.Type, r.Table, r.Family, r.Proto = e.Type, e.Table, e.Family, e.Proto
	r.own, r.of, r.inside = false, 0, uint8(cap(value)-len(value))
	r.Origin, r.frame = e.Origin, 0
}
