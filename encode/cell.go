package encode

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// chars is a short text, the first character in the lowest byte. It is written
// and read by whole words, for a processor that has just written two words
// takes long to read the bytes between them.
type chars [6]uint64

// maxText is how many characters they are.
const maxText = 48

// cell holds a value as text, always one of the same kind. What stands behind
// the text has no meaning.
type cell struct {
	text   chars
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
		c.text[0], c.n = decimal(uint32(v))
		return
	}
	c.setLong(v)
}

// setLong is setNumber for more than eight digits.
func (c *cell) setLong(v uint64) {
	high, low := v/1e8, digits8(uint32(v%1e8))|ascii0
	if high < 1e8 {
		c.text[0], c.n = decimal(uint32(high))
		c.text[1] = 0
	} else {
		middle := digits8(uint32(high%1e8)) | ascii0
		c.text[0], c.n = decimal(uint32(high / 1e8))
		c.text[2] = 0
		c.add(0, middle, 8)
	}
	c.add(c.n/8, low, 8)
}

// add puts the n characters of text behind the cell's, which end in word i.
func (c *cell) add(i int, text uint64, n int) {
	shift := c.n % 8 * 8
	c.text[i%6] |= text << shift
	c.text[(i+1)%6] = text >> (64 - shift)
	c.n += n
}

// putInt makes v in decimal the text, with a sign if it is negative.
func (c *cell) putInt(v int64) {
	if v >= 0 {
		c.setNumber(uint64(v))
		return
	}
	c.setNumber(-uint64(v))
	c.text[2] = c.text[2]<<8 | c.text[1]>>56
	c.text[1] = c.text[1]<<8 | c.text[0]>>56
	c.text[0] = c.text[0]<<8 | '-'
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
	zeros := bits.TrailingZeros64(x|1<<56) / 8 // the last digit is always written
	return (x | ascii0) >> (8 * zeros % 64), 8 - zeros
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
	c.text[0], c.text[1] = hex8(uint32(v>>32)), hex8(uint32(v))
	c.n = 16
}

func (c *cell) putLabels(v *[16]byte) {
	for i := range 4 {
		c.text[i] = hex8(binary.BigEndian.Uint32(v[4*i:]))
	}
	c.n = 32
}

// setText makes the first n characters of b the text.
func (c *cell) setText(b *[maxText]byte, n int) {
	for i := range c.text {
		c.text[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	c.n = n
}

// noSecond is no time's second.
const noSecond = 1 << 63

// putTime makes ns since the epoch the text, as clock.appendTime writes it. The
// second is the same as the last one, mostly, and then stays.
func (c *cell) putTime(ns int64) {
	second := ns / int64(time.Second)
	fraction := int32(ns - second*int64(time.Second))
	if fraction < 0 {
		second--
		fraction += int32(time.Second)
	}
	if c.number != uint64(second) {
		c.setSecond(second)
	}
	digits := digits8(uint32(fraction)/10) | ascii0
	c.text[2] = c.text[2]&(1<<32-1) | digits<<32
	c.text[3] = digits>>32 | uint64('0'+uint32(fraction)%10)<<32 | 'Z'<<40
}

// setSecond writes all of a time but its fraction.
func (c *cell) setSecond(second int64) {
	t := time.Unix(second, 0).UTC()
	year, month, day := t.Date()
	h, m, s := t.Clock()
	c.text[0] = pair(year/100) | pair(year%100)<<16 | '-'<<32 | pair(int(month))<<40 | '-'<<56
	c.text[1] = pair(day) | 'T'<<16 | pair(h)<<24 | ':'<<40 | pair(m)<<48
	c.text[2] = ':' | pair(s)<<8 | '.'<<24
	c.n, c.number = 30, uint64(second)
}

// pair gives a number of two digits as text.
func pair(v int) uint64 { return uint64(pairs[2*v]) | uint64(pairs[2*v+1])<<8 }
