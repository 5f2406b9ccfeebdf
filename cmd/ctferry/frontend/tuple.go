package frontend

import (
	"net/netip"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/source/flow"
)

// tupleOf makes a tuple of what is given of it.
func tupleOf(proto uint8, src, dst netip.Addr, sport, dport conntrack.Opt[uint16]) flow.Tuple {
	t := flow.Tuple{Has: flow.HasProto, Proto: proto}
	if src.IsValid() {
		t.Src, t.Family = flow.AddrFrom(src)
		t.Has |= flow.HasSrc
	}
	if dst.IsValid() {
		t.Dst, t.Family = flow.AddrFrom(dst)
		t.Has |= flow.HasDst
	}
	if sport.Set {
		t.SrcPort = sport.Value
		t.Has |= flow.HasSrcPort
	}
	if dport.Set {
		t.DstPort = dport.Value
		t.Has |= flow.HasDstPort
	}
	return t
}

// directions are both tuples of an entry. What a line says of one direction
// only is what the other has, turned round.
func directions(c *conntrack.Command) (orig, reply flow.Tuple) {
	proto := c.Proto.Value
	orig = tupleOf(proto, c.Src.Addr, c.Dst.Addr, c.Ports.Src, c.Ports.Dst)
	reply = tupleOf(proto, c.ReplySrc, c.ReplyDst, c.Ports.ReplySrc, c.Ports.ReplyDst)
	if isICMP(proto) {
		orig.ICMPType, orig.ICMPCode, orig.ICMPID = c.ICMP.Type.Value, c.ICMP.Code.Value, c.ICMP.ID.Value
		orig.Has |= flow.HasICMP
	}
	complete(&reply, &orig)
	complete(&orig, &reply)
	if isICMP(proto) {
		inverse, _ := orig.Inverse() // what nothing answers, the kernel refuses
		reply.ICMPType, reply.ICMPCode, reply.ICMPID = inverse.ICMPType, inverse.ICMPCode, inverse.ICMPID
		reply.Has |= flow.HasICMP
	}
	if c.OrigZone.Set {
		orig.Zone = c.OrigZone.Value
		orig.Has |= flow.HasTupleZone
	}
	if c.ReplyZone.Set {
		reply.Zone = c.ReplyZone.Value
		reply.Has |= flow.HasTupleZone
	}
	return orig, reply
}

func isICMP(proto uint8) bool { return proto == flow.ProtoICMP || proto == flow.ProtoICMPv6 }

// complete gives t what it lacks of from, turned round.
func complete(t, from *flow.Tuple) {
	inverse, _ := from.Inverse()
	add := inverse.Has &^ t.Has
	if add&flow.HasAddrs != 0 && t.Family == flow.FamilyUnspecified {
		t.Family = from.Family
	}
	if add&flow.HasSrc != 0 {
		t.Src = inverse.Src
	}
	if add&flow.HasDst != 0 {
		t.Dst = inverse.Dst
	}
	if add&flow.HasSrcPort != 0 {
		t.SrcPort = inverse.SrcPort
	}
	if add&flow.HasDstPort != 0 {
		t.DstPort = inverse.DstPort
	}
	t.Has |= add & (flow.HasAddrs | flow.HasPorts)
}

// keyOf is the entry that -G names: by its original tuple, or by its reply
// tuple if that is what the line tells.
func keyOf(c *conntrack.Command) flow.Key {
	orig, reply := directions(c)
	if c.Src.Addr.IsValid() && c.Dst.Addr.IsValid() {
		return flow.Key{Tuple: orig}
	}
	return flow.Key{Tuple: reply, Reply: true}
}

// expectKeyOf is the expectation that -G expect and -D expect name: -s, -d and
// the ports are what is expected.
func expectKeyOf(c *conntrack.Command) flow.ExpectKey {
	orig, _ := directions(c)
	return flow.ExpectKey{Tuple: orig}
}

// expectation is what -I expect makes.
func expectation(c *conntrack.Command) flow.Expectation {
	proto := c.Proto.Value
	master, _ := directions(c)
	return flow.Expectation{
		Has:     flow.HasExpectTuple | flow.HasExpectMask | flow.HasExpectMaster | flow.HasExpectTimeout,
		Timeout: c.Timeout.Value, Master: master,
		Tuple: tupleOf(proto, c.Expect.TupleSrc, c.Expect.TupleDst, c.Ports.TupleSrc, c.Ports.TupleDst),
		Mask:  tupleOf(proto, c.Expect.MaskSrc, c.Expect.MaskDst, c.Ports.MaskSrc, c.Ports.MaskDst),
	}
}
