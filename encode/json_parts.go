package encode

import "github.com/ctferry/ctferry/source/flow"

// sides writes both directions with their counters.
func (j *jsonEncoder) sides(dst []byte, v *view) []byte {
	e := v.e
	at := len(dst)
	dst = append(dst, `,"orig":`...)
	start := len(dst)
	dst = jsonTuple(dst, v, slotOrig, &e.Orig, v.orig)
	if v.got(flow.HasOrigCounters) {
		dst = jsonCounters(dst, v, slotOrigPackets, &e.OrigCounters, v.shows(partOrigPackets), v.shows(partOrigBytes))
	}
	if v.got(flow.HasOrigDeltas) {
		dst = jsonDeltas(dst, v, slotOrigPacketsDelta, &e.OrigDeltas, v.shows(partOrigPacketsDelta), v.shows(partOrigBytesDelta))
	}
	dst = jsonMember(dst, at, start)
	at = len(dst)
	dst = append(dst, `,"reply":`...)
	start = len(dst)
	dst = jsonTuple(dst, v, slotReply, &e.Reply, v.reply)
	if v.got(flow.HasReplyCounters) {
		dst = jsonCounters(dst, v, slotReplyPackets, &e.ReplyCounters, v.shows(partReplyPackets), v.shows(partReplyBytes))
	}
	if v.got(flow.HasReplyDeltas) {
		dst = jsonDeltas(dst, v, slotReplyPacketsDelta, &e.ReplyDeltas, v.shows(partReplyPacketsDelta), v.shows(partReplyBytesDelta))
	}
	return jsonMember(dst, at, start)
}

// jsonMember ends an object member whose name stands at at and whose members
// from start on; without members it takes the name back.
func jsonMember(dst []byte, at, start int) []byte {
	if len(dst) == start {
		return dst[:at]
	}
	return jsonObject(dst, start)
}

// jsonTuple writes a tuple's members, whose slots begin with first.
func jsonTuple(dst []byte, v *view, first slot, t *flow.Tuple, has flow.TupleHas) []byte {
	if has&flow.HasSrc != 0 {
		dst = v.note(append(appendAddr(append(dst, `,"src":"`...), &t.Src, t.Family), '"'), first+tupleSrc)
	}
	if has&flow.HasDst != 0 {
		dst = v.note(append(appendAddr(append(dst, `,"dst":"`...), &t.Dst, t.Family), '"'), first+tupleDst)
	}
	if has&flow.HasSrcPort != 0 {
		dst = v.note(jsonUint(dst, `,"sport":`, uint64(t.SrcPort)), first+tupleSrcPort)
	}
	if has&flow.HasDstPort != 0 {
		dst = v.note(jsonUint(dst, `,"dport":`, uint64(t.DstPort)), first+tupleDstPort)
	}
	if has&^(flow.HasAddrs|flow.HasPorts) == 0 {
		return dst
	}
	if has&flow.HasICMPType != 0 {
		dst = v.note(jsonUint(dst, `,"icmp_type":`, uint64(t.ICMPType)), first+tupleICMPType)
	}
	if has&flow.HasICMPCode != 0 {
		dst = v.note(jsonUint(dst, `,"icmp_code":`, uint64(t.ICMPCode)), first+tupleICMPCode)
	}
	if has&flow.HasICMPID != 0 {
		dst = v.note(jsonUint(dst, `,"icmp_id":`, uint64(t.ICMPID)), first+tupleICMPID)
	}
	if has&hasSrcKey != 0 {
		dst = jsonUint(dst, `,"srckey":`, uint64(t.SrcPort))
	}
	if has&hasDstKey != 0 {
		dst = jsonUint(dst, `,"dstkey":`, uint64(t.DstPort))
	}
	if has&flow.HasTupleZone != 0 {
		dst = v.note(jsonUint(dst, `,"zone":`, uint64(t.Zone)), first+tupleZone)
	}
	if has&flow.HasProto != 0 {
		dst = jsonUint(dst, `,"proto_num":`, uint64(t.Proto))
	}
	return dst
}

func jsonCounters(dst []byte, v *view, first slot, c *flow.Counters, packets, bytes bool) []byte {
	if packets {
		dst = v.note(jsonUint(dst, `,"packets":`, c.Packets), first)
	}
	if bytes {
		dst = v.note(jsonUint(dst, `,"bytes":`, c.Bytes), first+1)
	}
	return dst
}

func jsonDeltas(dst []byte, v *view, first slot, c *flow.Counters, packets, bytes bool) []byte {
	if packets {
		dst = v.note(jsonUint(dst, `,"packets_delta":`, c.Packets), first)
	}
	if bytes {
		dst = v.note(jsonUint(dst, `,"bytes_delta":`, c.Bytes), first+1)
	}
	return dst
}

