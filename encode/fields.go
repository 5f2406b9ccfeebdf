package encode

import "github.com/ctferry/ctferry/source/flow"

// part marks a value that a projection can hide and that has no presence bit
// of its own: what is derived, and what shares a bit with another name.
type part uint64

const (
	partTimeSource part = 1 << iota
	partNetNS
	partMeta
	partBootID
	partFamily
	partProto
	partProtoNum
	partStatus
	partStatusRaw
	partTCPState
	partTCPStateRaw
	partSCTPState
	partSCTPStateRaw
	partDCCPState
	partDCCPStateRaw
	partDCCPRole
	partDCCPRoleRaw
	partOrigPackets
	partOrigBytes
	partOrigPacketsDelta
	partOrigBytesDelta
	partReplyPackets
	partReplyBytes
	partReplyPacketsDelta
	partReplyBytesDelta
	partNATType
	partNATSrc
	partNATSrcPort
	partNATDst
	partNATDstPort
	partNATEvent
	partNATCommunity
	partISN
	partITS
	partTSOff
	partDuration
	partClose
	partCommunity
	partDumpID
	partDumpReason
	partDumpCount
	partDumpComplete
	partCountersReset
	partExpectFlags
	partExpectFlagsRaw
)

const (
	partNAT         = partNATType | partNATSrc | partNATSrcPort | partNATDst | partNATDstPort | partNATEvent | partNATCommunity
	partSynProxy    = partISN | partITS | partTSOff
	partCommunities = partCommunity | partNATCommunity
)

// A tuple's ports and GRE keys share their presence bits but not their names,
// so here a key gets a bit of its own.
const (
	hasSrcKey = flow.HasSrcPort << keyShift
	hasDstKey = flow.HasDstPort << keyShift
	keyShift  = 8
)

// mask is a set of values of a record.
type mask struct {
	has                 flow.Has
	part                part
	orig, reply, master flow.TupleHas
	expect              flow.ExpectHas
}

func (m mask) or(o mask) mask {
	return mask{m.has | o.has, m.part | o.part, m.orig | o.orig, m.reply | o.reply, m.master | o.master, m.expect | o.expect}
}

func (m mask) without(o mask) mask {
	return mask{
		m.has &^ o.has, m.part &^ o.part, m.orig &^ o.orig, m.reply &^ o.reply, m.master &^ o.master, m.expect &^ o.expect,
	}
}

// named is a name of the record that a projection may use, and what it covers.
type named struct {
	name string
	mask mask
}

// identityNames are never left out, with what stands below gap and agent.
var identityNames = [...]string{"schema", "event_type", "table", "time", "node", "run", "seq", "gap", "agent"}

// plainNames are the names without a level above or below them.
var plainNames = [...]named{
	{"time_source", mask{part: partTimeSource}},
	{"received", mask{has: flow.HasReceived}},
	{"netns", mask{part: partNetNS}},
	{"meta", mask{part: partMeta}},
	{"boot_id", mask{part: partBootID}},
	{"id", mask{has: flow.HasID}},
	{"flow_id", mask{has: flow.HasFlowID}},
	{"family", mask{part: partFamily}},
	{"proto", mask{part: partProto}},
	{"proto_num", mask{part: partProtoNum}},
	{"status", mask{part: partStatus}},
	{"status_raw", mask{part: partStatusRaw}},
	{"timeout", mask{has: flow.HasTimeout}},
	{"mark", mask{has: flow.HasMark}},
	{"zone", mask{has: flow.HasZone}},
	{"ct_labels", mask{has: flow.HasLabelNames}},
	{"ct_labels_raw", mask{has: flow.HasLabels}},
	{"secctx", mask{has: flow.HasSecCtx}},
	{"helper", mask{has: flow.HasHelper}},
	{"use", mask{has: flow.HasUse}},
	{"master_flow_id", mask{has: flow.HasMasterFlowID}},
	{"portid", mask{has: flow.HasPortID}},
	{"progname", mask{has: flow.HasProgName}},
	{"start", mask{has: flow.HasStart}},
	{"stop", mask{has: flow.HasStop}},
	{"duration_ns", mask{part: partDuration}},
	{"close_reason", mask{part: partClose}},
	{"community_id", mask{part: partCommunity}},
	{"dump_id", mask{part: partDumpID}},
	{"dump_reason", mask{part: partDumpReason}},
	{"dump_count", mask{part: partDumpCount}},
	{"dump_complete", mask{part: partDumpComplete}},
	{"counters_reset", mask{part: partCountersReset}},
	{"interval_ns", mask{has: flow.HasInterval}},
	{"synthetic", mask{has: flow.HasSynthetic}},
	{"since", mask{has: flow.HasSince}},
	{"until", mask{has: flow.HasUntil}},
}

