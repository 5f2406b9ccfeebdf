package encode

import "github.com/ctferry/ctferry/source/flow"

// tupleMembers are the fields of Tuple.
var tupleMembers = []member{
	{name: "src", num: 1, kind: kindAddr, set: (*draft).setSrc},
	{name: "dst", num: 2, kind: kindAddr, set: (*draft).setDst},
	{name: "sport", num: 3, kind: kindUint16, set: (*draft).setSrcPort},
	{name: "dport", num: 4, kind: kindUint16, set: (*draft).setDstPort},
	{name: "icmp_type", num: 5, kind: kindUint8, set: func(d *draft, v *value) { d.tuple.ICMPType = uint8(v.u); d.part(flow.HasICMPType) }},
	{name: "icmp_code", num: 6, kind: kindUint8, set: func(d *draft, v *value) { d.tuple.ICMPCode = uint8(v.u); d.part(flow.HasICMPCode) }},
	{name: "icmp_id", num: 7, kind: kindUint16, set: func(d *draft, v *value) { d.tuple.ICMPID = uint16(v.u); d.part(flow.HasICMPID) }},
	{name: "srckey", num: 8, kind: kindUint16, set: (*draft).setSrcKey},
	{name: "dstkey", num: 9, kind: kindUint16, set: (*draft).setDstKey},
	{name: "zone", num: 10, kind: kindUint16, set: func(d *draft, v *value) { d.tuple.Zone = uint16(v.u); d.part(flow.HasTupleZone) }},
	{name: "packets", num: 11, kind: kindUint64, set: func(d *draft, v *value) { d.counters.Packets = v.u; d.got(d.countersBit) }},
	{name: "bytes", num: 12, kind: kindUint64, set: func(d *draft, v *value) { d.counters.Bytes = v.u; d.got(d.countersBit) }},
	{name: "packets_delta", num: 13, kind: kindUint64, set: func(d *draft, v *value) { d.deltas.Packets = v.u; d.got(d.deltasBit) }},
	{name: "bytes_delta", num: 14, kind: kindUint64, set: func(d *draft, v *value) { d.deltas.Bytes = v.u; d.got(d.deltasBit) }},
	{name: "proto_num", num: 15, kind: kindUint8, set: func(d *draft, v *value) { d.tuple.Proto = uint8(v.u); d.part(flow.HasProto) }},
}

// tcpMembers are the fields of Tcp.
var tcpMembers = []member{
	{name: "state", num: 1, kind: kindEnum, enum: plus(flow.ParseTCPState, 1), set: func(d *draft, v *value) { d.word(&d.e.TCP.State, v, flow.HasTCPState, flow.TCPStateName) }},
	{name: "state_raw", num: 2, kind: kindUint8, set: func(d *draft, v *value) { d.e.TCP.State = uint8(v.u); d.got(flow.HasTCPState) }},
	{name: "wscale_orig", num: 3, kind: kindUint8, set: func(d *draft, v *value) { d.e.TCP.WScaleOrig = uint8(v.u); d.got(flow.HasTCPWScaleOrig) }},
	{name: "wscale_reply", num: 4, kind: kindUint8, set: func(d *draft, v *value) { d.e.TCP.WScaleReply = uint8(v.u); d.got(flow.HasTCPWScaleReply) }},
	{name: "flags_orig", num: 5, kind: kindUint8, set: func(d *draft, v *value) { d.e.TCP.FlagsOrig = uint8(v.u); d.got(flow.HasTCPFlagsOrig) }},
	{name: "flags_reply", num: 6, kind: kindUint8, set: func(d *draft, v *value) { d.e.TCP.FlagsReply = uint8(v.u); d.got(flow.HasTCPFlagsReply) }},
}

// sctpMembers are the fields of Sctp.
var sctpMembers = []member{
	{name: "state", num: 1, kind: kindEnum, enum: plus(flow.ParseSCTPState, 1), set: func(d *draft, v *value) { d.word(&d.e.SCTP.State, v, flow.HasSCTPState, flow.SCTPStateName) }},
	{name: "state_raw", num: 2, kind: kindUint8, set: func(d *draft, v *value) { d.e.SCTP.State = uint8(v.u); d.got(flow.HasSCTPState) }},
	{name: "vtag_orig", num: 3, kind: kindUint32, set: func(d *draft, v *value) { d.e.SCTP.VTagOrig = uint32(v.u); d.got(flow.HasSCTPVTagOrig) }},
	{name: "vtag_reply", num: 4, kind: kindUint32, set: func(d *draft, v *value) { d.e.SCTP.VTagReply = uint32(v.u); d.got(flow.HasSCTPVTagReply) }},
}

// dccpMembers are the fields of Dccp.
var dccpMembers = []member{
	{name: "state", num: 1, kind: kindEnum, enum: plus(flow.ParseDCCPState, 1), set: func(d *draft, v *value) { d.word(&d.e.DCCP.State, v, flow.HasDCCPState, flow.DCCPStateName) }},
	{name: "state_raw", num: 2, kind: kindUint8, set: func(d *draft, v *value) { d.e.DCCP.State = uint8(v.u); d.got(flow.HasDCCPState) }},
	{name: "role", num: 3, kind: kindEnum, enum: plus(flow.ParseDCCPRole, 1), set: func(d *draft, v *value) { d.word(&d.e.DCCP.Role, v, flow.HasDCCPRole, flow.DCCPRoleName) }},
	{name: "role_raw", num: 4, kind: kindUint8, set: func(d *draft, v *value) { d.e.DCCP.Role = uint8(v.u); d.got(flow.HasDCCPRole) }},
	{name: "handshake_seq", num: 5, kind: kindUint64, set: func(d *draft, v *value) { d.e.DCCP.HandshakeSeq = v.u; d.got(flow.HasDCCPSeq) }},
}

