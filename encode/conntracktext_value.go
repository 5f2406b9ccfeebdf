package encode

import (
	"encoding/binary"

	"github.com/ctferry/ctferry/source/flow"
)

// The functions below append what lines are made of. A name comes with the
// equals sign, and every value is followed by a blank; trimSpace takes the
// last one back.

func trimSpace(dst []byte) []byte {
	if n := len(dst); n > 0 && dst[n-1] == ' ' {
		return dst[:n-1]
	}
	return dst
}

func textUint(dst []byte, name string, v uint64) []byte {
	return append(appendUint(append(dst, name...), v), ' ')
}

func textString(dst []byte, name, s string) []byte {
	return append(appendPlain(append(dst, name...), s), ' ')
}

func textKey(dst []byte, name string, v uint16) []byte {
	return append(appendHex(append(append(dst, name...), '0', 'x'), v), ' ')
}

func textAddr(dst []byte, name string, a *flow.Addr, f flow.Family) []byte {
	return append(appendInetAddr(append(dst, name...), a, f), ' ')
}

// textColumn appends a word in a column of eight and the number behind it.
func textColumn(dst []byte, word string, v uint8) []byte {
	dst = append(dst, word...)
	for n := len(word); n < 8; n++ {
		dst = append(dst, ' ')
	}
	return append(appendUint8(append(dst, ' '), v), ' ')
}

// appendHex appends v in hexadecimal.
func appendHex(dst []byte, v uint16) []byte {
	for shift := 12; shift >= 0; shift -= 4 {
		if d := v >> shift; d != 0 || shift == 0 {
			dst = append(dst, hexDigits[d&15])
		}
	}
	return dst
}

// appendPlain appends s with a question mark for every control character: a
// name must never look like a line of its own, nor speak to a terminal.
func appendPlain(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < ' ' || c == 0x7f {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

// appendStamp appends the time in front of an event.
func appendStamp(dst []byte, ns int64) []byte {
	const perSecond, perMicrosecond = 1e9, 1e3
	second, rest := ns/perSecond, ns%perSecond
	if second < 0 || rest < 0 {
		second, rest = 0, 0 // there was no conntrack before 1970
	}
	dst = append(appendPadded(append(dst, '['), uint64(second), 8), '.')
	return append(appendPadded(dst, uint64(rest/perMicrosecond), 6), ']', '\t')
}

// appendPadded appends v with zeros in front, at least so many digits.
func appendPadded(dst []byte, v uint64, digits int) []byte {
	for limit, n := uint64(10), 1; n < digits; limit, n = limit*10, n+1 {
		if v < limit {
			dst = append(dst, '0')
		}
	}
	return appendUint(dst, v)
}

// appendInetAddr appends an address as the C library's inet_ntop(3) does: it
// writes the last 32 bits of an IPv4-mapped and of an IPv4-compatible address
// with dots, where RFC 5952 and net/netip do so for the mapped ones only.
func appendInetAddr(dst []byte, a *flow.Addr, f flow.Family) []byte {
	if f == flow.IPv4 {
		return appendAddr(dst, a, f)
	}
	var words [8]uint16
	for i := range words {
		words[i] = binary.BigEndian.Uint16(a[2*i:])
	}
	base, length := longestZeros(&words)
	dotted := base == 0 && (length == 6 || length == 5 && words[5] == 0xffff)
	for i := 0; i < len(words); i++ {
		if length > 0 && i == base {
			dst = append(dst, ':')
			if i += length - 1; i == len(words)-1 {
				return append(dst, ':')
			}
			continue
		}
		if i > 0 {
			dst = append(dst, ':')
		}
		if i == 6 && dotted {
			last := flow.Addr{a[12], a[13], a[14], a[15]}
			return appendAddr(dst, &last, flow.IPv4)
		}
		dst = appendHex(dst, words[i])
	}
	return dst
}

// longestZeros finds the first of the longest runs of zero words; one word
// alone is no run.
func longestZeros(words *[8]uint16) (base, length int) {
	for i := 0; i < len(words); i++ {
		n := 0
		for i+n < len(words) && words[i+n] == 0 {
			n++
		}
		if n > max(length, 1) {
			base, length = i, n
		}
		i += n
	}
	return base, length
}
