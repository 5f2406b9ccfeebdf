package ctnetlink

import "github.com/ctferry/ctferry/source/flow"

// putEntry appends the attributes of an entry that a process may set. What the
// kernel alone knows (counters, times, id, use) is not among them.
func (w *writer) putEntry(e *flow.Event) {
	w.putKey(e)
	if e.Any(flow.HasStatus) {
		w.put32(ctaStatus, e.Status)
	}
	w.putSettable(e)
}

// putSettable appends what putEntry does after the key and the status.
func (w *writer) putSettable(e *flow.Event) {
	w.putProtoInfo(e)
	if e.Any(flow.HasHelper) {
		at := w.nest(ctaHelp)
		w.putName(ctaHelpName, e.Extra.Helper)
		w.close(at)
	}
	if e.Any(flow.HasTimeout) {
		w.put32(ctaTimeout, e.Timeout)
	}
	if e.Any(flow.HasMark) {
		w.put32(ctaMark, e.Mark)
	}
	if e.Any(flow.HasLabels) {
		w.putBytes(ctaLabels, e.Labels[:])
	}
	w.putExtensions(e)
}

// putKey appends what names an entry: its tuples and its zone.
func (w *writer) putKey(e *flow.Event) {
	if e.Any(flow.HasOrig) {
		w.putTuple(ctaTupleOrig, &e.Orig)
	}
	if e.Any(flow.HasReply) {
		w.putTuple(ctaTupleReply, &e.Reply)
	}
	if e.Any(flow.HasZone) {
		w.put16(ctaZone, e.Zone)
	}
}

func (w *writer) putExtensions(e *flow.Event) {
	if e.Any(flow.HasMaster) {
		w.putTuple(ctaTupleMaster, &e.Extra.Master)
	}
	if e.Any(flow.HasOrigSeqAdj) {
		s := e.Extra.OrigSeqAdj
		w.putWords(ctaSeqAdjOrig, s.CorrectionPos, s.OffsetBefore, s.OffsetAfter)
	}
	if e.Any(flow.HasReplySeqAdj) {
		s := e.Extra.ReplySeqAdj
		w.putWords(ctaSeqAdjReply, s.CorrectionPos, s.OffsetBefore, s.OffsetAfter)
	}
	if e.Any(flow.HasSynProxy) {
		s := e.Extra.SynProxy
		w.putWords(ctaSynProxy, s.ISN, s.ITS, s.TSOff)
	}
}

// putWords appends a nest of words, attributes 1 and up.
func (w *writer) putWords(kind uint16, words ...uint32) {
	at := w.nest(kind)
	for i, v := range words {
		w.put32(uint16(i+1), v)
	}
	w.close(at)
}

const (
	hasTCP = flow.HasTCPState | flow.HasTCPWScaleOrig | flow.HasTCPWScaleReply |
		flow.HasTCPFlagsOrig | flow.HasTCPFlagsReply
	hasSCTP = flow.HasSCTPState | flow.HasSCTPVTagOrig | flow.HasSCTPVTagReply
	hasDCCP = flow.HasDCCPState | flow.HasDCCPRole | flow.HasDCCPSeq
)

func (w *writer) putProtoInfo(e *flow.Event) {
	if !e.Any(hasTCP | hasSCTP | hasDCCP) {
		return
	}
	at := w.nest(ctaProtoInfo)
	if e.Any(hasTCP) {
		w.putTCP(e)
	}
	if e.Any(hasDCCP) {
		w.putDCCP(e)
	}
	if e.Any(hasSCTP) {
		w.putSCTP(e)
	}
	w.close(at)
}

func (w *writer) putTCP(e *flow.Event) {
	at := w.nest(ctaProtoInfoTCP)
	if e.Any(flow.HasTCPState) {
		w.put8(ctaTCPState, e.TCP.State)
	}
	if e.Any(flow.HasTCPWScaleOrig) {
		w.put8(ctaTCPWScaleOrig, e.TCP.WScaleOrig)
	}
	if e.Any(flow.HasTCPWScaleReply) {
		w.put8(ctaTCPWScaleReply, e.TCP.WScaleReply)
	}
	// struct nf_ct_tcp_flags: the flags, and the mask of those that are set by it.
	if e.Any(flow.HasTCPFlagsOrig) {
		w.putBytes(ctaTCPFlagsOrig, []byte{e.TCP.FlagsOrig, e.TCP.FlagsOrig})
	}
	if e.Any(flow.HasTCPFlagsReply) {
		w.putBytes(ctaTCPFlagsReply, []byte{e.TCP.FlagsReply, e.TCP.FlagsReply})
	}
	w.close(at)
}

func (w *writer) putDCCP(e *flow.Event) {
	at := w.nest(ctaProtoInfoDCCP)
	if e.Any(flow.HasDCCPState) {
		w.put8(ctaDCCPState, e.DCCP.State)
	}
	if e.Any(flow.HasDCCPRole) {
		w.put8(ctaDCCPRole, e.DCCP.Role)
	}
	if e.Any(flow.HasDCCPSeq) {
		w.put64(ctaDCCPSeq, e.DCCP.HandshakeSeq)
	}
	w.close(at)
}

func (w *writer) putSCTP(e *flow.Event) {
	at := w.nest(ctaProtoInfoSCTP)
	if e.Any(flow.HasSCTPState) {
		w.put8(ctaSCTPState, e.SCTP.State)
	}
	if e.Any(flow.HasSCTPVTagOrig) {
		w.put32(ctaSCTPVTagOrig, e.SCTP.VTagOrig)
	}
	if e.Any(flow.HasSCTPVTagReply) {
		w.put32(ctaSCTPVTagReply, e.SCTP.VTagReply)
	}
	w.close(at)
}
