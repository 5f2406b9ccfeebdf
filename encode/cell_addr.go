package encode

import (
	"encoding/binary"
	"math/bits"

	"github.com/ctferry/ctferry/source/flow"
)

// octets are the numbers 0 to 255 as text with a dot behind: in the low half
// the text, in the high one its length.
type octets [256]uint64

func newOctets() (o octets) {
	for i := range o {
		text := append(appendUint8(nil, uint8(i)), '.')
		for k, c := range text {
			o[i] |= uint64(c) << (8 * k)
		}
		o[i] |= uint64(len(text)) << 32
	}
	return o
}

// putAddr makes an address the text, as appendAddr writes it.
func (w *pen) putAddr(c *cell, a *flow.Addr, f flow.Family) {
	if f == flow.IPv4 {
		c.text[0], c.text[1], c.n = w.octets.text(a[0], a[1], a[2], a[3])
	} else {
		w.octets.putIPv6(c, a)
	}
}

// text gives an IPv4 address as text, with its length.
func (o *octets) text(a0, a1, a2, a3 byte) (low, high uint64, n int) {
	left, leftLen := o.two(a0, a1)
	right, rightLen := o.two(a2, a3)
	return left | right<<(8*leftLen), right >> (64 - 8*leftLen), int(leftLen+rightLen) - 1 // the last dot is none
}

// two gives two octets with their dots.
func (o *octets) two(a, b byte) (text, n uint64) {
	left, right := o[a], o[b]
	n = left >> 32
	return left&(1<<32-1) | right<<32>>32<<(8*n), n + right>>32
}

// putIPv6 makes an IPv6 address the text. It writes groups from the left, each
// as four digits of which the zeros before it are shifted out, and a colon.
func (o *octets) putIPv6(c *cell, a *flow.Addr) {
	high, low := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	if high == 0 && low>>32 == 0xffff {
		const mapped = ':' | ':'<<8 | 'f'<<16 | 'f'<<24 | 'f'<<32 | 'f'<<40 | ':'<<48
		left, right, n := o.text(a[12], a[13], a[14], a[15])
		c.text[0], c.text[1], c.text[2], c.n = mapped|left<<56, left>>8|right<<56, right>>8, 7+n
		return
	}
	text := [4]uint64{hex8(uint32(high >> 32)), hex8(uint32(high)), hex8(uint32(low >> 32)), hex8(uint32(low))}
	from, to := zeroRun(zeroGroups(high) | zeroGroups(low)<<4)
	var b [maxText]byte
	n := putGroups(&b, 0, &text, 0, from)
	if from < to {
		if from == 0 {
			b[0] = ':'
			n = 1
		}
		b[n] = ':'
		n = putGroups(&b, n+1, &text, to, 8)
	}
	if to != 8 || from == to {
		n-- // the last colon is none
	}
	c.setText(&b, n)
}

// putGroups writes some of the eight groups at n, each with a colon behind it,
// and gives where they end.
func putGroups(b *[maxText]byte, n int, text *[4]uint64, from, to int) int {
	for i := from; i < to; i++ {
		digits := uint64(uint32(text[i/2%4] >> (i % 2 * 32)))
		zeros := bits.TrailingZeros64((digits^0x30303030)|1<<24) / 8 // the last digit is always written
		binary.LittleEndian.PutUint64(b[n:], (digits|':'<<32)>>(8*zeros%64))
		n += 5 - zeros
	}
	return n
}

// zeroGroups gives a bit for each of the four groups of an address's half that
// is zero; the first group's is the lowest.
func zeroGroups(half uint64) uint8 {
	const low = 0x7fff7fff7fff7fff
	nonzero := ((half & low) + low | half) >> 15 & 0x0001000100010001
	zero := nonzero ^ 0x0001000100010001
	return uint8(zero * (1 | 1<<17 | 1<<34 | 1<<51) >> 48 & 15)
}

// zeroRun gives the first of the longest runs of two or more set bits, or 8, 8.
func zeroRun(set uint8) (from, to int) {
	n := 0 // a bit is left where a run of more than n begins
	for ; set != 0; set &= set >> 1 {
		from = bits.TrailingZeros8(set)
		n++
	}
	if n < 2 {
		return 8, 8
	}
	return from, from + n
}
