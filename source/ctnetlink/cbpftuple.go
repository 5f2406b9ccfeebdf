package ctnetlink

import (
	"golang.org/x/net/bpf"

	"github.com/ctferry/ctferry/source/flow"
)

// shape is one of the forms that a tuple's CTA_TUPLE_PROTO has in the kernel's
// messages. Whatever has another form is left to user space.
type shape uint32

// The shapes, by the length of CTA_TUPLE_PROTO.
const (
	shapePorts shape = portsLen // number and two ports, or GRE's keys
	shapeICMP  shape = icmpLen  // number, id, type and code
	shapeBare  shape = 12       // number
)

// spot is a place in a tuple, by its distance from the tuple's own header.
type spot struct {
	reply bool
	off   uint32
}

// width is the length of an address.
func (w *writing) width() uint32 { return uint32(w.family.AddrLen()) }

// The places in a tuple: CTA_TUPLE_IP with a source and a destination, then
// CTA_TUPLE_PROTO with the number, then up to three values of 8 bytes each. Each
// is that of a value; its header stands before it.
func (w *writing) src(reply bool) spot          { return spot{reply, 12} }
func (w *writing) dst(reply bool) spot          { return spot{reply, 16 + w.width()} }
func (w *writing) proto(reply bool) spot        { return spot{reply, 24 + 2*w.width()} }
func (w *writing) value(reply bool, n int) spot { return spot{reply, 32 + 2*w.width() + 8*uint32(n)} }

// load loads from a tuple. The reply's needs its begin in X.
func (w *writing) load(s spot, size int) {
	if s.reply {
		w.do(bpf.LoadIndirect{Off: s.off, Size: size})
		return
	}
	w.do(bpf.LoadAbsolute{Off: attrsAt + s.off, Size: size})
}

// want passes a message that has another word at the place.
func (w *writing) want(s spot, word uint32) {
	w.load(s, 4)
	w.when(bpf.JumpEqual, word, next, w.pass)
}

// tuples checks that both tuples are of a form that is known and fills the
// slots that come of them.
func (w *writing) tuples() {
	n := w.width()
	shapes := map[shape]label{shapePorts: w.label(), shapeICMP: w.label(), shapeBare: w.label()}
	done := w.label()
	w.atLeast(attrsAt + 2*w.tupleLen(shapeBare))
	w.addrsAndNumber(false)
	w.load(w.proto(false), 1)
	w.do(bpf.StoreScratch{N: slotProto})
	w.load(spot{off: 16 + 2*n}, 4)
	for _, s := range []shape{shapePorts, shapeICMP} {
		w.when(bpf.JumpEqual, asLoaded(uint32(s), ctaTupleProto|nlaNested), shapes[s], next)
	}
	w.when(bpf.JumpEqual, asLoaded(uint32(shapeBare), ctaTupleProto|nlaNested), next, w.pass)
	for _, s := range []shape{shapeBare, shapePorts, shapeICMP} {
		w.mark(shapes[s])
		w.shaped(s)
		w.jump(done)
	}
	w.mark(done)
}

// tupleLen is the length of a CTA_TUPLE_* without a zone.
func (w *writing) tupleLen(s shape) uint32 { return 16 + 2*w.width() + uint32(s) }

// addrsAndNumber checks the headers of the addresses and of the protocol's number.
func (w *writing) addrsAndNumber(reply bool) {
	n := w.width()
	first := uint16(ctaIPv4Src)
	if w.family == flow.IPv6 {
		first = ctaIPv6Src
	}
	w.want(spot{reply, 4}, asLoaded(12+2*n, ctaTupleIP|nlaNested))
	w.want(spot{reply, 8}, asLoaded(4+n, first))
	w.want(spot{reply, 12 + n}, asLoaded(4+n, first+1))
	w.want(spot{reply, 20 + 2*n}, asLoaded(5, ctaProtoNum))
}

