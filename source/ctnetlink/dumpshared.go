package ctnetlink

import (
	"math"

	"github.com/ctferry/ctferry/source/flow"
)

// shared is the one value of a field that every include term asks for, nil if
// they ask for others, or one of them for none.
func shared(f *flow.Filter, field flow.Field) (all *flow.Masked) {
	for i, t := range f.Include {
		m, ok := single(t, field)
		if !ok || i > 0 && m != *all {
			return nil
		}
		all = &m
	}
	return all
}

// single is the only value that a term's field may have.
func single(t flow.Term, field flow.Field) (flow.Masked, bool) {
	for i := range t {
		p := &t[i]
		switch {
		case p.Field != field:
		case len(p.Ranges) == 1 && len(p.Masks) == 0 && p.Ranges[0].Lo == p.Ranges[0].Hi:
			return flow.Masked{Value: p.Ranges[0].Lo, Mask: math.MaxUint32}, true
		case len(p.Ranges) == 0 && len(p.Masks) == 1 && p.Masks[0].Mask != 0:
			return p.Masks[0], true
		}
	}
	return flow.Masked{}, false
}

// families are bits, of which 1 stands for IPv4 and 2 for IPv6.
type families uint8

const (
	four     families = 1
	six      families = 2
	bothOf            = four | six
	noFamily families = 0
)

func familyBit(f flow.Family) families {
	if f == flow.IPv4 {
		return four
	}
	return six
}

// onlyFamily is the family of all rows that the filter passes, if there is one.
func onlyFamily(f *flow.Filter) flow.Family {
	left := noFamily
	for _, t := range f.Include {
		left |= familiesOf(t)
	}
	if len(f.Include) == 0 {
		left = bothOf
	}
	for _, t := range f.Exclude {
		if len(t) == 1 && t[0].Field == flow.FieldFamily {
			left &^= familiesOf(t)
		}
	}
	switch left {
	case four:
		return flow.IPv4
	case six:
		return flow.IPv6
	}
	return flow.FamilyUnspecified
}

// familiesOf are those of the rows that the term may match: it may name them, or
// addresses that only some have.
func familiesOf(t flow.Term) families {
	left := bothOf
	for i := range t {
		p := &t[i]
		var of families
		for _, r := range p.Addrs {
			of |= familyBit(r.Family)
		}
		for _, m := range p.Within {
			of |= familyBit(m.Family)
		}
		if p.Field == flow.FieldFamily {
			for _, r := range p.Ranges {
				for _, family := range []flow.Family{flow.IPv4, flow.IPv6} {
					if r.Has(uint32(family)) {
						of |= familyBit(family)
					}
				}
			}
		}
		if of != noFamily {
			left &= of
		}
	}
	return left
}
