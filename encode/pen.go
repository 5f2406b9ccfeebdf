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
}

func newPen(p *Projection) pen {
	w := pen{p: p, octets: newOctets(), day: -noSecond}
	for _, s := range [...]slot{slotTime, slotReceived, slotStart, slotStop} {
		w.cells[s].number = noSecond
	}
	return w
}

// value appends the text of a slot.
func (w *pen) value(dst []byte, s slot) []byte {
	switch s {
	case slotOrigin:
		return append(dst, w.fixed...)
	case slotTags:
		return append(dst, w.tags...)
	}
	c := &w.cells[s]
	return append(dst, c.text[:c.n]...)
}

// write appends e's record to dst.
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
		n += int(s.n)
		if s.slot > slotTags {
			c := &w.cells[s.slot%64]
			at = n & (recordSize - 1)
			copyWord(d[at:], c.text[0:])
			copyWord(d[at+8:], c.text[8:])
			if c.n > 16 {
				copyWord(d[at+16:], c.text[16:])
				copyWord(d[at+24:], c.text[24:])
				copyWord(d[at+32:], c.text[32:])
				copyWord(d[at+40:], c.text[40:])
			}
			n += c.n
			continue
		}
		if s.slot == slotOrigin {
			n += copy(d[n:], w.fixed)
		} else {
			n += copy(d[n:], w.tags)
		}
	}
	return dst[:len(dst)+n]
}

func copyWord(dst, src []byte) { *(*[8]byte)(dst) = *(*[8]byte)(src) }

const recordSize = 4096

type page [recordSize + 64]byte