// nat writes the translated side.
func (j *jsonEncoder) nat(dst []byte, v *view) []byte {
	n, family := &v.nat, v.natFamily
	at := len(dst)
	dst = append(dst, `,"nat":`...)
	start := len(dst)
	if v.shows(partNATType) {
		dst = jsonWord(dst, `,"type":"`, n.Kind.String())
	}
	if v.shows(partNATSrc) {
		dst = v.note(append(appendAddr(append(dst, `,"src":"`...), &n.Src, family), '"'), slotReply+tupleDst)
	}
	if n.Ports && v.shows(partNATSrcPort) {
		dst = v.note(jsonUint(dst, `,"sport":`, uint64(n.SrcPort)), slotReply+tupleDstPort)
	}
	if v.shows(partNATDst) {
		dst = v.note(append(appendAddr(append(dst, `,"dst":"`...), &n.Dst, family), '"'), slotReply+tupleSrc)
	}
	if n.Ports && v.shows(partNATDstPort) {
		dst = v.note(jsonUint(dst, `,"dport":`, uint64(n.DstPort)), slotReply+tupleSrcPort)
	}
	if n.IPFIXEvent != 0 && v.shows(partNATEvent) {
		dst = jsonUint(dst, `,"ipfix_event":`, uint64(n.IPFIXEvent))
	}
	if id, ok := v.appendNATCommunity(append(dst, `,"community_id":"`...)); ok {
		dst = v.note(append(id, '"'), slotNATCommunity)
	}
	return jsonMember(dst, at, start)
}

// protocols writes what is known of the layer 4 protocol's state.
func (j *jsonEncoder) protocols(dst []byte, v *view) []byte {
	e := v.e
	if v.got(tcpBits) {
		at := len(dst)
		dst = append(dst, `,"tcp":`...)
		start := len(dst)
		dst = jsonMember(jsonTCP(dst, v, &e.TCP), at, start)
	}
	if v.got(sctpBits) {
		at := len(dst)
		dst = append(dst, `,"sctp":`...)
		start := len(dst)
		dst = jsonMember(jsonSCTP(dst, v, &e.SCTP), at, start)
	}
	if v.got(dccpBits) {
		at := len(dst)
		dst = append(dst, `,"dccp":`...)
		start := len(dst)
		dst = jsonMember(jsonDCCP(dst, v, &e.DCCP), at, start)
	}
	return dst
}

func jsonTCP(dst []byte, v *view, t *flow.TCP) []byte {
	if v.got(flow.HasTCPState) && v.shows(partTCPState) {
		dst = jsonWord(dst, `,"state":"`, flow.TCPStateName(t.State))
	}
	if v.got(flow.HasTCPState) && v.shows(partTCPStateRaw) {
		dst = jsonUint(dst, `,"state_raw":`, uint64(t.State))
	}
	if v.got(flow.HasTCPWScaleOrig) {
		dst = v.note(jsonUint(dst, `,"wscale_orig":`, uint64(t.WScaleOrig)), slotWScaleOrig)
	}
	if v.got(flow.HasTCPWScaleReply) {
		dst = v.note(jsonUint(dst, `,"wscale_reply":`, uint64(t.WScaleReply)), slotWScaleReply)
	}
	if v.got(flow.HasTCPFlagsOrig) {
		dst = v.note(jsonUint(dst, `,"flags_orig":`, uint64(t.FlagsOrig)), slotFlagsOrig)
	}
	if v.got(flow.HasTCPFlagsReply) {
		dst = v.note(jsonUint(dst, `,"flags_reply":`, uint64(t.FlagsReply)), slotFlagsReply)
	}
	return dst
}

func jsonSCTP(dst []byte, v *view, s *flow.SCTP) []byte {
	if v.got(flow.HasSCTPState) && v.shows(partSCTPState) {
		dst = jsonWord(dst, `,"state":"`, flow.SCTPStateName(s.State))
	}
	if v.got(flow.HasSCTPState) && v.shows(partSCTPStateRaw) {
		dst = jsonUint(dst, `,"state_raw":`, uint64(s.State))
	}
	if v.got(flow.HasSCTPVTagOrig) {
		dst = v.note(jsonUint(dst, `,"vtag_orig":`, uint64(s.VTagOrig)), slotVTagOrig)
	}
	if v.got(flow.HasSCTPVTagReply) {
		dst = v.note(jsonUint(dst, `,"vtag_reply":`, uint64(s.VTagReply)), slotVTagReply)
	}
	return dst
}

func jsonDCCP(dst []byte, v *view, d *flow.DCCP) []byte {
	if v.got(flow.HasDCCPState) && v.shows(partDCCPState) {
		dst = jsonWord(dst, `,"state":"`, flow.DCCPStateName(d.State))
	}
	if v.got(flow.HasDCCPState) && v.shows(partDCCPStateRaw) {
		dst = jsonUint(dst, `,"state_raw":`, uint64(d.State))
	}
	if v.got(flow.HasDCCPRole) && v.shows(partDCCPRole) {
		dst = jsonWord(dst, `,"role":"`, flow.DCCPRoleName(d.Role))
	}
	if v.got(flow.HasDCCPRole) && v.shows(partDCCPRoleRaw) {
		dst = jsonUint(dst, `,"role_raw":`, uint64(d.Role))
	}
	if v.got(flow.HasDCCPSeq) {
		dst = jsonUint(dst, `,"handshake_seq":`, d.HandshakeSeq)
	}
	return dst
}
