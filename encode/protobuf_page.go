package encode

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ctferry/ctferry/source/flow"
)

// pbRoom is more than a part of a record takes that is written into a pbPage.
const pbRoom = 512

// pbPage is a stretch of a buffer behind what was written, with room for a part
// of a record whose greatest length is known: where a value goes, then, is
// checked against a constant, and no slice is passed on and given back for each
// field. Its methods write at n and give where the next is to be written.
// Messages on a page are shorter than 128 bytes, so that their length is one.
type pbPage [pbRoom]byte

// pbReserve makes room for so many bytes and a page behind them.
func pbReserve(dst []byte, more int) []byte {
	if cap(dst)-len(dst) < more+pbRoom {
		return slices.Grow(dst, more+pbRoom)
	}
	return dst
}

// pbBehind gives the page behind what was written; pbReserve has made room for it.
func pbBehind(dst []byte) *pbPage {
	n := len(dst)
	return (*pbPage)(dst[n : n+pbRoom])
}

// pbWritten adds what was written on the page behind.
func pbWritten(dst []byte, n int) []byte { return dst[:len(dst)+n] }

// varint writes a number in base 128, the low digits first.
func (w *pbPage) varint(n int, v uint64) int {
	switch {
	case v < 1<<7:
		w[n] = byte(v)
		return n + 1
	case v < 1<<14:
		binary.LittleEndian.PutUint16(w[n:], uint16(v&0x7f|v<<1&0x7f00|0x80))
		return n + 2
	case v < 1<<21:
		binary.LittleEndian.PutUint32(w[n:], uint32(v&0x7f|v<<1&0x7f00|v<<2&0x7f0000|0x8080))
		return n + 3
	case v < 1<<56:
		return w.long(n, v)
	}
	return n + binary.PutUvarint(w[n:], v)
}

// long writes a number of at most eight digits, and what is left of a word
// behind it. The digits are spread without a loop: how many there are is what a
// processor cannot guess.
func (w *pbPage) long(n int, v uint64) int {
	x := v&0x0fffffff | v&0x00fffffff0000000<<4
	x = x&0x00003fff00003fff | x&0x0fffc0000fffc000<<2
	x = x&0x007f007f007f007f | x&0x3f803f803f803f80<<1
	more := uint(bits.Len64(v)-1) / 7
	binary.LittleEndian.PutUint64(w[n:], x|0x8080808080808080&(1<<(8*more&63)-1))
	return n + int(more) + 1
}

// tag writes a field's number, below 2048, and its wire type.
func (w *pbPage) tag(n int, num protowire.Number, typ protowire.Type) int {
	t := uint(num)<<3 | uint(typ)
	if t < 0x80 {
		w[n] = byte(t)
		return n + 1
	}
	w[n], w[n+1] = byte(t)|0x80, byte(t>>7)
	return n + 2
}

// key is the tag of a varint.
func (w *pbPage) key(n int, num protowire.Number) int { return w.tag(n, num, protowire.VarintType) }

// small writes a whole field of one byte.
func (w *pbPage) small(n int, num protowire.Number, v uint8) int {
	n = w.tag(n, num, protowire.VarintType)
	w[n], w[n+1] = v, 1
	return n + 1 + int(v>>7)
}

func (w *pbPage) fixed(n int, num protowire.Number, v uint64) int {
	n = w.tag(n, num, protowire.Fixed64Type)
	binary.LittleEndian.PutUint64(w[n:], v)
	return n + 8
}

// open begins a message; what follows stands from where it points.
func (w *pbPage) open(n int, num protowire.Number) int {
	return w.tag(n, num, protowire.BytesType) + 1
}

// close ends a message that stands from start on.
func (w *pbPage) close(n, start int) int {
	w[start-1] = byte(n - start)
	return n
}

// member ends a message whose tag stands at at; an empty one is taken back.
func (w *pbPage) member(n, at, start int) int {
	if n == start {
		return at
	}
	return w.close(n, start)
}

func (w *pbPage) addr(n int, num protowire.Number, a *flow.Addr, f flow.Family) int {
	n = w.tag(n, num, protowire.BytesType)
	size := f.AddrLen()
	w[n] = byte(size)
	*(*flow.Addr)(w[n+1:]) = *a
	return n + 1 + size
}

// ends writes addresses and ports of a tuple that has these, fields 1 to 4,
// without a branch on the ports: how many digits a port has changes from flow to
// flow. The tags are 1<<3|2, 2<<3|2, 3<<3 and 4<<3.
func (w *pbPage) ends(n int, t *flow.Tuple) int {
	if t.Family == flow.IPv4 {
		src, dst := binary.LittleEndian.Uint32(t.Src[:]), binary.LittleEndian.Uint32(t.Dst[:])
		binary.LittleEndian.PutUint64(w[n:], uint64(src)<<16|0x040a)
		binary.LittleEndian.PutUint64(w[n+6:], uint64(dst)<<16|0x0412)
		n += 12
	} else {
		binary.LittleEndian.PutUint16(w[n:], 0x100a)
		*(*flow.Addr)(w[n+2:]) = t.Src
		binary.LittleEndian.PutUint16(w[n+18:], 0x1012)
		*(*flow.Addr)(w[n+20:]) = t.Dst
		n += 36
	}
	port, more := pbPort(t.SrcPort)
	binary.LittleEndian.PutUint32(w[n:], port<<8|0x18)
	n += 2 + more
	port, more = pbPort(t.DstPort)
	binary.LittleEndian.PutUint32(w[n:], port<<8|0x20)
	return n + 2 + more
}

// pbPort gives a port as a varint and how many bytes it has beside the first.
func pbPort(port uint16) (x uint32, more int) {
	v := uint32(port)
	two, three := (0x7f-v)>>31, (0x3fff-v)>>31
	return v&0x7f | v<<1&0x7f00 | v<<2&0x030000 | two<<7 | three<<15, int(two + three)
}

// text writes bytes of which the page has room for all.
func (w *pbPage) text(n int, s string) int { return n + copy(w[n:], s) }

// bits writes the numbers of the bits that are set and have a name, plus one,
// packed.
func (w *pbPage) bits(n int, num protowire.Number, set uint32, nameOf func(int) string) int {
	at := n
	n = w.open(n, num)
	start := n
	for set != 0 {
		if bit := nextBit(&set); nameOf(bit) != "" {
			w[n] = byte(bit + 1)
			n++
		}
	}
	return w.member(n, at, start)
}

// runLen is the length of field 11: tag, length and the run's id.
const runLen = 18
