package encode

import (
	"encoding/hex"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// pairs holds the numbers 00 to 99.
const pairs = "00010203040506070809" + "10111213141516171819" + "20212223242526272829" + "30313233343536373839" +
	"40414243444546474849" + "50515253545556575859" + "60616263646566676869" + "70717273747576777879" +
	"80818283848586878889" + "90919293949596979899"

const hexDigits = "0123456789abcdef"

// appendUint8 appends v in decimal.
func appendUint8(dst []byte, v uint8) []byte {
	switch {
	case v < 10:
		return append(dst, '0'+v)
	case v < 100:
		return append(dst, pairs[2*v], pairs[2*v+1])
	}
	h := v / 100
	v -= 100 * h
	return append(dst, '0'+h, pairs[2*v], pairs[2*v+1])
}

// appendUint appends v in decimal.
func appendUint(dst []byte, v uint64) []byte {
	if v < 100 {
		return appendUint8(dst, uint8(v))
	}
	var b [20]byte
	i := len(b)
	for v >= 100 {
		q := v / 100
		r := (v - 100*q) * 2
		i -= 2
		b[i], b[i+1] = pairs[r], pairs[r+1]
		v = q
	}
	if v >= 10 {
		i -= 2
		b[i], b[i+1] = pairs[2*v], pairs[2*v+1]
	} else {
		i--
		b[i] = '0' + byte(v)
	}
	return append(dst, b[i:]...)
}

// appendID appends a 64-bit identifier as 16 hexadecimal digits.
func appendID(dst []byte, v uint64) []byte {
	var b [16]byte
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = hexDigits[v&15]
		v >>= 4
	}
	return append(dst, b[:]...)
}

// appendUUID appends b as RFC 9562 writes it.
func appendUUID(dst []byte, b *[16]byte) []byte {
	dst = append(hex.AppendEncode(dst, b[:4]), '-')
	dst = append(hex.AppendEncode(dst, b[4:6]), '-')
	dst = append(hex.AppendEncode(dst, b[6:8]), '-')
	dst = append(hex.AppendEncode(dst, b[8:10]), '-')
	return hex.AppendEncode(dst, b[10:])
}

// appendAddr appends an address as RFC 5952 and net/netip write it.
func appendAddr(dst []byte, a *flow.Addr, f flow.Family) []byte {
	if f != flow.IPv4 {
		return appendIPv6(dst, a)
	}
	dst = append(appendUint8(dst, a[0]), '.')
	dst = append(appendUint8(dst, a[1]), '.')
	dst = append(appendUint8(dst, a[2]), '.')
	return appendUint8(dst, a[3])
}

// appendIPv6 appends an IPv6 address: the first of the longest runs of two or
// more zero groups becomes "::", and an IPv4-mapped address ends as IPv4.
func appendIPv6(dst []byte, a *flow.Addr) []byte {
	var groups [8]uint16
	from, to, start := 8, 8, 0 // groups[from:to] is the run; start begins the one that may be going on
	for i := range groups {
		groups[i] = uint16(a[2*i])<<8 | uint16(a[2*i+1])
		if groups[i] != 0 {
			start = i + 1
		} else if n := i + 1 - start; n > to-from && n > 1 {
			from, to = start, i+1
		}
	}
	if from == 0 && to == 5 && groups[5] == 0xffff {
		return appendAddr(append(dst, "::ffff:"...), &flow.Addr{a[12], a[13], a[14], a[15]}, flow.IPv4)
	}
	for i := 0; i < len(groups); i++ {
		if i == from {
			dst = append(dst, ':', ':')
			if i = to; i == len(groups) {
				break
			}
		} else if i > 0 {
			dst = append(dst, ':')
		}
		dst = appendHex16(dst, groups[i])
	}
	return dst
}

// appendHex16 appends v in hexadecimal without leading zeros.
func appendHex16(dst []byte, v uint16) []byte {
	switch {
	case v >= 0x1000:
		return append(dst, hexDigits[v>>12], hexDigits[v>>8&15], hexDigits[v>>4&15], hexDigits[v&15])
	case v >= 0x100:
		return append(dst, hexDigits[v>>8], hexDigits[v>>4&15], hexDigits[v&15])
	case v >= 0x10:
		return append(dst, hexDigits[v>>4], hexDigits[v&15])
	}
	return append(dst, hexDigits[v])
}

// clock writes times. It remembers the date of the last one: almost every time
// that it is given is of the same day.
type clock struct {
	day  int64
	date [11]byte // 2006-01-02T; empty before the first time
}

// appendTime appends ns since the epoch as RFC 3339 in UTC, always with nine
// fractional digits.
func (c *clock) appendTime(dst []byte, ns int64) []byte {
	const perSecond, perDay = int64(time.Second), int64(24 * time.Hour)
	day := ns / perDay
	ns -= day * perDay
	if ns < 0 {
		day--
		ns += perDay
	}
	if day != c.day || c.date[0] == 0 {
		c.day = day
		time.Unix(day*(perDay/perSecond), 0).UTC().AppendFormat(c.date[:0], "2006-01-02T")
	}
	second, fraction := uint32(ns/perSecond), uint32(ns%perSecond)
	h, m, s := second/3600*2, second/60%60*2, second%60*2
	var b [19]byte
	b[0], b[1], b[2] = pairs[h], pairs[h+1], ':'
	b[3], b[4], b[5] = pairs[m], pairs[m+1], ':'
	b[6], b[7], b[8] = pairs[s], pairs[s+1], '.'
	for i := 16; i >= 10; i -= 2 {
		r := fraction % 100 * 2
		fraction /= 100
		b[i], b[i+1] = pairs[r], pairs[r+1]
	}
	b[9] = '0' + byte(fraction)
	b[18] = 'Z'
	dst = append(dst, c.date[:]...)
	return append(dst, b[:]...)
}
