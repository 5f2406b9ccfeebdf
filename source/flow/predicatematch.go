package flow

import (
	"encoding/binary"
	"slices"
)

// Match reports whether the event has the field and one of the values matches
// it. An absent mark or zone compares as 0; another absent field never matches.
func (p *Predicate) Match(e *Event) bool {
	// What filters ask most often goes straight to its value.
	if e.Table != TableExpect {
		switch p.Field {
		case FieldProto:
			return e.Any(HasOrig) && inRanges(p.Ranges, uint32(e.Proto))
		case FieldSrcPort:
			return e.Any(HasOrig) && e.Orig.hasPort(HasSrcPort) && inRanges(p.Ranges, uint32(e.Orig.SrcPort))
		case FieldDstPort:
			return e.Any(HasOrig) && e.Orig.hasPort(HasDstPort) && inRanges(p.Ranges, uint32(e.Orig.DstPort))
		case FieldOrigSrc:
			return e.Any(HasOrig) && e.Orig.Got(HasSrc) && p.hasAddr(&e.Orig.Src, e.Orig.Family)
		case FieldAddr:
			if len(p.Addrs) <= linear && len(p.Within) == 0 && e.four4() {
				return e.anyAddr4(p.Addrs)
			}
		case FieldZone:
			return inRanges(p.Ranges, uint32(e.zone()))
		}
	}
	return p.match(e)
}

// match is Match for every field.
func (p *Predicate) match(e *Event) bool {
	if p.Field >= fieldCount {
		return false
	}
	info := &fields[p.Field]
	switch info.kind {
	case kindNumber, kindWord, kindBool, kindNAT:
		if p.Field == FieldPort {
			return p.matchPort(e)
		}
		n, ok := e.number(p.Field, info)
		return ok && inRanges(p.Ranges, n)
	case kindAddr:
		if p.Field == FieldAddr {
			return p.matchAddr(e)
		}
		t := e.side(info.side)
		return t != nil && p.inTuple(t, info.bits)
	}
	return p.matchRare(e, info.kind)
}

func (p *Predicate) matchRare(e *Event, k kind) bool {
	switch k {
	case kindMark:
		return p.matchMark(e)
	case kindStatus:
		return e.Any(HasStatus) && anyMask(p.Masks, e.Status)
	case kindState:
		return p.States.match(e)
	case kindLabel:
		return e.Any(HasLabels) && anyLabel(p.Ranges, &e.Labels)
	case kindLabels:
		return e.Any(HasLabels) && allLabels(p.Ranges, &e.Labels)
	case kindText:
		s, ok := e.text(p.Field)
		return ok && slices.Contains(p.Texts, s)
	}
	return false
}

// side finds one of the event's tuples, nil if it has not got it.
func (e *Event) side(s side) *Tuple {
	if e.Table == TableExpect {
		return e.expectSide(s)
	}
	switch {
	case s == sideOrig && e.Any(HasOrig):
		return &e.Orig
	case s == sideReply && e.Any(HasReply):
		return &e.Reply
	}
	return nil
}

func (e *Event) expectSide(s side) *Tuple {
	x := e.expect()
	switch {
	case x == nil:
		return nil
	case s == sideOrig && x.Got(HasExpectMaster):
		return &x.Master
	case s == sideTuple && x.Got(HasExpectTuple):
		return &x.Tuple
	case s == sideMask && x.Got(HasExpectMask):
		return &x.Mask
	}
	return nil
}

// expect is the event's expectation, nil if it has none.
func (e *Event) expect() *Expectation {
	if e.Table != TableExpect || !e.Any(HasExpect) {
		return nil
	}
	return &e.Extra.Expect
}

// inTuple tries the tuple's addresses that bits name.
func (p *Predicate) inTuple(t *Tuple, bits TupleHas) bool {
	got := t.Has & bits
	return got&HasSrc != 0 && p.hasAddr(&t.Src, t.Family) || got&HasDst != 0 && p.hasAddr(&t.Dst, t.Family)
}

// hasAddr reports whether one of the values matches the address.
func (p *Predicate) hasAddr(a *Addr, f Family) bool {
	if inAddrs(p.Addrs, a, f) {
		return true
	}
	for i := range p.Within {
		if p.Within[i].Has(a, f) {
			return true
		}
	}
	return false
}

// hasPort reports whether the tuple has that port, and not a key in its place.
func (t *Tuple) hasPort(bit TupleHas) bool { return t.Got(bit) && !t.HasKeys() }

// matchAddr tries every address of the event; an expectation's mask is none.
func (p *Predicate) matchAddr(e *Event) bool {
	for _, s := range [...]side{sideOrig, sideReply, sideTuple} {
		if t := e.side(s); t != nil && p.inTuple(t, HasAddrs) {
			return true
		}
	}
	return false
}

// four4 reports whether the event has all four addresses and they are IPv4.
func (e *Event) four4() bool {
	return e.Got(HasOrig|HasReply) && e.Orig.Got(HasAddrs) && e.Reply.Got(HasAddrs) && e.Orig.Family == IPv4 && e.Reply.Family == IPv4
}

// anyAddr4 is matchAddr for such an event: one pass over the ranges, not four.
func (e *Event) anyAddr4(rs []AddrRange) bool {
	a, b := binary.BigEndian.Uint32(e.Orig.Src[:]), binary.BigEndian.Uint32(e.Orig.Dst[:])
	c, d := binary.BigEndian.Uint32(e.Reply.Src[:]), binary.BigEndian.Uint32(e.Reply.Dst[:])
	for i := range rs {
		if rs[i].Family != IPv4 {
			continue
		}
		lo := rs[i].lo4()
		if n := rs[i].hi4() - lo; a-lo <= n || b-lo <= n || c-lo <= n || d-lo <= n {
			return true
		}
	}
	return false
}

func (p *Predicate) matchPort(e *Event) bool {
	for _, s := range [...]side{sideOrig, sideReply, sideTuple} {
		t := e.side(s)
		if t == nil {
			continue
		}
		if t.hasPort(HasSrcPort) && inRanges(p.Ranges, uint32(t.SrcPort)) ||
			t.hasPort(HasDstPort) && inRanges(p.Ranges, uint32(t.DstPort)) {
			return true
		}
	}
	return false
}

func (p *Predicate) matchMark(e *Event) bool {
	var mark uint32
	if e.Any(HasMark) {
		mark = e.Mark
	}
	return inRanges(p.Ranges, mark) || anyMask(p.Masks, mark)
}

func anyMask(ms []Masked, n uint32) bool {
	for _, m := range ms {
		if m.Has(n) {
			return true
		}
	}
	return false
}

// match asks the one protocol whose state the event carries.
func (s *States) match(e *Event) bool {
	switch {
	case e.Any(HasTCPState):
		return s.TCP>>e.TCP.State&1 != 0
	case e.Any(HasSCTPState):
		return s.SCTP>>e.SCTP.State&1 != 0
	case e.Any(HasDCCPState):
		return s.DCCP>>e.DCCP.State&1 != 0
	}
	return false
}

func allLabels(rs []Range, labels *[16]byte) bool {
	for _, r := range rs {
		for n := r.Lo; n <= min(r.Hi, maxLabel); n++ {
			if labels[n/8]>>(n%8)&1 == 0 {
				return false
			}
		}
	}
	return len(rs) > 0
}

func anyLabel(rs []Range, labels *[16]byte) bool {
	for _, r := range rs {
		for n := r.Lo; n <= min(r.Hi, maxLabel); n++ {
			if labels[n/8]>>(n%8)&1 != 0 {
				return true
			}
		}
	}
	return false
}
