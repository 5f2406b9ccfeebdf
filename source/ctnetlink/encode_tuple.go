package ctnetlink

import "github.com/ctferry/ctferry/source/flow"

// putTuple appends a CTA_TUPLE_* with what the tuple has.
func (w *writer) putTuple(kind uint16, t *flow.Tuple) {
	at := w.nest(kind)
	if t.Has&flow.HasAddrs != 0 {
		w.putTupleIP(t)
	}
	if t.Has&(flow.HasProto|flow.HasPorts|flow.HasICMP) != 0 {
		w.putTupleProto(t)
	}
	if t.Got(flow.HasTupleZone) {
		w.put16(ctaTupleZone, t.Zone)
	}
	w.close(at)
}

func (w *writer) putTupleIP(t *flow.Tuple) {
	src, dst := uint16(ctaIPv4Src), uint16(ctaIPv4Dst)
	if t.Family == flow.IPv6 {
		src, dst = ctaIPv6Src, ctaIPv6Dst
	}
	at := w.nest(ctaTupleIP)
	if t.Got(flow.HasSrc) {
		w.putBytes(src, t.Src[:t.Family.AddrLen()])
	}
	if t.Got(flow.HasDst) {
		w.putBytes(dst, t.Dst[:t.Family.AddrLen()])
	}
	w.close(at)
}

func (w *writer) putTupleProto(t *flow.Tuple) {
	at := w.nest(ctaTupleProto)
	if t.Got(flow.HasProto) {
		w.put8(ctaProtoNum, t.Proto)
	}
	if t.Got(flow.HasSrcPort) {
		w.put16(ctaProtoSrcPort, t.SrcPort)
	}
	if t.Got(flow.HasDstPort) {
		w.put16(ctaProtoDstPort, t.DstPort)
	}
	id, kind, code := uint16(ctaProtoICMPID), uint16(ctaProtoICMPType), uint16(ctaProtoICMPCode)
	if t.Proto == flow.ProtoICMPv6 {
		id, kind, code = ctaProtoICMPv6ID, ctaProtoICMPv6Type, ctaProtoICMPv6Code
	}
	if t.Got(flow.HasICMPID) {
		w.put16(id, t.ICMPID)
	}
	if t.Got(flow.HasICMPType) {
		w.put8(kind, t.ICMPType)
	}
	if t.Got(flow.HasICMPCode) {
		w.put8(code, t.ICMPCode)
	}
	w.close(at)
}
