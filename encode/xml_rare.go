package encode

import "github.com/ctferry/ctferry/source/flow"

// xmlProtocols writes the helper, the translation and the layer 4 protocol's state.
func xmlProtocols(dst []byte, v *view) []byte {
	if v.got(flow.HasHelper) {
		dst = xmlText(dst, `<helper>`, v.e.Extra.Helper)
	}
	if v.hasNAT {
		dst = xmlNAT(dst, v)
	}
	if v.got(tcpBits) {
		dst = xmlTCP(dst, v)
	}
	if v.got(sctpBits) {
		dst = xmlSCTP(dst, v)
	}
	if v.got(dccpBits) {
		dst = xmlDCCP(dst, v)
	}
	return dst
}

// xmlEmpty ends an element that has attributes only, or takes back one, begun
// at at, that has none.
func xmlEmpty(dst []byte, at, start int) []byte {
	if len(dst) == start {
		return dst[:at]
	}
	return append(dst, `/>`...)
}

func xmlNAT(dst []byte, v *view) []byte {
	n, family := &v.nat, v.natFamily
	at := len(dst)
	dst = append(dst, `<nat`...)
	start := len(dst)
	if v.shows(partNATType) {
		dst = xmlAttrWord(dst, ` type="`, n.Kind.String())
	}
	if v.shows(partNATSrc) {
		dst = v.note(append(appendAddr(append(dst, ` src="`...), &n.Src, family), '"'), slotReply+tupleDst)
	}
	if n.Ports && v.shows(partNATSrcPort) {
		dst = v.note(xmlAttr(dst, ` sport="`, uint64(n.SrcPort)), slotReply+tupleDstPort)
	}
	if v.shows(partNATDst) {
		dst = v.note(append(appendAddr(append(dst, ` dst="`...), &n.Dst, family), '"'), slotReply+tupleSrc)
	}
	if n.Ports && v.shows(partNATDstPort) {
		dst = v.note(xmlAttr(dst, ` dport="`, uint64(n.DstPort)), slotReply+tupleSrcPort)
	}
	if n.IPFIXEvent != 0 && v.shows(partNATEvent) {
		dst = xmlAttr(dst, ` ipfix_event="`, uint64(n.IPFIXEvent))
	}
	if id, ok := v.appendNATCommunity(append(dst, ` community_id="`...)); ok {
		dst = v.note(append(id, '"'), slotNATCommunity)
	}
	return xmlEmpty(dst, at, start)
}

func xmlTCP(dst []byte, v *view) []byte {
	t := &v.e.TCP
	at := len(dst)
	dst = append(dst, `<tcp`...)
	start := len(dst)
	if v.got(flow.HasTCPState) && v.shows(partTCPState) {
		dst = xmlAttrWord(dst, ` state="`, flow.TCPStateName(t.State))
	}
	if v.got(flow.HasTCPState) && v.shows(partTCPStateRaw) {
		dst = xmlAttr(dst, ` state_raw="`, uint64(t.State))
	}
	if v.got(flow.HasTCPWScaleOrig) {
		dst = v.note(xmlAttr(dst, ` wscale_orig="`, uint64(t.WScaleOrig)), slotWScaleOrig)
	}
	if v.got(flow.HasTCPWScaleReply) {
		dst = v.note(xmlAttr(dst, ` wscale_reply="`, uint64(t.WScaleReply)), slotWScaleReply)
	}
	if v.got(flow.HasTCPFlagsOrig) {
		dst = v.note(xmlAttr(dst, ` flags_orig="`, uint64(t.FlagsOrig)), slotFlagsOrig)
	}
	if v.got(flow.HasTCPFlagsReply) {
		dst = v.note(xmlAttr(dst, ` flags_reply="`, uint64(t.FlagsReply)), slotFlagsReply)
	}
	return xmlEmpty(dst, at, start)
}

