package encode

import (
	"slices"

	"github.com/ctferry/ctferry/source/flow"
)

// pen writes records by plans. It has a cell for each slot, in which the text of
// its value stands; a value that is the same as the last one is there already.
// Texts are copied in whole blocks, so that what stands behind a record's end in
// the buffer has no meaning.
type pen struct {
	cells  [64]cell // by slot; first, for each to be within a line of the cache
	octets octets
	day    int64    // of the time that was written last
	date   [24]byte // 2006-01-02T00:00:00. of it
	p      *Projection

	origin      *flow.Origin
	known       bool // what follows is of origin
	fixed, tags []byte

	progName string // the last one
	prog     []byte // its text
	text     func(dst []byte, s string) []byte
}

// newPen makes a pen; text writes a string with what closes it.
func newPen(p *Projection, text func([]byte, string) []byte) pen {
	w := pen{p: p, text: text, prog: text(nil, ""), octets: newOctets(), day: -noSecond}
	for _, s := range [...]slot{slotTime, slotReceived, slotStart, slotStop} {
		w.cells[s].number = noSecond
	}
	return w
}

// value gives the text of a slot.
func (w *pen) value(s slot) []byte {
	if s < slotNone {
		return w.long(s)
	}
	c := &w.cells[s]
	return c.text[:c.n]
}

// recordSize bounds a record that is written by a plan, with room for the block
// that is copied last. It is a power of two.
const recordSize = 4096

// page is where a record is written. Of an array the compiler knows the length,
// and that a place below recordSize leaves 64 bytes behind it: nothing is checked
// but once a record.
type page [recordSize + 64]byte

// fits reports whether a record by p has room in a page.
func (w *pen) fits(p *plan) bool { return p.room+len(w.fixed)+len(w.tags) < recordSize }

// write appends e's record to dst. It must fit.
func (w *pen) write(dst []byte, p *plan, e *flow.Event) []byte {
	w.fill(e, p.uses)
	if cap(dst)-len(dst) < len(page{}) {
		dst = slices.Grow(dst, len(page{}))
	}
	d, n := (*page)(dst[len(dst):cap(dst)]), 0
	for i := range p.steps {
		s := &p.steps[i]
		at := n & (recordSize - 1)
		*(*[16]byte)(d[at:]) = *(*[16]byte)(s.text[:])
		if s.n > 16 {
			*(*[16]byte)(d[at+16:]) = *(*[16]byte)(s.text[16:])
		}
		if s.n > 32 {
			*(*[16]byte)(d[at+32:]) = *(*[16]byte)(s.text[32:])
			*(*[16]byte)(d[at+pieceSize-16:]) = *(*[16]byte)(s.text[pieceSize-16:])
		}
		n += int(s.n)
		if s.slot < slotNone {
			n += copy(d[n:], w.long(s.slot))
			continue
		}
		c := &w.cells[s.slot%64]
		at = n & (recordSize - 1)
		*(*[16]byte)(d[at:]) = *(*[16]byte)(c.text[:])
		if c.n > 16 {
			*(*[16]byte)(d[at+16:]) = *(*[16]byte)(c.text[16:])
			*(*[16]byte)(d[at+32:]) = *(*[16]byte)(c.text[32:])
		}
		n += c.n
	}
	return dst[:len(dst)+n]
}

// long is the text of a slot that has no cell.
func (w *pen) long(s slot) []byte {
	switch s {
	case slotTags:
		return w.tags
	case slotProgName:
		return w.prog
	}
	return w.fixed
}
