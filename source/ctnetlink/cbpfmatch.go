package ctnetlink

import (
	"encoding/binary"
	"math"

	"golang.org/x/net/bpf"

	"github.com/ctferry/ctferry/source/flow"
)

// numberSlots gives the slot of each field that is compared as one number.
func numberSlot(f flow.Field) (slot int, ok bool) {
	switch f {
	case flow.FieldEventType:
		return slotType, true
	case flow.FieldProto:
		return slotProto, true
	case flow.FieldZone:
		return slotZone, true
	case flow.FieldMark:
		return slotMark, true
	case flow.FieldStatus:
		return slotStatus, true
	case flow.FieldICMPID:
		return slotICMPID, true
	case flow.FieldICMPType:
		return slotICMPType, true
	case flow.FieldICMPCode:
		return slotICMPCode, true
	}
	return 0, false
}

// portSlots gives the slots of a field that speaks of ports, or of GRE's keys.
func portSlots(f flow.Field) (slots []int, keys bool) {
	switch f {
	case flow.FieldSrcPort, flow.FieldSrcKey:
		return []int{slotSrcPort}, f == flow.FieldSrcKey
	case flow.FieldDstPort, flow.FieldDstKey:
		return []int{slotDstPort}, f == flow.FieldDstKey
	case flow.FieldReplySrcPort, flow.FieldReplySrcKey:
		return []int{slotReplySrcPort}, f == flow.FieldReplySrcKey
	case flow.FieldReplyDstPort, flow.FieldReplyDstKey:
		return []int{slotReplyDstPort}, f == flow.FieldReplyDstKey
	case flow.FieldPort:
		return []int{slotSrcPort, slotDstPort, slotReplySrcPort, slotReplyDstPort}, false
	}
	return nil, false
}

// addrSpots gives the places of the addresses that a field speaks of.
func (w *writing) addrSpots(f flow.Field) []spot {
	switch f {
	case flow.FieldOrigSrc:
		return []spot{w.src(false)}
	case flow.FieldOrigDst:
		return []spot{w.dst(false)}
	case flow.FieldReplySrc:
		return []spot{w.src(true)}
	case flow.FieldReplyDst:
		return []spot{w.dst(true)}
	case flow.FieldAddr:
		return []spot{w.src(false), w.dst(false), w.src(true), w.dst(true)}
	}
	return nil
}

// term goes to yes if all of the predicates hold, else to no.
func (w *writing) term(t flow.Term, yes, no label) {
	for i := range t {
		after := w.label()
		w.predicate(&t[i], after, no)
		w.mark(after)
	}
	w.jump(yes)
}

// predicate goes to yes or to no.
func (w *writing) predicate(p *flow.Predicate, yes, no label) {
	if slot, ok := numberSlot(p.Field); ok {
		w.do(bpf.LoadScratch{N: slot})
		w.number(p, yes, no)
		return
	}
	if slots, keys := portSlots(p.Field); slots != nil {
		w.ports(p, slots, keys, yes, no)
		return
	}
	w.addrs(p, yes, no)
}

// number compares A with ranges, then with values under masks.
func (w *writing) number(p *flow.Predicate, yes, no label) {
	if len(p.Masks) == 0 {
		w.ranges(p.Ranges, yes, no)
		return
	}
	if len(p.Ranges) > 0 {
		masks := w.label()
		w.ranges(p.Ranges, yes, masks)
		w.mark(masks)
	}
	slot, _ := numberSlot(p.Field)
	for _, m := range p.Masks {
		w.do(bpf.LoadScratch{N: slot}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: m.Mask})
		w.when(bpf.JumpEqual, m.Value, yes, next)
	}
	w.jump(no)
}

// few is how many ranges are tried one after the other; more are searched.
const few = 3

// ranges looks A up in ranges that are sorted and disjoint.
func (w *writing) ranges(rs []flow.Range, yes, no label) {
	if len(rs) > few {
		mid, upper := len(rs)/2, w.label()
		w.when(bpf.JumpGreaterOrEqual, rs[mid].Lo, upper, next)
		w.ranges(rs[:mid], yes, no)
		w.mark(upper)
		w.ranges(rs[mid:], yes, no)
		return
	}
	if len(rs) == 0 {
		w.jump(no)
	}
	for i, r := range rs {
		other := next
		if i == len(rs)-1 {
			other = no
		}
		switch {
		case r.Lo == r.Hi:
			w.when(bpf.JumpEqual, r.Lo, yes, other)
			continue
		case r.Lo > 0:
			w.when(bpf.JumpGreaterOrEqual, r.Lo, next, no)
		}
		w.when(bpf.JumpGreaterThan, r.Hi, other, yes)
	}
}

