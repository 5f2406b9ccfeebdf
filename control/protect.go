package control

import (
	"net/netip"

	"github.com/ctferry/ctferry/source/flow"
)

// protectFilter matches entries with an address in one of the prefixes: any of
// the four of a flow, of the master and of what is expected. It is nil where
// there is no prefix.
func protectFilter(prefixes []netip.Prefix) (*flow.Filter, error) {
	if len(prefixes) == 0 {
		return nil, nil
	}
	texts := make([]any, len(prefixes))
	for i, p := range prefixes {
		texts[i] = p.Masked().String()
	}
	return flow.ParseFilter(map[string]any{"addr": texts})
}

// sparedEntry reports whether an entry that is to be made would have an address
// that is protected, also one that it is to be translated to, or one that an
// expectation's mask lets in.
func sparedEntry(spare *flow.Filter, n *Entry) bool {
	e := copyEvent(n.Event)
	e.Type = flow.TypeNew
	if e.Table == flow.TableUnspecified {
		e.Table = flow.TableConntrack
	}
	if spare.Match(e) {
		return true
	}
	for _, nat := range [...]*flow.NATRange{n.SrcNAT, n.DstNAT} {
		if nat != nil && nat.Min.IsValid() && overlapsRange(spare, nat) {
			return true
		}
	}
	if e.Table != flow.TableExpect || e.Extra == nil || !e.Got(flow.HasExpect) {
		return e.Got(flow.HasMaster) && e.Extra != nil && overlapsTuple(spare, &e.Extra.Master, nil)
	}
	x := &e.Extra.Expect
	return overlapsTuple(spare, &x.Tuple, &x.Mask) || x.Got(flow.HasExpectNAT) && overlapsTuple(spare, &x.NAT, nil)
}

// protectedRanges are the prefixes of a protectFilter.
func protectedRanges(spare *flow.Filter) []flow.AddrRange {
	return spare.Include[0][0].Addrs
}

func overlapsRange(spare *flow.Filter, nat *flow.NATRange) bool {
	lo, family := flow.AddrFrom(nat.Min)
	hi := lo
	if nat.Max.IsValid() {
		hi, _ = flow.AddrFrom(nat.Max)
	}
	for _, r := range protectedRanges(spare) {
		if r.Family == family && !less(&hi, &r.Lo) && !less(&r.Hi, &lo) {
			return true
		}
	}
	return false
}

// overlapsTuple looks whether one of the addresses, of which only the bits of
// the mask count, may be protected. A nil mask is all ones.
func overlapsTuple(spare *flow.Filter, t, mask *flow.Tuple) bool {
	for _, side := range [...]struct {
		bit flow.TupleHas
		a   *flow.Addr
	}{{flow.HasSrc, &t.Src}, {flow.HasDst, &t.Dst}} {
		if !t.Got(side.bit) {
			continue
		}
		var bits flow.Addr
		for i := range bits {
			bits[i] = 0xff
		}
		if mask != nil {
			bits = mask.Src
			if side.bit == flow.HasDst {
				bits = mask.Dst
			}
			if !mask.Got(side.bit) {
				bits = flow.Addr{}
			}
		}
		for _, r := range protectedRanges(spare) {
			if r.Family == t.Family && mayBeIn(side.a, &bits, &r) {
				return true
			}
		}
	}
	return false
}

// mayBeIn reports whether an address with those bits of a may lie in the range:
// it asks no more than that the bits agree which every address of the range has.
func mayBeIn(a, bits *flow.Addr, r *flow.AddrRange) bool {
	for i := range r.Family.AddrLen() {
		same := ^(r.Lo[i] ^ r.Hi[i])
		if same != 0xff { // the prefix ends in this byte: only its leading bits are the same
			lead := byte(0)
			for m := byte(0x80); m != 0 && same&m != 0; m >>= 1 {
				lead |= m
			}
			return (a[i]^r.Lo[i])&bits[i]&lead == 0
		}
		if (a[i]^r.Lo[i])&bits[i] != 0 {
			return false
		}
	}
	return true
}

func less(a, b *flow.Addr) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}