// shaped reads two tuples of one shape. Behind them a message of the kernel's has
// at least 16 bytes more, CTA_ID and CTA_STATUS: room for a zone in each tuple.
func (w *writing) shaped(s shape) {
	long := w.tupleLen(s)
	w.atLeast(attrsAt + 2*long + 16)
	w.placeReply(long)
	w.values(false, s)
	if w.replies {
		w.replyHeader(long, s)
		w.addrsAndNumber(true)
		w.values(true, s)
		w.sameProto()
	}
	w.keep(slotSrcPort, w.value(false, 0), 2, s == shapePorts)
	w.keep(slotDstPort, w.value(false, 1), 2, s == shapePorts)
	w.keep(slotReplySrcPort, w.value(true, 0), 2, s == shapePorts)
	w.keep(slotReplyDstPort, w.value(true, 1), 2, s == shapePorts)
	w.keep(slotICMPID, w.value(false, 0), 2, s == shapeICMP)
	w.keep(slotICMPType, w.value(false, 1), 1, s == shapeICMP)
	w.keep(slotICMPCode, w.value(false, 2), 1, s == shapeICMP)
}

// placeReply notes where the reply tuple begins: behind a CTA_TUPLE_ORIG with or
// without a zone of its own (CTA_TUPLE_ZONE).
func (w *writing) placeReply(long uint32) {
	plain, placed := w.label(), w.label()
	w.load(spot{}, 4)
	w.when(bpf.JumpEqual, asLoaded(long, ctaTupleOrig|nlaNested), plain, next)
	w.when(bpf.JumpEqual, asLoaded(long+8, ctaTupleOrig|nlaNested), next, w.pass)
	w.do(bpf.LoadConstant{Dst: bpf.RegX, Val: attrsAt + long + 8})
	w.jump(placed)
	w.mark(plain)
	w.do(bpf.LoadConstant{Dst: bpf.RegX, Val: attrsAt + long})
	w.mark(placed)
	w.do(bpf.StoreScratch{Src: bpf.RegX, N: slotReply})
}

// replyHeader checks that a reply tuple of the same shape stands there.
func (w *writing) replyHeader(long uint32, s shape) {
	found := w.label()
	w.load(spot{reply: true}, 4)
	w.when(bpf.JumpEqual, asLoaded(long, ctaTupleReply|nlaNested), found, next)
	w.when(bpf.JumpEqual, asLoaded(long+8, ctaTupleReply|nlaNested), next, w.pass)
	w.mark(found)
	w.want(spot{true, 16 + 2*w.width()}, asLoaded(uint32(s), ctaTupleProto|nlaNested))
}

// values checks the headers of a shape's values.
func (w *writing) values(reply bool, s shape) {
	heads := []uint32{}
	switch {
	case s == shapePorts:
		heads = []uint32{asLoaded(6, ctaProtoSrcPort), asLoaded(6, ctaProtoDstPort)}
	case s == shapeICMP && w.family == flow.IPv4:
		heads = []uint32{asLoaded(6, ctaProtoICMPID), asLoaded(5, ctaProtoICMPType), asLoaded(5, ctaProtoICMPCode)}
	case s == shapeICMP:
		heads = []uint32{asLoaded(6, ctaProtoICMPv6ID), asLoaded(5, ctaProtoICMPv6Type), asLoaded(5, ctaProtoICMPv6Code)}
	}
	for i, head := range heads {
		at := w.value(reply, i)
		at.off -= attrLen
		w.want(at, head)
	}
}

// sameProto passes a message whose tuples are of two protocols. It leaves the
// reply's begin in X.
func (w *writing) sameProto() {
	w.load(w.proto(true), 1)
	w.do(bpf.TAX{}, bpf.LoadScratch{N: slotProto}, bpf.ALUOpX{Op: bpf.ALUOpSub})
	w.when(bpf.JumpEqual, 0, next, w.pass)
	w.do(bpf.LoadScratch{Dst: bpf.RegX, N: slotReply})
}

// keep fills a slot that is asked for, from a place or with lacking.
func (w *writing) keep(slot int, from spot, size int, there bool) {
	if !w.asks(slot) {
		return
	}
	if there {
		w.load(from, size)
	} else {
		w.do(bpf.LoadConstant{Val: lacking})
	}
	w.do(bpf.StoreScratch{N: slot})
}
