package ctnetlink

import (
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// eventMessage encodes an event as the kernel would send it.
func eventMessage(e *flow.Event) []byte {
	subsystem, operation, flags := uint16(unix.NFNL_SUBSYS_CTNETLINK), uint16(msgCtNew), uint16(0)
	if e.Table == flow.TableExpect {
		subsystem = unix.NFNL_SUBSYS_CTNETLINK_EXP
	}
	switch e.Type {
	case flow.TypeNew:
		flags = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	case flow.TypeDestroy:
		operation = msgCtDelete
	}
	var w writer
	at := w.begin(subsystem, operation, flags, 0, e.Family)
	if e.Got(flow.HasPortID) {
		native32(w.b[at+12:], e.PortID)
	}
	if e.Table == flow.TableExpect {
		w.putExpect(&e.Extra.Expect)
	} else {
		w.putKernelEntry(e)
	}
	w.finish(at)
	return w.b
}

// putKernelEntry appends all of an entry's attributes, those too that only the
// kernel sends.
func (w *writer) putKernelEntry(e *flow.Event) {
	w.putEntry(e)
	if e.Got(flow.HasID) {
		w.put32(ctaID, e.ID)
	}
	if e.Got(flow.HasUse) {
		w.put32(ctaUse, e.Use)
	}
	w.putCounters(e, flow.HasOrigCounters, ctaCountersOrig, e.OrigCounters)
	w.putCounters(e, flow.HasReplyCounters, ctaCountersReply, e.ReplyCounters)
	if e.Any(flow.HasStart | flow.HasStop) {
		at := w.nest(ctaTimestamp)
		if e.Got(flow.HasStart) {
			w.put64(ctaTimestampStart, uint64(e.Start))
		}
		if e.Got(flow.HasStop) {
			w.put64(ctaTimestampStop, uint64(e.Stop))
		}
		w.close(at)
	}
	if e.TimeSource == flow.TimeKernel {
		w.put64(ctaTimestampEvent, uint64(e.Time))
	}
	if e.Got(flow.HasSecCtx) {
		at := w.nest(ctaSecCtx)
		w.putName(ctaSecCtxName, e.Extra.SecCtx)
		w.close(at)
	}
}

func (w *writer) putCounters(e *flow.Event, has flow.Has, kind uint16, c flow.Counters) {
	if !e.Got(has) {
		return
	}
	at := w.nest(kind)
	w.put64(ctaCountersPackets, c.Packets)
	w.put64(ctaCountersBytes, c.Bytes)
	w.close(at)
}

// randomEvent fills the next slot of b with an event of a random shape.
func randomEvent(r *rand.Rand, b *flow.Batch) *flow.Event {
	e := b.Next()
	e.Family = []flow.Family{flow.IPv4, flow.IPv6}[r.IntN(2)]
	e.Table = []flow.Table{flow.TableConntrack, flow.TableExpect}[r.IntN(2)]
	e.Type = []flow.Type{flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy}[r.IntN(3)]
	if r.IntN(2) == 0 {
		e.Has |= flow.HasPortID
		e.PortID = r.Uint32() | 1
	}
	x := b.ExtraFor(e)
	if e.Table == flow.TableExpect {
		e.Has |= flow.HasExpect
		randomExpect(r, e.Family, &x.Expect)
		return e
	}
	const never = flow.HasFlowID | flow.HasOrigDeltas | flow.HasReplyDeltas | flow.HasReceived | flow.HasMasterFlowID |
		flow.HasProgName | flow.HasLabelNames | flow.HasExpect | flow.HasInterval | flow.HasBounds | flow.HasPortID
	e.Has |= flow.Has(r.Uint64()) & (flow.HasSynthetic - 1) &^ never
	randomTuple(r, e.Family, &e.Orig)
	randomTuple(r, e.Family, &e.Reply)
	if e.Got(flow.HasOrig) {
		e.Proto = e.Orig.Proto
	}
	e.Status, e.Timeout, e.Mark, e.Use, e.ID, e.Zone = r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32(), uint16(r.Uint32())
	e.OrigCounters = flow.Counters{Packets: r.Uint64(), Bytes: r.Uint64()}
	e.ReplyCounters = flow.Counters{Packets: r.Uint64(), Bytes: r.Uint64()}
	e.Start, e.Stop = r.Int64(), r.Int64()
	if r.IntN(2) == 0 {
		e.Time, e.TimeSource = r.Int64(), flow.TimeKernel
	}
	for i := range e.Labels {
		e.Labels[i] = byte(r.Uint32())
	}
	random := func() uint8 { return uint8(r.Uint32()) }
	e.TCP = flow.TCP{State: random(), WScaleOrig: random(), WScaleReply: random(), FlagsOrig: random(), FlagsReply: random()}
	e.SCTP = flow.SCTP{State: random(), VTagOrig: r.Uint32(), VTagReply: r.Uint32()}
	e.DCCP = flow.DCCP{State: random(), Role: random(), HandshakeSeq: r.Uint64()}
	x.Helper, x.SecCtx = randomName(r), randomName(r)
	randomTuple(r, e.Family, &x.Master)
	x.OrigSeqAdj = flow.SeqAdj{CorrectionPos: r.Uint32(), OffsetBefore: r.Uint32(), OffsetAfter: r.Uint32()}
	x.ReplySeqAdj = flow.SeqAdj{CorrectionPos: r.Uint32(), OffsetBefore: r.Uint32(), OffsetAfter: r.Uint32()}
	x.SynProxy = flow.SynProxy{ISN: r.Uint32(), ITS: r.Uint32(), TSOff: r.Uint32()}
	return e
}

func randomExpect(r *rand.Rand, family flow.Family, x *flow.Expectation) {
	x.Has = flow.ExpectHas(r.Uint32()) & (flow.HasExpectFn<<1 - 1)
	for _, t := range []*flow.Tuple{&x.Tuple, &x.Mask, &x.Master, &x.NAT} {
		randomTuple(r, family, t)
	}
	x.NATDir, x.Zone = uint8(r.IntN(2)), uint16(r.Uint32())
	x.ID, x.Timeout, x.Class, x.Flags = r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32()
	x.Helper, x.Fn = randomName(r), randomName(r)
}

// randomTuple is often the common tuple, and else anything.
func randomTuple(r *rand.Rand, family flow.Family, t *flow.Tuple) {
	*t = flow.Tuple{Family: family, Has: flow.HasAddrs | flow.HasProto | flow.HasPorts}
	if r.IntN(2) == 0 {
		t.Has = flow.TupleHas(r.Uint32()) & (flow.HasProto<<1 - 1)
	}
	if t.Got(flow.HasProto) {
		t.Proto = []uint8{flow.ProtoTCP, flow.ProtoICMP, flow.ProtoICMPv6, 50}[r.IntN(4)]
	}
	for i := range family.AddrLen() {
		t.Src[i], t.Dst[i] = byte(r.Uint32()), byte(r.Uint32())
	}
	t.SrcPort, t.DstPort, t.ICMPID, t.Zone = uint16(r.Uint32()), uint16(r.Uint32()), uint16(r.Uint32()), uint16(r.Uint32())
	t.ICMPType, t.ICMPCode = uint8(r.Uint32()), uint8(r.Uint32())
}

func randomName(r *rand.Rand) string {
	return []string{"ftp", "", "sip-5060", "system_u:object_r:unlabeled_t:s0", "nat-follow-master"}[r.IntN(5)]
}
