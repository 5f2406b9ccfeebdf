package flow

import (
	"slices"
	"strings"
)

// contradictions refuses a term whose fields no record can have together.
// names are the fields as they were written.
func (r *filterReader) contradictions(path string, t Term, names map[Field]string) {
	c := reach{protos: protoAll, families: 1<<IPv4 | 1<<IPv6, tables: 1<<TableConntrack | 1<<TableExpect}
	for i := range t {
		if problem := c.narrow(&t[i]); problem != "" {
			r.faults.add(within(path, names[t[i].Field]), "%s", problem)
			return
		}
	}
}

// reach is what records the predicates seen so far can still match.
type reach struct {
	protos           protoSet
	families, tables uint16 // bit n stands for Family(n), Table(n)
}

// narrow takes p into account, or says why nothing is left.
func (c *reach) narrow(p *Predicate) string {
	info := &fields[p.Field]
	if info.table != 0 {
		if c.tables &= 1 << info.table; c.tables == 0 {
			return "belongs to table " + info.table.String() + ", which the rest of the term rules out"
		}
	}
	switch {
	case p.Field == FieldTable:
		c.tables &= setOf(p.Ranges)
	case p.Field == FieldFamily:
		c.families &= setOf(p.Ranges)
	case p.Field == FieldProto:
		c.protos &= protosOf(p.Ranges)
	case p.Field == FieldState:
		return c.narrowStates(p)
	case info.kind == kindAddr:
		return c.narrowFamilies(p)
	case info.protos != 0:
		return c.narrowProtos(info)
	}
	return ""
}

// narrowProtos leaves expectations out of account: their ports are the master's
// and proto is what is expected, so the two may well differ (PPTP: TCP, then GRE).
func (c *reach) narrowProtos(info *fieldInfo) string {
	if c.tables == 1<<TableExpect {
		return ""
	}
	if c.protos&info.protos == 0 {
		return "belongs to " + protoList(info.protos) + ", which the rest of the term rules out"
	}
	c.protos &= info.protos
	return ""
}

func (c *reach) narrowFamilies(p *Predicate) string {
	var families uint16
	for i := range p.Addrs {
		families |= 1 << p.Addrs[i].Family
	}
	for i := range p.Within {
		families |= 1 << p.Within[i].Family
	}
	if c.families&families == 0 {
		return "mismatched address family: the rest of the term leaves no record with such an address"
	}
	c.families &= families
	return ""
}

// narrowStates asks that each word be known to a protocol that is left.
func (c *reach) narrowStates(p *Predicate) string {
	if problem := c.narrowProtos(&fields[FieldState]); problem != "" {
		return problem
	}
	for _, w := range stateWords(p.States) {
		if c.protos&statesOf(w).protos() == 0 {
			return "no protocol that the term leaves has the state " + w + "; " + protoList(c.protos) + " has " + strings.Join(stateNames(c.protos), ", ")
		}
	}
	c.protos &= p.States.protos()
	return ""
}

func (s States) protos() (set protoSet) {
	if s.TCP != 0 {
		set |= protoTCP
	}
	if s.SCTP != 0 {
		set |= protoSCTP
	}
	if s.DCCP != 0 {
		set |= protoDCCP
	}
	return set
}

// stateNames lists the states of the protocols in set, each word once.
func stateNames(set protoSet) (names []string) {
	for _, p := range []struct {
		proto protoSet
		names []string
	}{{protoTCP, tcpStates[:]}, {protoSCTP, sctpStates[:]}, {protoDCCP, dccpStates[:]}} {
		if set&p.proto != 0 {
			for _, n := range p.names {
				if !slices.Contains(names, n) {
					names = append(names, n)
				}
			}
		}
	}
	return names
}

func setOf(rs []Range) (set uint16) {
	for n := range uint32(16) {
		if inRanges(rs, n) {
			set |= 1 << n
		}
	}
	return set
}

// protosOf is the set of the protocols that ranges of numbers hold.
func protosOf(rs []Range) (set protoSet) {
	for n := range uint32(maxU8 + 1) {
		if inRanges(rs, n) {
			set |= protoBit(uint8(n))
		}
	}
	return set
}

func protoBit(num uint8) protoSet {
	for i, p := range namedProtos {
		if p == num {
			return 1 << i
		}
	}
	return protoOther
}

func protoList(set protoSet) string {
	var names []string
	for i, p := range namedProtos {
		if set>>i&1 != 0 {
			names = append(names, ProtoName(p))
		}
	}
	return strings.Join(names, ", ")
}
