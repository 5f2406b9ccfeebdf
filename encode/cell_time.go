package encode

import (
	"encoding/binary"
	"time"
)

const (
	perSecond = int64(time.Second)
	perDay    = 24 * 60 * 60 // seconds
	noSecond  = 1 << 63      // no time's second, nor day
)

// putTime makes ns since the epoch the text, as clock.appendTime writes it. The
// second is the same as the last one's, mostly, or else the day.
func (w *pen) putTime(c *cell, ns int64) {
	second := ns / perSecond
	fraction := ns - second*perSecond
	if fraction < 0 {
		second--
		fraction += perSecond
	}
	if c.number != uint64(second) {
		w.setSecond(c, second)
	}
	f := uint32(fraction)
	c.text[20] = '0' + byte(f/1e8)
	binary.LittleEndian.PutUint64(c.text[21:], digits8(f%1e8)|ascii0)
}

// setSecond writes all of a time but its fraction.
func (w *pen) setSecond(c *cell, second int64) {
	day := second / perDay
	rest := second - day*perDay
	if rest < 0 {
		day--
		rest += perDay
	}
	if day != w.day {
		w.day = day
		time.Unix(day*perDay, 0).UTC().AppendFormat(w.date[:0], "2006-01-02T00:00:00.")
	}
	*(*[24]byte)(c.text[:]) = w.date
	s := uint32(rest)
	putPair(c.text[11:], s/3600)
	putPair(c.text[14:], s/60%60)
	putPair(c.text[17:], s%60)
	c.text[29] = 'Z'
	c.n, c.number = 30, uint64(second)
}

// putPair writes a number of two digits.
func putPair(b []byte, v uint32) { b[0], b[1] = pairs[2*v%200], pairs[2*v%200+1] }
