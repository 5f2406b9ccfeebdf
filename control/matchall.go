package control

import (
	"math"

	"github.com/ctferry/ctferry/source/flow"
)

// matchesAll reports whether a filter is known to match every entry, at least
// of one family: it has no term, or an include term that rules nothing out. A
// filter that excludes something is taken to mean it.
func matchesAll(f *flow.Filter) bool {
	if f.IsAll() {
		return true
	}
	if len(f.Exclude) > 0 {
		return false
	}
	for _, t := range f.Include {
		if rulesNothingOut(t, flow.IPv4) || rulesNothingOut(t, flow.IPv6) {
			return true
		}
	}
	return false
}

// rulesNothingOut reports whether the term matches every entry of the family.
func rulesNothingOut(t flow.Term, family flow.Family) bool {
	for i := range t {
		if !universal(&t[i], family) {
			return false
		}
	}
	return true
}

// universal reports whether the predicate matches every entry of the family. A
// field that an entry need not have is not universal, whatever its values are.
func universal(p *flow.Predicate, family flow.Family) bool {
	switch p.Field {
	case flow.FieldFamily:
		return covers(p.Ranges, uint32(family), uint32(family))
	case flow.FieldTable, flow.FieldEventType:
		return true // the rows are all of one table and type
	case flow.FieldProto:
		return covers(p.Ranges, 0, math.MaxUint8)
	case flow.FieldZone, flow.FieldOrigZone, flow.FieldReplyZone:
		return covers(p.Ranges, 0, math.MaxUint16)
	case flow.FieldID, flow.FieldTimeout:
		return covers(p.Ranges, 0, math.MaxUint32)
	case flow.FieldMark:
		return covers(p.Ranges, 0, math.MaxUint32) || emptyMask(p.Masks)
	case flow.FieldStatus: // every entry in the table is CONFIRMED
		return len(p.Masks) == 1 && p.Masks[0].Mask&^flow.StatusConfirmed == 0 && p.Masks[0].Value == p.Masks[0].Mask
	case flow.FieldNAT:
		return covers(p.Ranges, uint32(flow.NATNone), uint32(flow.NATBoth))
	case flow.FieldSrcNAT, flow.FieldDstNAT, flow.FieldAnyNAT:
		return covers(p.Ranges, 0, 1)
	case flow.FieldOrigSrc, flow.FieldOrigDst, flow.FieldReplySrc, flow.FieldReplyDst, flow.FieldAddr, flow.FieldTupleSrc, flow.FieldTupleDst:
		return wholeFamily(p.Addrs, family)
	}
	return false
}

// covers reports whether the ranges, sorted and joined, have all from lo to hi.
func covers(rs []flow.Range, lo, hi uint32) bool {
	for _, r := range rs {
		if r.Lo <= lo && hi <= r.Hi {
			return true
		}
	}
	return false
}

func emptyMask(ms []flow.Masked) bool {
	for _, m := range ms {
		if m.Mask == 0 {
			return true
		}
	}
	return false
}

func wholeFamily(rs []flow.AddrRange, family flow.Family) bool {
	for i := range rs {
		if p, ok := rs[i].Prefix(); ok && rs[i].Family == family && p.Bits() == 0 {
			return true
		}
	}
	return false
}