// ports tries each slot, of flows whose two words are ports, or keys.
func (w *writing) ports(p *flow.Predicate, slots []int, keys bool, yes, no label) {
	w.do(bpf.LoadScratch{N: slotProto})
	if keys {
		w.when(bpf.JumpEqual, flow.ProtoGRE, next, no)
	} else {
		w.when(bpf.JumpEqual, flow.ProtoGRE, no, next)
	}
	for _, slot := range slots {
		another := w.label()
		w.do(bpf.LoadScratch{N: slot})
		w.ranges(p.Ranges, yes, another)
		w.mark(another)
	}
	w.jump(no)
}

// addrs tries each address.
func (w *writing) addrs(p *flow.Predicate, yes, no label) {
	for _, at := range w.addrSpots(p.Field) {
		another := w.label()
		if at.reply {
			w.do(bpf.LoadScratch{Dst: bpf.RegX, N: slotReply})
		}
		if w.family == flow.IPv4 {
			w.addr4(p, at, yes)
		} else {
			w.addr6(p, at, yes)
		}
		w.jump(another)
		w.mark(another)
	}
	w.jump(no)
}

// addr4 goes to yes if the address matches, else on.
func (w *writing) addr4(p *flow.Predicate, at spot, yes label) {
	var rs []flow.Range
	for i := range p.Addrs {
		if r := &p.Addrs[i]; r.Family == flow.IPv4 {
			rs = append(rs, flow.Range{Lo: word(&r.Lo, 0), Hi: word(&r.Hi, 0)})
		}
	}
	if len(rs) > 0 {
		no := w.label()
		w.load(at, 4)
		w.ranges(rs, yes, no)
		w.mark(no)
	}
	for i := range p.Within {
		if m := &p.Within[i]; m.Family == flow.IPv4 {
			w.masked(at, 0, word(&m.Mask, 0))
			w.when(bpf.JumpEqual, word(&m.Value, 0), yes, next)
		}
	}
}

// addr6 is the same of IPv6, whose addresses are four words.
func (w *writing) addr6(p *flow.Predicate, at spot, yes label) {
	for i := range p.Addrs {
		if r := &p.Addrs[i]; r.Family == flow.IPv6 {
			no := w.label()
			w.between(at, &r.Lo, &r.Hi, yes, no)
			w.mark(no)
		}
	}
	for i := range p.Within {
		m := &p.Within[i]
		if m.Family != flow.IPv6 {
			continue
		}
		no := w.label()
		for n := range 4 {
			if mask := word(&m.Mask, n); mask != 0 {
				w.masked(at, n, mask)
				w.when(bpf.JumpEqual, word(&m.Value, n), next, no)
			}
		}
		w.jump(yes)
		w.mark(no)
	}
}

// masked loads a word of an address and leaves the bits of a mask.
func (w *writing) masked(at spot, n int, mask uint32) {
	at.off += 4 * uint32(n)
	w.load(at, 4)
	if mask != math.MaxUint32 {
		w.do(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask})
	}
}

// between goes to yes if lo <= address <= hi. Words that both ends share are
// compared first; where they part, each end is compared by itself.
func (w *writing) between(at spot, lo, hi *flow.Addr, yes, no label) {
	n := 0
	for ; n < 4 && word(lo, n) == word(hi, n); n++ {
		w.masked(at, n, math.MaxUint32)
		w.when(bpf.JumpEqual, word(lo, n), next, no)
	}
	enough := w.label()
	w.bound(at, lo, n, bpf.JumpGreaterThan, 0, enough, no)
	w.mark(enough)
	w.bound(at, hi, n, bpf.JumpGreaterOrEqual, math.MaxUint32, yes, no)
}

// bound compares the words of an address, from the nth on, with a bound: a lower
// one (test is JumpGreaterThan) or an upper one (JumpGreaterOrEqual). Words of the
// bound that all have the value rest need no look: every address is within them.
func (w *writing) bound(at spot, limit *flow.Addr, n int, test bpf.JumpTest, rest uint32, yes, no label) {
	last := 3
	for last >= n && word(limit, last) == rest {
		last--
	}
	for ; n <= last; n++ {
		v := word(limit, n)
		w.masked(at, n, math.MaxUint32)
		if test == bpf.JumpGreaterThan {
			w.when(test, v, yes, next)
			w.when(bpf.JumpEqual, v, next, no)
			continue
		}
		same := w.label()
		w.when(bpf.JumpEqual, v, same, next)
		w.when(test, v, no, yes)
		w.mark(same)
	}
	w.jump(yes)
}

// word is one of an address's four words.
func word(a *flow.Addr, n int) uint32 { return binary.BigEndian.Uint32(a[4*n:]) }
