package encode

import "github.com/ctferry/ctferry/source/flow"

const (
	planBits = 7
	planWays = 4 // places at which a shape's plan may stand

	rivalBits = 10
)

// planner writes records by their shapes. A busy host has some dozens of shapes, so
// the planner keeps the plans of up to 128, each of some 25 steps of 64 bytes:
// 200 KiB, 500 at most. While there is room a shape gets a plan at once; then it
// does when it is met again before another one without a plan that falls on its
// place among the rivals, and takes over the memory of the plan that it replaces: shapes
// without number cost neither memory nor, but seldom, the making.
type planner struct {
	pen   pen
	full  fullWriter
	notes notes
	turn  int // which way is replaced next
	table [1 << planBits]planned

	// Of shapes without a plan the last that fell on each place: so many places that
	// two shapes which come in turn seldom keep one another from getting a plan.
	rivals [1 << rivalBits]uint32
}

// planned is a place for a plan.
type planned struct {
	shape shape
	plan  *plan
}

// fullWriter writes a record member by member.
type fullWriter interface {
	// write appends e to dst. If n is not nil, it notes every slot.
	write(dst []byte, e *flow.Event, n *notes) []byte
	// remember renders an origin into the pen.
	remember(o *flow.Origin)
}

// append writes e by its plan, or in full if it has none.
func (w *planner) append(dst []byte, e *flow.Event) []byte {
	if !w.pen.known || w.pen.origin != e.Origin {
		w.pen.origin, w.pen.known = e.Origin, true
		w.full.remember(e.Origin)
	}
	var s shape
	if !s.of(e) {
		return w.full.write(dst, e, nil)
	}
	h := s.hash()
	switch p := w.find(&s, h); {
	case p == nil:
		return w.learn(dst, e, &s, h)
	case len(p.steps) == 0 || !w.pen.fits(p):
		return w.full.write(dst, e, nil)
	default:
		return w.pen.write(dst, p, e)
	}
}

// find gives a shape's plan, nil if it has none.
func (w *planner) find(s *shape, h uint64) *plan {
	at := h >> (64 - planBits)
	for i := range uint64(planWays) {
		if p := &w.table[(at+i)%(1<<planBits)]; p.shape == *s {
			return p.plan
		}
	}
	return nil
}

// learn writes e in full, and makes a plan of it if it is worth it.
func (w *planner) learn(dst []byte, e *flow.Event, s *shape, h uint64) []byte {
	place := w.place(h)
	if place == nil {
		return w.full.write(dst, e, nil)
	}
	if place.plan == nil {
		place.plan = &plan{}
	}
	w.notes.list = w.notes.list[:0]
	start := len(dst)
	dst = w.full.write(dst, e, &w.notes)
	place.shape = *s
	place.plan.set(dst, start, &w.notes, &w.pen, e)
	return dst
}

// place finds where a shape's plan may stand: an empty place, or if the shape was met
// before, one after the other.
func (w *planner) place(h uint64) *planned {
	at := int(h >> (64 - planBits))
	for i := range planWays {
		if p := &w.table[(at+i)%(1<<planBits)]; p.plan == nil {
			return p
		}
	}
	rival, before := uint32(h)|1, &w.rivals[h>>(64-rivalBits)]
	if *before != rival {
		*before = rival
		return nil
	}
	w.turn++
	return &w.table[(at+w.turn%planWays)%(1<<planBits)]
}