// innerNames are the second-level names; a first-level name covers all of its own.
var innerNames = [...]named{
	{"orig.packets", mask{part: partOrigPackets}},
	{"orig.bytes", mask{part: partOrigBytes}},
	{"orig.packets_delta", mask{part: partOrigPacketsDelta}},
	{"orig.bytes_delta", mask{part: partOrigBytesDelta}},
	{"reply.packets", mask{part: partReplyPackets}},
	{"reply.bytes", mask{part: partReplyBytes}},
	{"reply.packets_delta", mask{part: partReplyPacketsDelta}},
	{"reply.bytes_delta", mask{part: partReplyBytesDelta}},
	{"nat.type", mask{part: partNATType}},
	{"nat.src", mask{part: partNATSrc}},
	{"nat.sport", mask{part: partNATSrcPort}},
	{"nat.dst", mask{part: partNATDst}},
	{"nat.dport", mask{part: partNATDstPort}},
	{"nat.ipfix_event", mask{part: partNATEvent}},
	{"nat.community_id", mask{part: partNATCommunity}},
	{"tcp.state", mask{part: partTCPState}},
	{"tcp.state_raw", mask{part: partTCPStateRaw}},
	{"tcp.wscale_orig", mask{has: flow.HasTCPWScaleOrig}},
	{"tcp.wscale_reply", mask{has: flow.HasTCPWScaleReply}},
	{"tcp.flags_orig", mask{has: flow.HasTCPFlagsOrig}},
	{"tcp.flags_reply", mask{has: flow.HasTCPFlagsReply}},
	{"sctp.state", mask{part: partSCTPState}},
	{"sctp.state_raw", mask{part: partSCTPStateRaw}},
	{"sctp.vtag_orig", mask{has: flow.HasSCTPVTagOrig}},
	{"sctp.vtag_reply", mask{has: flow.HasSCTPVTagReply}},
	{"dccp.state", mask{part: partDCCPState}},
	{"dccp.state_raw", mask{part: partDCCPStateRaw}},
	{"dccp.role", mask{part: partDCCPRole}},
	{"dccp.role_raw", mask{part: partDCCPRoleRaw}},
	{"dccp.handshake_seq", mask{has: flow.HasDCCPSeq}},
	{"seqadj.orig", mask{has: flow.HasOrigSeqAdj}},
	{"seqadj.reply", mask{has: flow.HasReplySeqAdj}},
	{"synproxy.isn", mask{part: partISN}},
	{"synproxy.its", mask{part: partITS}},
	{"synproxy.tsoff", mask{part: partTSOff}},
	{"expect.id", mask{expect: flow.HasExpectID}},
	{"expect.tuple", mask{expect: flow.HasExpectTuple}},
	{"expect.mask", mask{expect: flow.HasExpectMask}},
	{"expect.master", mask{expect: flow.HasExpectMaster}},
	{"expect.timeout", mask{expect: flow.HasExpectTimeout}},
	{"expect.helper", mask{expect: flow.HasExpectHelper}},
	{"expect.class", mask{expect: flow.HasExpectClass}},
	{"expect.flags", mask{part: partExpectFlags}},
	{"expect.flags_raw", mask{part: partExpectFlagsRaw}},
	{"expect.zone", mask{expect: flow.HasExpectZone}},
	{"expect.nat", mask{expect: flow.HasExpectNAT}},
	{"expect.fn", mask{expect: flow.HasExpectFn}},
}

// tupleNames are the names below orig, reply and master that a tuple has itself.
var tupleNames = [...]struct {
	name string
	bit  flow.TupleHas
}{
	{"src", flow.HasSrc},
	{"dst", flow.HasDst},
	{"sport", flow.HasSrcPort},
	{"dport", flow.HasDstPort},
	{"icmp_type", flow.HasICMPType},
	{"icmp_code", flow.HasICMPCode},
	{"icmp_id", flow.HasICMPID},
	{"srckey", hasSrcKey},
	{"dstkey", hasDstKey},
	{"zone", flow.HasTupleZone},
	{"proto_num", flow.HasProto},
}

// projectable gives every name that a projection may use with what it covers.
// It is only asked while a configuration is read.
func projectable() map[string]mask {
	all := map[string]mask{}
	for _, n := range plainNames {
		all[n.name] = n.mask
	}
	add := func(top, inner string, m mask) {
		all[top+"."+inner] = m
		all[top] = all[top].or(m)
	}
	for _, n := range innerNames {
		top, inner := splitName(n.name)
		add(top, inner, n.mask)
	}
	for _, n := range tupleNames {
		add("orig", n.name, mask{orig: n.bit})
		add("reply", n.name, mask{reply: n.bit})
		add("master", n.name, mask{master: n.bit})
	}
	return all
}
