package encode

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ctferry/ctferry/source/flow"
)

// pbTuple writes a tuple's fields 1 to 10.
func pbTuple(dst []byte, t *flow.Tuple, has flow.TupleHas) []byte {
	if has&flow.HasSrc != 0 {
		dst = pbAddr(dst, 1, &t.Src, t.Family)
	}
	if has&flow.HasDst != 0 {
		dst = pbAddr(dst, 2, &t.Dst, t.Family)
	}
	if has&flow.HasSrcPort != 0 {
		dst = pbUint(dst, 3, uint64(t.SrcPort))
	}
	if has&flow.HasDstPort != 0 {
		dst = pbUint(dst, 4, uint64(t.DstPort))
	}
	if has&flow.HasICMPType != 0 {
		dst = pbUint(dst, 5, uint64(t.ICMPType))
	}
	if has&flow.HasICMPCode != 0 {
		dst = pbUint(dst, 6, uint64(t.ICMPCode))
	}
	if has&flow.HasICMPID != 0 {
		dst = pbUint(dst, 7, uint64(t.ICMPID))
	}
	if has&hasSrcKey != 0 {
		dst = pbUint(dst, 8, uint64(t.SrcPort))
	}
	if has&hasDstKey != 0 {
		dst = pbUint(dst, 9, uint64(t.DstPort))
	}
	if has&flow.HasTupleZone != 0 {
		dst = pbUint(dst, 10, uint64(t.Zone))
	}
	return dst
}

// pbTupleProto writes a tuple's field 15, which stands behind the counters.
func pbTupleProto(dst []byte, t *flow.Tuple, has flow.TupleHas) []byte {
	if has&flow.HasProto == 0 {
		return dst
	}
	return pbUint(dst, 15, uint64(t.Proto))
}

// pbTupleMember writes a tuple that stands alone.
func pbTupleMember(dst []byte, num protowire.Number, t *flow.Tuple, has flow.TupleHas) []byte {
	dst, start := pbOpen(dst, num)
	return pbClose(pbTupleProto(pbTuple(dst, t, has), t, has), start)
}

// pbNAT writes the translated side, field 9.
func pbNAT(dst []byte, v *view) []byte {
	n, family := &v.nat, v.natFamily
	at := len(dst)
	dst, start := pbOpen(dst, 9)
	if v.shows(partNATType) {
		dst = pbUintIf(dst, 1, uint64(n.Kind))
	}
	if v.shows(partNATSrc) {
		dst = pbAddr(dst, 2, &n.Src, family)
	}
	if n.Ports && v.shows(partNATSrcPort) {
		dst = pbUint(dst, 3, uint64(n.SrcPort))
	}
	if v.shows(partNATDst) {
		dst = pbAddr(dst, 4, &n.Dst, family)
	}
	if n.Ports && v.shows(partNATDstPort) {
		dst = pbUint(dst, 5, uint64(n.DstPort))
	}
	if n.IPFIXEvent != 0 && v.shows(partNATEvent) {
		dst = pbUint(dst, 6, uint64(n.IPFIXEvent))
	}
	idAt := len(dst)
	dst, idStart := pbOpen(dst, 7)
	id, ok := v.appendNATCommunity(dst)
	if !ok {
		return pbMember(dst[:idAt], at, start)
	}
	return pbClose(pbClose(id, idStart), start)
}

// pbState writes a state's enum number, which is the kernel's plus one where
// it has a name, under num and the kernel's under the number after it.
func pbState(dst []byte, num protowire.Number, state uint8, name string, word, raw bool) []byte {
	if word && name != "" {
		dst = pbUint(dst, num, uint64(state)+1)
	}
	if raw {
		dst = pbUint(dst, num+1, uint64(state))
	}
	return dst
}

func pbTCP(dst []byte, v *view) []byte {
	t := &v.e.TCP
	at := len(dst)
	dst, start := pbOpen(dst, 15)
	if v.got(flow.HasTCPState) {
		dst = pbState(dst, 1, t.State, flow.TCPStateName(t.State), v.shows(partTCPState), v.shows(partTCPStateRaw))
	}
	if v.got(flow.HasTCPWScaleOrig) {
		dst = pbUint(dst, 3, uint64(t.WScaleOrig))
	}
	if v.got(flow.HasTCPWScaleReply) {
		dst = pbUint(dst, 4, uint64(t.WScaleReply))
	}
	if v.got(flow.HasTCPFlagsOrig) {
		dst = pbUint(dst, 5, uint64(t.FlagsOrig))
	}
	if v.got(flow.HasTCPFlagsReply) {
		dst = pbUint(dst, 6, uint64(t.FlagsReply))
	}
	return pbMember(dst, at, start)
}

func pbSCTP(dst []byte, v *view) []byte {
	s := &v.e.SCTP
	at := len(dst)
	dst, start := pbOpen(dst, 25)
	if v.got(flow.HasSCTPState) {
		dst = pbState(dst, 1, s.State, flow.SCTPStateName(s.State), v.shows(partSCTPState), v.shows(partSCTPStateRaw))
	}
	if v.got(flow.HasSCTPVTagOrig) {
		dst = pbUint(dst, 3, uint64(s.VTagOrig))
	}
	if v.got(flow.HasSCTPVTagReply) {
		dst = pbUint(dst, 4, uint64(s.VTagReply))
	}
	return pbMember(dst, at, start)
}

func pbDCCP(dst []byte, v *view) []byte {
	d := &v.e.DCCP
	at := len(dst)
	dst, start := pbOpen(dst, 26)
	if v.got(flow.HasDCCPState) {
		dst = pbState(dst, 1, d.State, flow.DCCPStateName(d.State), v.shows(partDCCPState), v.shows(partDCCPStateRaw))
	}
	if v.got(flow.HasDCCPRole) {
		dst = pbState(dst, 3, d.Role, flow.DCCPRoleName(d.Role), v.shows(partDCCPRole), v.shows(partDCCPRoleRaw))
	}
	if v.got(flow.HasDCCPSeq) {
		dst = pbUint(dst, 5, d.HandshakeSeq)
	}
	return pbMember(dst, at, start)
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
