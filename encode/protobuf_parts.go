package encode

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ctferry/ctferry/source/flow"
)

// sides writes both directions with their counters, fields 5 and 6.
func (w *pbPage) sides(n int, v *view) int {
	e := v.e
	at := n
	n = w.open(n, 5)
	start := n
	if v.orig != 0 {
		n = w.tuple(n, &e.Orig, v.orig)
	}
	if v.got(flow.HasOrigCounters) {
		n = w.counters(n, 11, &e.OrigCounters, v.shows(partOrigPackets), v.shows(partOrigBytes))
	}
	if v.got(flow.HasOrigDeltas) {
		n = w.counters(n, 13, &e.OrigDeltas, v.shows(partOrigPacketsDelta), v.shows(partOrigBytesDelta))
	}
	n = w.member(w.tupleProto(n, &e.Orig, v.orig), at, start)
	at = n
	n = w.open(n, 6)
	start = n
	if v.reply != 0 {
		n = w.tuple(n, &e.Reply, v.reply)
	}
	if v.got(flow.HasReplyCounters) {
		n = w.counters(n, 11, &e.ReplyCounters, v.shows(partReplyPackets), v.shows(partReplyBytes))
	}
	if v.got(flow.HasReplyDeltas) {
		n = w.counters(n, 13, &e.ReplyDeltas, v.shows(partReplyPacketsDelta), v.shows(partReplyBytesDelta))
	}
	return w.member(w.tupleProto(n, &e.Reply, v.reply), at, start)
}

// counters writes packets under num and bytes under the number after it.
func (w *pbPage) counters(n int, num protowire.Number, c *flow.Counters, packets, bytes bool) int {
	if packets {
		n = w.varint(w.key(n, num), c.Packets)
	}
	if bytes {
		n = w.varint(w.key(n, num+1), c.Bytes)
	}
	return n
}

// tuple writes a tuple's fields 1 to 10.
func (w *pbPage) tuple(n int, t *flow.Tuple, has flow.TupleHas) int {
	if has&^flow.HasProto == flow.HasAddrs|flow.HasPorts {
		return w.ends(n, t)
	}
	if has&flow.HasSrc != 0 {
		n = w.addr(n, 1, &t.Src, t.Family)
	}
	if has&flow.HasDst != 0 {
		n = w.addr(n, 2, &t.Dst, t.Family)
	}
	if has&flow.HasSrcPort != 0 {
		n = w.varint(w.key(n, 3), uint64(t.SrcPort))
	}
	if has&flow.HasDstPort != 0 {
		n = w.varint(w.key(n, 4), uint64(t.DstPort))
	}
	if has&flow.HasICMPType != 0 {
		n = w.small(n, 5, t.ICMPType)
	}
	if has&flow.HasICMPCode != 0 {
		n = w.small(n, 6, t.ICMPCode)
	}
	if has&flow.HasICMPID != 0 {
		n = w.varint(w.key(n, 7), uint64(t.ICMPID))
	}
	if has&hasSrcKey != 0 {
		n = w.varint(w.key(n, 8), uint64(t.SrcPort))
	}
	if has&hasDstKey != 0 {
		n = w.varint(w.key(n, 9), uint64(t.DstPort))
	}
	if has&flow.HasTupleZone != 0 {
		n = w.varint(w.key(n, 10), uint64(t.Zone))
	}
	return n
}

// tupleProto writes a tuple's field 15, which stands behind the counters.
func (w *pbPage) tupleProto(n int, t *flow.Tuple, has flow.TupleHas) int {
	if has&flow.HasProto == 0 {
		return n
	}
	return w.small(n, 15, t.Proto)
}

// pbTupleMember writes a tuple that stands alone.
func pbTupleMember(dst []byte, num protowire.Number, t *flow.Tuple, has flow.TupleHas) []byte {
	dst = pbReserve(dst, 0)
	w := pbBehind(dst)
	start := w.open(0, num)
	n := w.tupleProto(w.tuple(start, t, has), t, has)
	return pbWritten(dst, w.close(n, start))
}

// nat writes the translated side, field 9.
func (w *pbPage) nat(n int, v *view) int {
	t, family := &v.nat, v.natFamily
	at := n
	n = w.open(n, 9)
	start := n
	if t.Kind != 0 && v.shows(partNATType) {
		n = w.small(n, 1, uint8(t.Kind))
	}
	if v.shows(partNATSrc) {
		n = w.addr(n, 2, &t.Src, family)
	}
	if t.Ports && v.shows(partNATSrcPort) {
		n = w.varint(w.key(n, 3), uint64(t.SrcPort))
	}
	if v.shows(partNATDst) {
		n = w.addr(n, 4, &t.Dst, family)
	}
	if t.Ports && v.shows(partNATDstPort) {
		n = w.varint(w.key(n, 5), uint64(t.DstPort))
	}
	if t.IPFIXEvent != 0 && v.shows(partNATEvent) {
		n = w.small(n, 6, t.IPFIXEvent)
	}
	id := w.open(n, 7)
	if out, ok := v.appendNATCommunity(w[:id]); ok {
		n = w.close(len(out), id)
	}
	return w.member(n, at, start)
}

