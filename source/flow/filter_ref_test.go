package flow

import (
	"net/netip"
	"strconv"
	"strings"
)

// refFilter evaluates a decoded filter on an event, slowly and straight from
// the description in ParseFilter: it shares no code with the parser or Match.
// Values must be valid.
func refFilter(v m, e *Event) bool {
	if e.Type == TypeGap || e.Type == TypeStatus || e.Type == TypeDumpEnd {
		return true
	}
	in, isIn := v["include"].(l)
	out, isOut := v["exclude"].(l)
	if !isIn && !isOut && len(v) > 0 {
		in = l{v}
	}
	for _, t := range out {
		if refTerm(t.(m), e) {
			return false
		}
	}
	for _, t := range in {
		if refTerm(t.(m), e) {
			return true
		}
	}
	return len(in) == 0
}

func refTerm(t m, e *Event) bool {
	for name, v := range t {
		values, ok := v.(l)
		if !ok {
			values = l{v}
		}
		any, all := false, true
		for _, one := range values {
			if refValue(name, one, e) {
				any = true
			} else {
				all = false
			}
		}
		if (name == "status" || name == "labels") && !all || !any {
			return false
		}
	}
	return true
}

// refValue compares one written value with everything the event has under that name.
func refValue(name string, want any, e *Event) bool {
	for _, got := range refGot(name, e) {
		switch got := got.(type) {
		case netip.Addr:
			if refAddr(want.(string), got) {
				return true
			}
		case string:
			if strings.EqualFold(want.(string), got) && (got == want || name != "netns" && name != "helper" && name != "secctx") {
				return true
			}
		case bool:
			if want == got {
				return true
			}
		case uint64:
			if refNumber(name, want, got) {
				return true
			}
		}
	}
	return false
}

func refAddr(want string, got netip.Addr) bool {
	if a, mask, ok := strings.Cut(want, "/"); ok && strings.ContainsAny(mask, ".:") {
		value, bits := netip.MustParseAddr(a), netip.MustParseAddr(mask)
		if value.Is4() != got.Is4() {
			return false
		}
		for i, b := range bits.AsSlice() {
			if got.AsSlice()[i]&b != value.AsSlice()[i] {
				return false
			}
		}
		return true
	}
	if p, err := netip.ParsePrefix(want); err == nil {
		return p.Contains(got)
	}
	from, to, isRange := strings.Cut(want, "-")
	if !isRange {
		to = from
	}
	lo, hi := netip.MustParseAddr(from), netip.MustParseAddr(to)
	return lo.Is4() == got.Is4() && lo.Compare(got) <= 0 && got.Compare(hi) <= 0
}

func refNumber(name string, want any, got uint64) bool {
	if n, ok := want.(int); ok {
		return uint64(n) == got
	}
	s := want.(string)
	if name == "status" {
		switch s {
		case "UNREPLIED":
			return got&2 == 0
		case "UNSET":
			return got&(1|2|4|1024) == 0
		}
		for n := range 16 {
			if StatusName(n) == s {
				return got>>n&1 == 1
			}
		}
	}
	num := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 0, 32)
		if err != nil {
			panic(name + " " + s)
		}
		return n
	}
	if v, mask, ok := strings.Cut(s, "/"); ok {
		return got&num(mask) == num(v)
	}
	if lo, hi, ok := strings.Cut(s, "-"); ok {
		return num(lo) <= got && got <= num(hi)
	}
	if n, ok := map[string]uint64{"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "gre": 47, "sctp": 132, "dccp": 33}[s]; ok {
		return n == got
	}
	return num(s) == got
}

