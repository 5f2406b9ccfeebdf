package encode

import (
	"encoding/binary"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// pbTag writes a field's number and wire type: two bytes at most, for no record
// has a field of 2048 or more. protowire's own is general, and took a sixth of
// the encoder's time.
func pbTag(dst []byte, num protowire.Number, typ protowire.Type) []byte {
	t := uint(num)<<3 | uint(typ)
	if t < 0x80 {
		return append(dst, byte(t))
	}
	return append(dst, byte(t)|0x80, byte(t>>7))
}

// pbVarint writes a number in base 128, the low digits first.
func pbVarint(dst []byte, v uint64) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// The functions below write one field. Those whose name ends in If leave out a
// zero, as proto3 does with a field that is not optional.

func pbUint(dst []byte, num protowire.Number, v uint64) []byte {
	return pbVarint(pbTag(dst, num, protowire.VarintType), v)
}

func pbUintIf(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return pbUint(dst, num, v)
}

func pbFixed(dst []byte, num protowire.Number, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(pbTag(dst, num, protowire.Fixed64Type), v)
}

func pbFixedIf(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return pbFixed(dst, num, v)
}

func pbBool(dst []byte, num protowire.Number, v bool) []byte {
	return pbUint(dst, num, protowire.EncodeBool(v))
}

func pbBytes(dst []byte, num protowire.Number, v []byte) []byte {
	return append(pbVarint(pbTag(dst, num, protowire.BytesType), uint64(len(v))), v...)
}

// pbString writes a string, which protobuf wants to be UTF-8: a broken sequence
// becomes U+FFFD, as in JSON.
func pbString(dst []byte, num protowire.Number, s string) []byte {
	if utf8.ValidString(s) {
		return append(pbVarint(pbTag(dst, num, protowire.BytesType), uint64(len(s))), s...)
	}
	dst, start := pbOpen(dst, num)
	for _, r := range s {
		dst = utf8.AppendRune(dst, r)
	}
	return pbClose(dst, start)
}

func pbStringIf(dst []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	return pbString(dst, num, s)
}

// pbBits is pbPage.bits for a record's rare parts.
func pbBits(dst []byte, num protowire.Number, set uint32, nameOf func(int) string) []byte {
	dst = pbReserve(dst, 0)
	return pbWritten(dst, pbBehind(dst).bits(0, num, set, nameOf))
}

// pbOpen begins a message of unknown length; what follows stands from start on.
func pbOpen(dst []byte, num protowire.Number) (out []byte, start int) {
	dst = append(pbTag(dst, num, protowire.BytesType), 0)
	return dst, len(dst)
}

// pbClose ends a message: its length goes before it, into the one byte that
// was kept free where that is enough.
func pbClose(dst []byte, start int) []byte {
	n := len(dst) - start
	if n < 0x80 {
		dst[start-1] = byte(n)
		return dst
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	for range more {
		dst = append(dst, 0)
	}
	copy(dst[start+more:], dst[start:start+n])
	protowire.AppendVarint(dst[:start-1], uint64(n))
	return dst
}

// pbMember ends a message whose tag stands at at; an empty one is taken back.
func pbMember(dst []byte, at, start int) []byte {
	if len(dst) == start {
		return dst[:at]
	}
	return pbClose(dst, start)
}
