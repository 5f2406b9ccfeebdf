package encode

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ctferry/ctferry/source/flow"
)

// The functions below write one field. Those whose name ends in If leave out a
// zero, as proto3 does with a field that is not optional.

func pbUint(dst []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.VarintType), v)
}

func pbUintIf(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return pbUint(dst, num, v)
}

func pbFixed(dst []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(dst, num, protowire.Fixed64Type), v)
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
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), v)
}

// pbString writes a string, which protobuf wants to be UTF-8: a broken sequence
// becomes U+FFFD, as in JSON.
func pbString(dst []byte, num protowire.Number, s string) []byte {
	if utf8.ValidString(s) {
		return protowire.AppendString(protowire.AppendTag(dst, num, protowire.BytesType), s)
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

func pbAddr(dst []byte, num protowire.Number, a *flow.Addr, f flow.Family) []byte {
	return pbBytes(dst, num, a[:f.AddrLen()])
}

// pbBits writes the numbers of the bits that are set and have a name, plus one, packed.
func pbBits(dst []byte, num protowire.Number, set uint32, nameOf func(int) string) []byte {
	at := len(dst)
	dst, start := pbOpen(dst, num)
	for set != 0 {
		if n := nextBit(&set); nameOf(n) != "" {
			dst = append(dst, byte(n+1))
		}
	}
	return pbMember(dst, at, start)
}

// pbOpen begins a message of unknown length; what follows stands from start on.
func pbOpen(dst []byte, num protowire.Number) (out []byte, start int) {
	dst = append(protowire.AppendTag(dst, num, protowire.BytesType), 0)
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
