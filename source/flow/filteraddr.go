package flow

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// addAddr reads an address, a prefix, a range of addresses or address/mask.
func (p *Predicate) addAddr(s string) string {
	if a, mask, found := strings.Cut(s, "/"); found && strings.ContainsAny(mask, ".:") {
		return p.addMasked(s, a, mask)
	}
	r, problem := parseAddrRange(s)
	if problem == "" {
		p.Addrs = append(p.Addrs, r)
	}
	return problem
}

// addMasked reads an address under a mask. A mask that is a prefix's makes one.
func (p *Predicate) addMasked(s, address, mask string) string {
	a, ok1 := parseAddr(address)
	b, ok2 := parseAddr(mask)
	switch {
	case !ok1 || !ok2:
		return wantAddr(s)
	case a.Is4() != b.Is4():
		return fmt.Sprintf("%s mixes IPv4 and IPv6", s)
	}
	var m AddrMask
	m.Value, m.Family = AddrFrom(a)
	m.Mask, _ = AddrFrom(b)
	bits, ended, prefix := 0, false, true
	for i := range 8 * m.Family.AddrLen() {
		one := m.Mask[i/8]>>(7-i%8)&1 != 0
		prefix = prefix && !(one && ended)
		if ended = ended || !one; !ended {
			bits++
		}
	}
	for i := range m.Value {
		if m.Value[i]&^m.Mask[i] != 0 {
			return fmt.Sprintf("%s has address bits outside its mask and would never match", s)
		}
	}
	if prefix {
		r, _ := addrRangeOf(netip.PrefixFrom(a, bits))
		p.Addrs = append(p.Addrs, r)
		return ""
	}
	p.Within = append(p.Within, m)
	return ""
}

func parseAddrRange(s string) (AddrRange, string) {
	if strings.Contains(s, "/") {
		return parsePrefix(s)
	}
	from, to, isRange := strings.Cut(s, "-")
	lo, ok := parseAddr(from)
	hi := lo
	if ok && isRange {
		hi, ok = parseAddr(to)
	}
	if !ok {
		return AddrRange{}, wantAddr(s)
	}
	if lo.Is4() != hi.Is4() {
		return AddrRange{}, fmt.Sprintf("the range %s mixes IPv4 and IPv6", s)
	}
	if hi.Less(lo) {
		return AddrRange{}, fmt.Sprintf("the range %s is reversed; expected %s-%s", s, to, from)
	}
	var r AddrRange
	r.Lo, r.Family = AddrFrom(lo)
	r.Hi, _ = AddrFrom(hi)
	return r, ""
}

func parsePrefix(s string) (AddrRange, string) {
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return AddrRange{}, wantAddr(s)
	}
	r, ok := addrRangeOf(prefix)
	if !ok {
		return AddrRange{}, fmt.Sprintf("%s has bits set behind the prefix; expected %s or %s", s, prefix.Masked(), prefix.Addr())
	}
	return r, ""
}

// parseAddr refuses an IPv6 zone: the kernel tracks addresses, not interfaces.
func parseAddr(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a, err == nil && a.Zone() == ""
}

func wantAddr(s string) string {
	return fmt.Sprintf("expected %s, not %q", fields[FieldAddr].want(), clip(s))
}

// joinAddrs sorts the ranges, IPv4 first, and joins what overlaps or touches.
func joinAddrs(rs []AddrRange) []AddrRange {
	slices.SortFunc(rs, func(a, b AddrRange) int {
		switch {
		case a.Family != b.Family:
			return int(a.Family) - int(b.Family)
		case a.Lo.less(&b.Lo):
			return -1
		case b.Lo.less(&a.Lo):
			return 1
		}
		return 0
	})
	var out []AddrRange
	for _, r := range rs {
		if n := len(out); n > 0 && out[n-1].reaches(&r) {
			if out[n-1].Hi.less(&r.Hi) {
				out[n-1].Hi = r.Hi
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// reaches reports whether next, which starts no earlier, overlaps or follows r at once.
func (r *AddrRange) reaches(next *AddrRange) bool {
	if r.Family != next.Family {
		return false
	}
	if !r.Hi.less(&next.Lo) {
		return true
	}
	after := r.Hi.In(r.Family).Next()
	return after.IsValid() && after == next.Lo.In(next.Family)
}
