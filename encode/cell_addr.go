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
		c.n = w.octets.put((*[16]byte)(c.text[:]), a[0], a[1], a[2], a[3])
	} else {
		w.octets.putIPv6(c, a)
	}
}

// put writes an IPv4 address and gives its length.
func (o *octets) put(b *[16]byte, a0, a1, a2, a3 byte) int {
	v := o[a0]
	binary.LittleEndian.PutUint32(b[:], uint32(v))
	n := v >> 32
	v = o[a1]
	binary.LittleEndian.PutUint32(b[n:], uint32(v))
	n += v >> 32
	v = o[a2]
	binary.LittleEndian.PutUint32(b[n:], uint32(v))
	n += v >> 32
	v = o[a3]
	binary.LittleEndian.PutUint32(b[n:], uint32(v))
	return int(n+v>>32) - 1 // the last dot is none
}

// putIPv6 makes an IPv6 address the text. It writes groups from the left, each
// as four digits of which the zeros before it are shifted out, and a colon.
func (o *octets) putIPv6(c *cell, a *flow.Addr) {
	high, low := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	if high == 0 && low>>32 == 0xffff {
		const mapped = "::ffff:"
		c.n = copy(c.text[:], mapped) + o.put((*[16]byte)(c.text[len(mapped):]), a[12], a[13], a[14], a[15])
		return
	}
	var groups [8]uint64
	splitGroups((*[4]uint64)(groups[:4]), high)
	splitGroups((*[4]uint64)(groups[4:]), low)
	from, to := zeroRun(zeroGroups(high) | zeroGroups(low)<<4)
	n := putGroups(&c.text, 0, groups[:from])
	if from < to {
		if from == 0 {
			c.text[0] = ':'
			n = 1
		}
		c.text[n%maxText] = ':'
		n = putGroups(&c.text, n+1, groups[to:])
	}
	if to != 8 || from == to {
		n-- // the last colon is none
	}
	c.n = int(n)
}

// splitGroups gives the groups of half an address, four digits and a colon each.
func splitGroups(groups *[4]uint64, half uint64) {
	const colon = ':' << 32
	left, right := hex8(uint32(half>>32)), hex8(uint32(half))
	groups[0], groups[1] = left<<32>>32|colon, left>>32|colon
	groups[2], groups[3] = right<<32>>32|colon, right>>32|colon
}

// putGroups writes groups at n and gives where they end.
func putGroups(b *[maxText]byte, n uint, groups []uint64) uint {
	for _, text := range groups {
		zeros := uint(bits.TrailingZeros32(uint32(text)^0x30303030|1<<24)) / 8 // the last digit is always written
		binary.LittleEndian.PutUint64(b[n:], text>>(8*zeros%64))
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
func zeroRun(set uint8) (from, to uint) {
	n := uint(0) // a bit is left where a run of more than n begins
	for ; set != 0; set &= set >> 1 {
		from = uint(bits.TrailingZeros8(set))
		n++
	}
	if n < 2 {
		return 8, 8
	}
	return from, from + n
}
