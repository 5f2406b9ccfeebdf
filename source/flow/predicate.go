package flow

import (
	"encoding/binary"
	"net/netip"
)

// Predicate compares one field with a list of values, one of which must match
// (of status, whose words are one value: all). Only the slices that the field's
// values need are set.
type Predicate struct {
	Field  Field
	Ranges []Range     // numbers; words as their numbers, true as 1; sorted, disjoint, not adjacent
	Masks  []Masked    // mark and status
	Addrs  []AddrRange // sorted, disjoint, not adjacent; IPv4 before IPv6
	Within []AddrMask  // addresses under masks that are no prefix
	States States      // state
	Texts  []string    // netns, helper, secctx; sorted
}

// Range is the numbers from Lo to Hi, both included.
type Range struct{ Lo, Hi uint32 }

// Masked matches a number n if n & Mask == Value, as conntrack -L -m does.
type Masked struct{ Value, Mask uint32 }

// AddrRange is the addresses of a family from Lo to Hi, both included.
type AddrRange struct {
	Family Family
	Lo, Hi Addr
}

// AddrMask is the addresses of a family of which the bits of Mask are Value's.
type AddrMask struct {
	Family      Family
	Value, Mask Addr
}

// States is a set of protocol states: bit n stands for state number n of
// TCPStateName, SCTPStateName and DCCPStateName.
type States struct{ TCP, SCTP, DCCP uint16 }

// Has reports whether the number is in the range.
func (r Range) Has(n uint32) bool { return r.Lo <= n && n <= r.Hi }

// Has reports whether the number matches.
func (m Masked) Has(n uint32) bool { return n&m.Mask == m.Value }

// Has reports whether the address, of family f, is in the range. Of an IPv4
// address only the first four bytes are read.
func (r *AddrRange) Has(a *Addr, f Family) bool {
	if f != r.Family {
		return false
	}
	if n := binary.BigEndian.Uint32(a[:]); f == IPv4 {
		return r.lo4() <= n && n <= r.hi4()
	}
	return !a.less(&r.Lo) && !r.Hi.less(a)
}

// Has reports whether the address, of family f, matches.
func (m *AddrMask) Has(a *Addr, f Family) bool {
	if f != m.Family {
		return false
	}
	for i := range f.AddrLen() {
		if a[i]&m.Mask[i] != m.Value[i] {
			return false
		}
	}
	return true
}

// Prefix gives the range as a prefix, if it is exactly one: that is what the
// kernel can compare.
func (r *AddrRange) Prefix() (netip.Prefix, bool) {
	bits := 8 * r.Family.AddrLen()
	for i := range r.Family.AddrLen() {
		if x := r.Lo[i] ^ r.Hi[i]; x != 0 {
			bits = 8*i + leadingZeros8(x)
			break
		}
	}
	p := netip.PrefixFrom(r.Lo.In(r.Family), bits)
	full, ok := addrRangeOf(p)
	return p, ok && full == *r
}

func leadingZeros8(x byte) int {
	n := 0
	for ; x&0x80 == 0; x <<= 1 {
		n++
	}
	return n
}

// addrRangeOf is the inverse of Prefix; it reports false if p has host bits.
func addrRangeOf(p netip.Prefix) (AddrRange, bool) {
	if p != p.Masked() {
		return AddrRange{}, false
	}
	lo, f := AddrFrom(p.Addr())
	hi := lo
	for bit := p.Bits(); bit < 8*f.AddrLen(); bit++ {
		hi[bit/8] |= 0x80 >> (bit % 8)
	}
	return AddrRange{f, lo, hi}, true
}

func (a *Addr) less(b *Addr) bool {
	x, y := binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(b[:])
	if x != y {
		return x < y
	}
	return binary.BigEndian.Uint64(a[8:]) < binary.BigEndian.Uint64(b[8:])
}

// linear is how many values are tried one after the other; more are searched.
const linear = 8

func inRanges(rs []Range, n uint32) bool {
	for len(rs) > linear {
		if mid := len(rs) / 2; n < rs[mid].Lo {
			rs = rs[:mid]
		} else {
			rs = rs[mid:]
		}
	}
	for _, r := range rs {
		if r.Has(n) {
			return true
		}
	}
	return false
}

func inAddrs(rs []AddrRange, a *Addr, f Family) bool {
	if f == IPv4 {
		return inAddrs4(rs, binary.BigEndian.Uint32(a[:]))
	}
	for len(rs) > linear {
		if mid := len(rs) / 2; rs[mid].Family == f && a.less(&rs[mid].Lo) {
			rs = rs[:mid]
		} else {
			rs = rs[mid:]
		}
	}
	for i := range rs {
		if rs[i].Has(a, f) {
			return true
		}
	}
	return false
}

func inAddrs4(rs []AddrRange, n uint32) bool {
	for len(rs) > linear {
		if mid := len(rs) / 2; rs[mid].Family != IPv4 || n < rs[mid].lo4() {
			rs = rs[:mid]
		} else {
			rs = rs[mid:]
		}
	}
	for i := range rs {
		if r := &rs[i]; r.Family == IPv4 && n-r.lo4() <= r.hi4()-r.lo4() {
			return true
		}
	}
	return false
}

func (r *AddrRange) lo4() uint32 { return binary.BigEndian.Uint32(r.Lo[:]) }
func (r *AddrRange) hi4() uint32 { return binary.BigEndian.Uint32(r.Hi[:]) }