// state writes a state's enum number, which is the kernel's plus one where it
// has a name, under num and the kernel's under the number after it.
func (w *pbPage) state(n int, num protowire.Number, state uint8, name string, word, raw bool) int {
	if word && name != "" {
		n = w.small(n, num, state+1)
	}
	if raw {
		n = w.small(n, num+1, state)
	}
	return n
}

func (w *pbPage) tcp(n int, v *view) int {
	t := &v.e.TCP
	at := n
	n = w.open(n, 15)
	start := n
	if v.got(flow.HasTCPState) {
		n = w.state(n, 1, t.State, flow.TCPStateName(t.State), v.shows(partTCPState), v.shows(partTCPStateRaw))
	}
	if v.got(flow.HasTCPWScaleOrig) {
		n = w.small(n, 3, t.WScaleOrig)
	}
	if v.got(flow.HasTCPWScaleReply) {
		n = w.small(n, 4, t.WScaleReply)
	}
	if v.got(flow.HasTCPFlagsOrig) {
		n = w.small(n, 5, t.FlagsOrig)
	}
	if v.got(flow.HasTCPFlagsReply) {
		n = w.small(n, 6, t.FlagsReply)
	}
	return w.member(n, at, start)
}

func (w *pbPage) sctp(n int, v *view) int {
	s := &v.e.SCTP
	at := n
	n = w.open(n, 25)
	start := n
	if v.got(flow.HasSCTPState) {
		n = w.state(n, 1, s.State, flow.SCTPStateName(s.State), v.shows(partSCTPState), v.shows(partSCTPStateRaw))
	}
	if v.got(flow.HasSCTPVTagOrig) {
		n = w.varint(w.key(n, 3), uint64(s.VTagOrig))
	}
	if v.got(flow.HasSCTPVTagReply) {
		n = w.varint(w.key(n, 4), uint64(s.VTagReply))
	}
	return w.member(n, at, start)
}

func pbDCCP(dst []byte, v *view) []byte {
	d := &v.e.DCCP
	dst = pbReserve(dst, 0)
	w := pbBehind(dst)
	start := w.open(0, 26)
	n := start
	if v.got(flow.HasDCCPState) {
		n = w.state(n, 1, d.State, flow.DCCPStateName(d.State), v.shows(partDCCPState), v.shows(partDCCPStateRaw))
	}
	if v.got(flow.HasDCCPRole) {
		n = w.state(n, 3, d.Role, flow.DCCPRoleName(d.Role), v.shows(partDCCPRole), v.shows(partDCCPRoleRaw))
	}
	if v.got(flow.HasDCCPSeq) {
		n = w.varint(w.key(n, 5), d.HandshakeSeq)
	}
	return pbWritten(dst, w.member(n, 0, start))
}

// pbExtra writes fields 34 to 37.
func pbExtra(dst []byte, v *view) []byte {
	x := v.e.Extra
	if v.wantsMaster() {
		dst = pbTupleMember(dst, 34, &x.Master, v.master)
	}
	if v.got(flow.HasMasterFlowID) {
		dst = pbFixed(dst, 35, x.MasterFlowID)
	}
	if v.got(seqAdjBits) {
		var start int
		dst, start = pbOpen(dst, 36)
		if v.got(flow.HasOrigSeqAdj) {
			dst = pbSeqAdj(dst, 1, &x.OrigSeqAdj)
		}
		if v.got(flow.HasReplySeqAdj) {
			dst = pbSeqAdj(dst, 2, &x.ReplySeqAdj)
		}
		dst = pbClose(dst, start)
	}
	if v.got(flow.HasSynProxy) && v.shows(partSynProxy) {
		dst = pbSynProxy(dst, v, &x.SynProxy)
	}
	return dst
}

func pbSeqAdj(dst []byte, num protowire.Number, s *flow.SeqAdj) []byte {
	dst, start := pbOpen(dst, num)
	dst = pbUintIf(dst, 1, uint64(s.CorrectionPos))
	dst = pbUintIf(dst, 2, uint64(s.OffsetBefore))
	dst = pbUintIf(dst, 3, uint64(s.OffsetAfter))
	return pbClose(dst, start)
}

func pbSynProxy(dst []byte, v *view, s *flow.SynProxy) []byte {
	dst, start := pbOpen(dst, 37)
	if v.shows(partISN) {
		dst = pbUintIf(dst, 1, uint64(s.ISN))
	}
	if v.shows(partITS) {
		dst = pbUintIf(dst, 2, uint64(s.ITS))
	}
	if v.shows(partTSOff) {
		dst = pbUintIf(dst, 3, uint64(s.TSOff))
	}
	return pbClose(dst, start)
}