// refGot lists what the event has under a field's name; none if it is absent.
func refGot(name string, e *Event) []any {
	orig, reply, tuple, mask := refTuples(e)
	isExpect, x := e.Table == TableExpect, refExpect(e)
	has := func(bit Has, v any) []any {
		if e.Has&bit == 0 || isExpect && bit != HasHelper && bit != HasSecCtx && bit != HasMark && bit != HasStatus && bit != HasLabels {
			return nil
		}
		return []any{v}
	}
	expect := func(bit ExpectHas, v func() any) []any {
		if x == nil || x.Has&bit == 0 {
			return nil
		}
		return []any{v()}
	}
	switch name {
	case "event_type":
		return []any{e.Type.String()}
	case "table":
		return []any{e.Table.String()}
	case "family":
		return []any{e.Family.String()}
	case "proto":
		if isExpect {
			if tuple == nil || tuple.Has&HasProto == 0 {
				return nil
			}
			return []any{uint64(tuple.Proto)}
		}
		return has(HasOrig, uint64(e.Proto))
	case "zone":
		if x != nil && x.Has&HasExpectZone != 0 {
			return []any{uint64(x.Zone)}
		}
		if e.Has&HasZone != 0 {
			return []any{uint64(e.Zone)}
		}
		return []any{uint64(0)}
	case "mark":
		if e.Has&HasMark != 0 {
			return []any{uint64(e.Mark)}
		}
		return []any{uint64(0)}
	case "orig_zone":
		return refZone(orig)
	case "reply_zone":
		return refZone(reply)
	case "status":
		return has(HasStatus, uint64(e.Status))
	case "state":
		return refState(e)
	case "timeout":
		return append(expect(HasExpectTimeout, func() any { return uint64(x.Timeout) }), has(HasTimeout, uint64(e.Timeout))...)
	case "id":
		return append(expect(HasExpectID, func() any { return uint64(x.ID) }), has(HasID, uint64(e.ID))...)
	case "class":
		return expect(HasExpectClass, func() any { return uint64(x.Class) })
	case "role":
		return has(HasDCCPRole, DCCPRoleName(e.DCCP.Role))
	case "orig_vtag":
		return has(HasSCTPVTagOrig, uint64(e.SCTP.VTagOrig))
	case "reply_vtag":
		return has(HasSCTPVTagReply, uint64(e.SCTP.VTagReply))
	case "sport":
		return refPort(orig, HasSrcPort, false)
	case "dport":
		return refPort(orig, HasDstPort, false)
	case "reply_port_src":
		return refPort(reply, HasSrcPort, false)
	case "reply_port_dst":
		return refPort(reply, HasDstPort, false)
	case "srckey":
		return refPort(orig, HasSrcPort, true)
	case "dstkey":
		return refPort(orig, HasDstPort, true)
	case "reply_key_src":
		return refPort(reply, HasSrcPort, true)
	case "reply_key_dst":
		return refPort(reply, HasDstPort, true)
	case "tuple_port_src":
		return refPort(tuple, HasSrcPort, false)
	case "tuple_port_dst":
		return refPort(tuple, HasDstPort, false)
	case "mask_port_src":
		return refPort(mask, HasSrcPort, false)
	case "mask_port_dst":
		return refPort(mask, HasDstPort, false)
	case "icmp_type", "icmp_code", "icmp_id":
		return refICMP(orig, name)
	case "orig_src":
		return refAddrs(orig, HasSrc)
	case "orig_dst":
		return refAddrs(orig, HasDst)
	case "reply_src":
		return refAddrs(reply, HasSrc)
	case "reply_dst":
		return refAddrs(reply, HasDst)
	case "tuple_src":
		return refAddrs(tuple, HasSrc)
	case "tuple_dst":
		return refAddrs(tuple, HasDst)
	case "mask_src":
		return refAddrs(mask, HasSrc)
	case "mask_dst":
		return refAddrs(mask, HasDst)
	case "addr", "port":
		var all []any
		for _, t := range []*Tuple{orig, reply, tuple} {
			if name == "addr" {
				all = append(all, refAddrs(t, HasAddrs)...)
			} else {
				all = append(append(all, refPort(t, HasSrcPort, false)...), refPort(t, HasDstPort, false)...)
			}
		}
		return all
	case "src_nat", "dst_nat", "any_nat", "nat":
		return refNAT(orig, reply, name)
	case "label", "labels":
		var all []any
		for n := range 128 {
			if e.Has&HasLabels != 0 && e.Labels[n/8]>>(n%8)&1 == 1 {
				all = append(all, uint64(n))
			}
		}
		return all
	case "netns":
		if e.Origin == nil {
			return nil
		}
		return []any{e.Origin.NetNS}
	case "helper":
		if isExpect {
			return expect(HasExpectHelper, func() any { return x.Helper })
		}
		if e.Has&HasHelper != 0 {
			return []any{e.Extra.Helper}
		}
	case "secctx":
		if e.Has&HasSecCtx != 0 {
			return []any{e.Extra.SecCtx}
		}
	default:
		panic(name)
	}
	return nil
}