func xmlSCTP(dst []byte, v *view) []byte {
	s := &v.e.SCTP
	at := len(dst)
	dst = append(dst, `<sctp`...)
	start := len(dst)
	if v.got(flow.HasSCTPState) && v.shows(partSCTPState) {
		dst = xmlAttrWord(dst, ` state="`, flow.SCTPStateName(s.State))
	}
	if v.got(flow.HasSCTPState) && v.shows(partSCTPStateRaw) {
		dst = xmlAttr(dst, ` state_raw="`, uint64(s.State))
	}
	if v.got(flow.HasSCTPVTagOrig) {
		dst = v.note(xmlAttr(dst, ` vtag_orig="`, uint64(s.VTagOrig)), slotVTagOrig)
	}
	if v.got(flow.HasSCTPVTagReply) {
		dst = v.note(xmlAttr(dst, ` vtag_reply="`, uint64(s.VTagReply)), slotVTagReply)
	}
	return xmlEmpty(dst, at, start)
}

func xmlDCCP(dst []byte, v *view) []byte {
	d := &v.e.DCCP
	at := len(dst)
	dst = append(dst, `<dccp`...)
	start := len(dst)
	if v.got(flow.HasDCCPState) && v.shows(partDCCPState) {
		dst = xmlAttrWord(dst, ` state="`, flow.DCCPStateName(d.State))
	}
	if v.got(flow.HasDCCPState) && v.shows(partDCCPStateRaw) {
		dst = xmlAttr(dst, ` state_raw="`, uint64(d.State))
	}
	if v.got(flow.HasDCCPRole) && v.shows(partDCCPRole) {
		dst = xmlAttrWord(dst, ` role="`, flow.DCCPRoleName(d.Role))
	}
	if v.got(flow.HasDCCPRole) && v.shows(partDCCPRoleRaw) {
		dst = xmlAttr(dst, ` role_raw="`, uint64(d.Role))
	}
	if v.got(flow.HasDCCPSeq) {
		dst = xmlAttr(dst, ` handshake_seq="`, d.HandshakeSeq)
	}
	return xmlEmpty(dst, at, start)
}

// xmlExtra writes the rare objects.
func xmlExtra(dst []byte, v *view) []byte {
	x := v.e.Extra
	if v.wantsMaster() {
		dst = append(dst, `<master>`...)
		dst = append(xmlTuple(dst, v, slotNone, xmlAlone(&x.Master, v.master), &x.Master, v.master), `</master>`...)
	}
	if v.got(seqAdjBits) {
		dst = append(dst, `<seqadj>`...)
		if v.got(flow.HasOrigSeqAdj) {
			dst = xmlSeqAdj(append(dst, `<orig`...), &x.OrigSeqAdj)
		}
		if v.got(flow.HasReplySeqAdj) {
			dst = xmlSeqAdj(append(dst, `<reply`...), &x.ReplySeqAdj)
		}
		dst = append(dst, `</seqadj>`...)
	}
	if v.got(flow.HasSynProxy) && v.shows(partSynProxy) {
		dst = xmlSynProxy(dst, v, &x.SynProxy)
	}
	if v.wantsExpect() {
		dst = xmlExpectation(dst, v)
	}
	return dst
}

func xmlSeqAdj(dst []byte, s *flow.SeqAdj) []byte {
	dst = xmlAttr(dst, ` correction_pos="`, uint64(s.CorrectionPos))
	dst = xmlAttr(dst, ` offset_before="`, uint64(s.OffsetBefore))
	dst = xmlAttr(dst, ` offset_after="`, uint64(s.OffsetAfter))
	return append(dst, `/>`...)
}

func xmlSynProxy(dst []byte, v *view, s *flow.SynProxy) []byte {
	dst = append(dst, `<synproxy`...)
	if v.shows(partISN) {
		dst = v.note(xmlAttr(dst, ` isn="`, uint64(s.ISN)), slotISN)
	}
	if v.shows(partITS) {
		dst = v.note(xmlAttr(dst, ` its="`, uint64(s.ITS)), slotITS)
	}
	if v.shows(partTSOff) {
		dst = v.note(xmlAttr(dst, ` tsoff="`, uint64(s.TSOff)), slotTSOff)
	}
	return append(dst, `/>`...)
}
