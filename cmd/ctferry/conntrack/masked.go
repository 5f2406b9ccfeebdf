package conntrack

import (
	"math/bits"
	"net/netip"
)

// Masked is an address of which only the bits of Mask count. The zero Mask
// (invalid) means all of them. Addr has no bit set outside Mask.
type Masked struct{ Addr, Mask netip.Addr }

// Prefix is m as a prefix. It is false if there is no address, or if the bits
// of the mask are not the leading ones: then m cannot be told as a prefix.
func (m Masked) Prefix() (netip.Prefix, bool) {
	if !m.Addr.IsValid() {
		return netip.Prefix{}, false
	}
	if !m.Mask.IsValid() {
		return netip.PrefixFrom(m.Addr, m.Addr.BitLen()), true
	}
	n, ok := leadingOnes(m.Mask)
	return netip.PrefixFrom(m.Addr, n), ok
}

// Contains reports whether a is an address that m means.
func (m Masked) Contains(a netip.Addr) bool {
	if !m.Addr.IsValid() || a.BitLen() != m.Addr.BitLen() {
		return false
	}
	if !m.Mask.IsValid() {
		return a.WithZone("") == m.Addr
	}
	return and(a, m.Mask) == m.Addr
}

// masked puts address and mask into the one form that Masked has for them.
func masked(a, mask netip.Addr) Masked {
	if !mask.IsValid() {
		return Masked{Addr: a}
	}
	if n, ok := leadingOnes(mask); ok && n == a.BitLen() {
		return Masked{Addr: a}
	}
	return Masked{Addr: and(a, mask), Mask: mask}
}

// and works on addresses of one length.
func and(a, b netip.Addr) netip.Addr {
	x, y := a.AsSlice(), b.AsSlice()
	for i := range x {
		x[i] &= y[i]
	}
	r, _ := netip.AddrFromSlice(x)
	return r
}

// leadingOnes counts the leading ones of a mask; it is false if another one
// follows them.
func leadingOnes(mask netip.Addr) (int, bool) {
	n, ended := 0, false
	for _, b := range mask.AsSlice() {
		ones := bits.LeadingZeros8(^b)
		if ended && b != 0 || bits.OnesCount8(b) != ones {
			return 0, false
		}
		n += ones
		ended = ended || ones < 8
	}
	return n, true
}

// maskOf is the mask of a prefix of n bits for addresses like a.
func maskOf(a netip.Addr, n int) netip.Addr {
	b := make([]byte, a.BitLen()/8)
	for i := range b {
		switch {
		case n >= 8*(i+1):
			b[i] = 0xff
		case n > 8*i:
			b[i] = 0xff << (8*(i+1) - n)
		}
	}
	m, _ := netip.AddrFromSlice(b)
	return m
}