// seqAdjPairMembers are the fields of SeqAdjPair.
var seqAdjPairMembers = []member{
	{name: "orig", num: 1, kind: kindMessage, inner: seqAdjMembers, set: func(d *draft, _ *value) { d.enterSeqAdj(false) }},
	{name: "reply", num: 2, kind: kindMessage, inner: seqAdjMembers, set: func(d *draft, _ *value) { d.enterSeqAdj(true) }},
}

// seqAdjMembers are the fields of SeqAdj.
var seqAdjMembers = []member{
	{name: "correction_pos", num: 1, kind: kindUint32, set: func(d *draft, v *value) { d.seqAdj.CorrectionPos = uint32(v.u) }},
	{name: "offset_before", num: 2, kind: kindUint32, set: func(d *draft, v *value) { d.seqAdj.OffsetBefore = uint32(v.u) }},
	{name: "offset_after", num: 3, kind: kindUint32, set: func(d *draft, v *value) { d.seqAdj.OffsetAfter = uint32(v.u) }},
}

// synProxyMembers are the fields of SynProxy.
var synProxyMembers = []member{
	{name: "isn", num: 1, kind: kindUint32, set: func(d *draft, v *value) { d.e.Extra.SynProxy.ISN = uint32(v.u) }},
	{name: "its", num: 2, kind: kindUint32, set: func(d *draft, v *value) { d.e.Extra.SynProxy.ITS = uint32(v.u) }},
	{name: "tsoff", num: 3, kind: kindUint32, set: func(d *draft, v *value) { d.e.Extra.SynProxy.TSOff = uint32(v.u) }},
}

// expectMembers are the fields of Expect.
var expectMembers = []member{
	{name: "id", num: 1, kind: kindUint32, set: func(d *draft, v *value) { d.expect(flow.HasExpectID).ID = uint32(v.u) }},
	{name: "tuple", num: 2, kind: kindMessage, inner: tupleMembers, set: func(d *draft, _ *value) { d.enterTuple(&d.expect(flow.HasExpectTuple).Tuple) }},
	{name: "mask", num: 3, kind: kindMessage, inner: tupleMembers, set: func(d *draft, _ *value) { d.enterTuple(&d.expect(flow.HasExpectMask).Mask) }},
	{name: "master", num: 4, kind: kindMessage, inner: tupleMembers, set: func(d *draft, _ *value) { d.enterTuple(&d.expect(flow.HasExpectMaster).Master) }},
	{name: "timeout", num: 5, kind: kindUint32, set: func(d *draft, v *value) { d.expect(flow.HasExpectTimeout).Timeout = uint32(v.u) }},
	{name: "helper", num: 6, kind: kindString, set: func(d *draft, v *value) { d.expect(flow.HasExpectHelper).Helper = v.s }},
	{name: "class", num: 7, kind: kindUint32, set: func(d *draft, v *value) { d.expect(flow.HasExpectClass).Class = uint32(v.u) }},
	{name: "flags", num: 8, kind: kindWords, enum: bitName(flow.ExpectFlagName), set: func(d *draft, v *value) { d.flags |= bit(v.u); d.flagsSeen = true }},
	{name: "flags_raw", num: 9, kind: kindUint32, set: func(d *draft, v *value) { d.expect(flow.HasExpectFlags).Flags = uint32(v.u) }},
	{name: "zone", num: 10, kind: kindUint16, set: func(d *draft, v *value) { d.expect(flow.HasExpectZone).Zone = uint16(v.u) }},
	{name: "nat", num: 11, kind: kindMessage, inner: expectNATMembers, set: (*draft).enterExpectNAT},
	{name: "fn", num: 12, kind: kindString, set: func(d *draft, v *value) { d.expect(flow.HasExpectFn).Fn = v.s }},
}

// expectNATMembers are the fields of ExpectNat.
var expectNATMembers = []member{
	{name: "dir", num: 1, kind: kindEnum, enum: wordIn([]string{"", directions[0], directions[1]}), set: (*draft).setNATDir},
	{name: "tuple", num: 2, kind: kindMessage, inner: tupleMembers, set: func(d *draft, _ *value) { d.enterTuple(&d.e.Extra.Expect.NAT) }},
}

// gapMembers are the fields of Gap.
var gapMembers = []member{
	{name: "scope", num: 1, kind: kindString, set: func(d *draft, v *value) { d.e.Gap.Scope = v.s }},
	{name: "source", num: 2, kind: kindString, set: func(d *draft, v *value) { d.e.Gap.Source = v.s }},
	{name: "sink", num: 3, kind: kindString, set: func(d *draft, v *value) { d.e.Gap.Sink = v.s }},
	{name: "reason", num: 4, kind: kindString, set: func(d *draft, v *value) { d.e.Gap.Reason = v.s }},
	{name: "lost", num: 5, kind: kindUint64, set: func(d *draft, v *value) { d.e.Gap.Lost = new(v.u) }},
	{name: "lost_max", num: 6, kind: kindUint64, set: func(d *draft, v *value) { d.e.Gap.LostMax = new(v.u) }},
	{name: "since", num: 7, kind: kindTime, set: func(d *draft, v *value) { d.e.Gap.Since = int64(v.u) }},
	{name: "until", num: 8, kind: kindTime, set: func(d *draft, v *value) { d.e.Gap.Until = int64(v.u) }},
}
