package flow

import "slices"

// Match reports whether the event has the field and one of the values matches
// it. An absent mark or zone compares as 0; another absent field never matches.
func (p *Predicate) Match(e *Event) bool {
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
		return t != nil && p.tupleAddr(t, info.bits)
	case kindMark:
		return p.matchMark(e)
	case kindStatus:
		return e.Any(HasStatus) && anyMask(p.Masks, e.Status)
	case kindState:
		return p.States.match(e)
	case kindLabel:
		return e.Any(HasLabels) && anyLabel(p.Ranges, &e.Labels)
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

// tupleAddr compares the addresses of t that bits name.
func (p *Predicate) tupleAddr(t *Tuple, bits TupleHas) bool {
	got := t.Has & bits
	return got&HasSrc != 0 && inAddrs(p.Addrs, &t.Src, t.Family) ||
		got&HasDst != 0 && inAddrs(p.Addrs, &t.Dst, t.Family)
}

// matchAddr tries every address of the event; an expectation's mask is none.
func (p *Predicate) matchAddr(e *Event) bool {
	for _, s := range [...]side{sideOrig, sideReply, sideTuple} {
		if t := e.side(s); t != nil && p.tupleAddr(t, HasAddrs) {
			return true
		}
	}
	return false
}

func (p *Predicate) matchPort(e *Event) bool {
	for _, s := range [...]side{sideOrig, sideReply, sideTuple} {
		t := e.side(s)
		if t == nil || t.HasKeys() {
			continue
		}
		if t.Got(HasSrcPort) && inRanges(p.Ranges, uint32(t.SrcPort)) ||
			t.Got(HasDstPort) && inRanges(p.Ranges, uint32(t.DstPort)) {
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
