package encode

import (
	"encoding/binary"
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
	p      *Projection

	origin      *flow.Origin
	known       bool // what follows is of origin
	fixed, tags []byte
}

func newPen(p *Projection) pen {
	w := pen{p: p, octets: newOctets()}
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
	var b [maxText]byte
	for i, word := range w.cells[s].text {
		binary.LittleEndian.PutUint64(b[8*i:], word)
	}
	return append(dst, b[:w.cells[s].n]...)
}

// write appends e's record to dst.
func (w *pen) write(dst []byte, p *plan, e *flow.Event) []byte {
	w.fill(e, p.uses)
	room := p.room + len(w.fixed) + len(w.tags)
	if cap(dst)-len(dst) < room {
		dst = slices.Grow(dst, room)
	}
	buf, n := dst[:cap(dst)], len(dst)
	for i := range p.steps {
		s := &p.steps[i]
		putPiece(buf[n:], &s.text, s.n)
		n += int(s.n)
		if s.slot > slotTags {
			c := &w.cells[s.slot%64]
			putChars(buf[n:], c)
			n += c.n
			continue
		}
		if s.slot == slotOrigin {
			n += copy(buf[n:], w.fixed)
		} else {
			n += copy(buf[n:], w.tags)
		}
	}
	return dst[:n]
}

func putPiece(dst []byte, text *[pieceSize]byte, n uint8) {
	*(*[16]byte)(dst) = *(*[16]byte)(text[:])
	if n > 16 {
		*(*[16]byte)(dst[16:]) = *(*[16]byte)(text[16:])
	}
}

func putChars(dst []byte, c *cell) {
	d := (*[maxText]byte)(dst)
	binary.LittleEndian.PutUint64(d[0:], c.text[0])
	binary.LittleEndian.PutUint64(d[8:], c.text[1])
	if c.n > 16 {
		binary.LittleEndian.PutUint64(d[16:], c.text[2])
		binary.LittleEndian.PutUint64(d[24:], c.text[3])
		binary.LittleEndian.PutUint64(d[32:], c.text[4])
		binary.LittleEndian.PutUint64(d[40:], c.text[5])
	}
}