func refExpect(e *Event) *Expectation {
	if e.Table == TableExpect && e.Has&HasExpect != 0 {
		return &e.Extra.Expect
	}
	return nil
}

func refTuples(e *Event) (orig, reply, tuple, mask *Tuple) {
	if e.Table != TableExpect {
		if e.Has&HasOrig != 0 {
			orig = &e.Orig
		}
		if e.Has&HasReply != 0 {
			reply = &e.Reply
		}
		return orig, reply, nil, nil
	}
	if x := refExpect(e); x != nil {
		if x.Has&HasExpectMaster != 0 {
			orig = &x.Master
		}
		if x.Has&HasExpectTuple != 0 {
			tuple = &x.Tuple
		}
		if x.Has&HasExpectMask != 0 {
			mask = &x.Mask
		}
	}
	return orig, nil, tuple, mask
}

func refZone(t *Tuple) []any {
	if t != nil && t.Has&HasTupleZone != 0 {
		return []any{uint64(t.Zone)}
	}
	return []any{uint64(0)}
}

func refPort(t *Tuple, bit TupleHas, key bool) []any {
	if t == nil || t.Has&bit == 0 || key != (t.Has&HasProto != 0 && t.Proto == 47) {
		return nil
	}
	if bit == HasSrcPort {
		return []any{uint64(t.SrcPort)}
	}
	return []any{uint64(t.DstPort)}
}

func refICMP(t *Tuple, name string) []any {
	switch {
	case t == nil:
	case name == "icmp_type" && t.Has&HasICMPType != 0:
		return []any{uint64(t.ICMPType)}
	case name == "icmp_code" && t.Has&HasICMPCode != 0:
		return []any{uint64(t.ICMPCode)}
	case name == "icmp_id" && t.Has&HasICMPID != 0:
		return []any{uint64(t.ICMPID)}
	}
	return nil
}

func refAddrs(t *Tuple, bits TupleHas) (all []any) {
	if t != nil && t.Has&bits&HasSrc != 0 {
		all = append(all, t.SrcAddr())
	}
	if t != nil && t.Has&bits&HasDst != 0 {
		all = append(all, t.DstAddr())
	}
	return all
}

func refState(e *Event) []any {
	switch {
	case e.Has&HasTCPState != 0:
		return []any{TCPStateName(e.TCP.State)}
	case e.Has&HasSCTPState != 0:
		return []any{SCTPStateName(e.SCTP.State)}
	case e.Has&HasDCCPState != 0:
		return []any{DCCPStateName(e.DCCP.State)}
	}
	return nil
}

func refNAT(o, r *Tuple, name string) []any {
	if o == nil || r == nil || o.Has&HasAddrs != HasAddrs || r.Has&HasAddrs != HasAddrs {
		return nil
	}
	ports := o.Has&r.Has&HasPorts == HasPorts
	snat := o.SrcAddr() != r.DstAddr() || ports && o.SrcPort != r.DstPort || o.Has&r.Has&HasICMPID != 0 && o.ICMPID != r.ICMPID
	dnat := o.DstAddr() != r.SrcAddr() || ports && o.DstPort != r.SrcPort
	switch name {
	case "src_nat":
		return []any{snat}
	case "dst_nat":
		return []any{dnat}
	case "any_nat":
		return []any{snat || dnat}
	}
	var all []any
	for word, is := range map[string]bool{"snat": snat, "dnat": dnat, "both": snat && dnat, "any": snat || dnat, "none": !snat && !dnat} {
		if is {
			all = append(all, word)
		}
	}
	return all
}
