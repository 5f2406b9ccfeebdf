package flow

// icmpAnswers are the ICMP queries that have an answer, beside it (kernel:
// invmap of nf_conntrack_proto_icmp.c).
var icmpAnswers = [...][2]uint8{{8, 0}, {13, 14}, {15, 16}, {17, 18}}

// icmpv6Answers are those of ICMPv6 (nf_conntrack_proto_icmpv6.c).
var icmpv6Answers = [...][2]uint8{{128, 129}, {139, 140}}

// Inverse is the tuple of the answering direction where there is no
// translation, as the kernel derives it (nf_ct_invert_tuple): the addresses and
// ports change places, and an ICMP query's type becomes its answer's. It
// reports false for an ICMP type that nothing answers. A zone that holds in one
// direction is not the other's.
func (t *Tuple) Inverse() (Tuple, bool) {
	r := *t
	r.Src, r.Dst = t.Dst, t.Src
	r.SrcPort, r.DstPort = t.DstPort, t.SrcPort
	r.Has = t.Has&^(HasAddrs|HasPorts|HasTupleZone) | t.Has&(HasSrc|HasSrcPort)<<1 | t.Has&(HasDst|HasDstPort)>>1
	if !t.Got(HasICMPType) {
		return r, true
	}
	answers := icmpAnswers[:]
	if t.Proto == ProtoICMPv6 {
		answers = icmpv6Answers[:]
	}
	for _, a := range answers {
		switch t.ICMPType {
		case a[0]:
			r.ICMPType = a[1]
			return r, true
		case a[1]:
			r.ICMPType = a[0]
			return r, true
		}
	}
	return r, false
}
