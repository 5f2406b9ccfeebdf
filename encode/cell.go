package encode

import (
	"encoding/binary"
	"math/bits"
)

// maxText is room for the longest value, an IPv6 address, and for the word that
// its last digits are written with.
const maxText = 48

// cell holds a value as text, always one of the same kind. What stands behind
// the text has no meaning.
type cell struct {
	text   [maxText]byte
	number uint64 // whose text it is; of a time the second
	n      int    // the text's length
}

// putNumber makes v in decimal the text.
func (c *cell) putNumber(v uint64) {
	if c.number != v || c.n == 0 {
		c.setNumber(v)
	}
}

func (c *cell) setNumber(v uint64) {
	c.number = v
	if v < 1e8 {
		text, n := decimal(uint32(v))
		binary.LittleEndian.PutUint64(c.text[:], text)
		c.n = n
		return
	}
	c.n = 0
	c.startLong(v / 1e8)
	c.add(digits8(uint32(v%1e8))|ascii0, 8)
}

// startLong writes all of a number but its last eight digits.
func (c *cell) startLong(v uint64) {
	if v >= 1e8 {
		c.add(decimal(uint32(v / 1e8)))
		c.add(digits8(uint32(v%1e8))|ascii0, 8)
		return
	}
	c.add(decimal(uint32(v)))
}

// add puts n characters behind the text.
func (c *cell) add(text uint64, n int) {
	binary.LittleEndian.PutUint64(c.text[c.n:], text)
	c.n += n
}

// putInt makes v in decimal the text, with a sign if it is negative.
func (c *cell) putInt(v int64) {
	if v >= 0 {
		c.setNumber(uint64(v))
		return
	}
	c.setNumber(-uint64(v))
	copy(c.text[1:], c.text[:c.n])
	c.text[0] = '-'
	c.n++
}

const ascii0 = 0x3030303030303030

// digits8 gives the eight digits of v, which is below 10^8, a byte each and not
// yet as text; the first digit is the lowest byte.
func digits8(v uint32) uint64 {
	x := uint64(v/10000) | uint64(v%10000)<<32 // two of four digits
	q := x * 10486 >> 20 & 0x0000007f_0000007f // divided by 100
	x = q | (x-100*q)<<16                      // four of two digits
	q = x * 103 >> 10 & 0x000f000f_000f000f    // divided by 10
	return q | (x-10*q)<<8
}

// decimal gives v, which is below 10^8, as text, with its length. Behind it stands zero.
func decimal(v uint32) (text uint64, n int) {
	x := digits8(v)
	zeros := uint(bits.TrailingZeros64(x|1<<56)) / 8 // the last digit is always written
	return (x | ascii0) >> (8 * zeros % 64), 8 - int(zeros)
}

// hex8 gives v's eight hexadecimal digits as text; the first digit is the lowest byte.
func hex8(v uint32) uint64 {
	x := uint64(bits.ReverseBytes32(v))
	x = (x | x<<16) & 0x0000ffff_0000ffff
	x = (x | x<<8) & 0x00ff00ff_00ff00ff
	x = x>>4&0x000f000f_000f000f | x&0x000f000f_000f000f<<8
	const letters = 'a' - '0' - 10
	return x + ascii0 + (x+0x0606060606060606)>>4&0x0101010101010101*letters
}

// putID makes a 64-bit identifier as 16 hexadecimal digits the text.
func (c *cell) putID(v uint64) {
	binary.LittleEndian.PutUint64(c.text[:], hex8(uint32(v>>32)))
	binary.LittleEndian.PutUint64(c.text[8:], hex8(uint32(v)))
	c.n = 16
}

func (c *cell) putLabels(v *[16]byte) {
	for i := range 4 {
		binary.LittleEndian.PutUint64(c.text[8*i:], hex8(binary.BigEndian.Uint32(v[4*i:])))
	}
	c.n = 32
}
