package encode

import "github.com/ctferry/ctferry/source/flow"

// recordMembers are the fields of Record, in the order of their numbers.
var recordMembers = []member{
	{name: "event_type", num: 1, kind: kindEnum, enum: plus(flow.ParseType, 0), set: func(d *draft, v *value) { d.e.Type = flow.Type(v.u) }},
	{name: "time", num: 2, kind: kindTime, set: func(d *draft, v *value) { d.e.Time = int64(v.u) }},
	{name: "node", num: 3, kind: kindString, set: func(d *draft, v *value) { d.origin.Node = v.s }},
	{name: "flow_id", num: 4, kind: kindID, set: func(d *draft, v *value) { d.e.FlowID = v.u; d.got(flow.HasFlowID) }},
	{name: "orig", num: 5, kind: kindMessage, inner: tupleMembers, set: func(d *draft, _ *value) { d.enterSide(false) }},
	{name: "reply", num: 6, kind: kindMessage, inner: tupleMembers, set: func(d *draft, _ *value) { d.enterSide(true) }},
	{name: "proto_num", num: 7, kind: kindUint8, set: func(d *draft, v *value) { d.setProto(uint8(v.u)) }},
	{name: "status_raw", num: 8, kind: kindUint32, set: func(d *draft, v *value) { d.e.Status = uint32(v.u); d.got(flow.HasStatus) }},
	{name: "nat", num: 9, kind: kindMessage, inner: natMembers, set: nothing},
	{name: "seq", num: 10, kind: kindUint64, set: func(d *draft, v *value) { d.e.Seq = v.u }},
	{name: "run", num: 11, kind: kindHex, set: func(d *draft, v *value) { d.origin.Run = v.bytes }},
	{name: "table", num: 12, kind: kindEnum, enum: plus(flow.ParseTable, 0), set: func(d *draft, v *value) { d.e.Table = flow.Table(v.u) }},
	{name: "timeout", num: 13, kind: kindUint32, set: func(d *draft, v *value) { d.e.Timeout = uint32(v.u); d.got(flow.HasTimeout) }},
	{name: "id", num: 14, kind: kindUint32, set: func(d *draft, v *value) { d.e.ID = uint32(v.u); d.got(flow.HasID) }},
	{name: "tcp", num: 15, kind: kindMessage, inner: tcpMembers, set: nothing},
	{name: "schema", num: 16, kind: kindString, set: func(d *draft, v *value) { d.schema = v.s }},
	{name: "time_source", num: 17, kind: kindEnum, enum: plus(flow.ParseTimeSource, 0), set: func(d *draft, v *value) { d.e.TimeSource = flow.TimeSource(v.u) }},
	{name: "received", num: 18, kind: kindTime, set: func(d *draft, v *value) { d.e.Received = int64(v.u); d.got(flow.HasReceived) }},
	{name: "netns", num: 19, kind: kindString, set: func(d *draft, v *value) { d.origin.NetNS = v.s }},
	{name: "meta", num: 20, kind: kindMap},
	{name: "boot_id", num: 21, kind: kindUUID, set: func(d *draft, v *value) { d.origin.BootID = v.bytes }},
	{name: "family", num: 22, kind: kindEnum, enum: familyWord, set: (*draft).setFamily},
	{name: "proto", num: 23, kind: kindString, set: func(d *draft, v *value) { d.proto = v.s }},
	{name: "status", num: 24, kind: kindWords, enum: bitName(flow.StatusName), set: func(d *draft, v *value) { d.status |= bit(v.u); d.statusSeen = true }},
	{name: "sctp", num: 25, kind: kindMessage, inner: sctpMembers, set: nothing},
	{name: "dccp", num: 26, kind: kindMessage, inner: dccpMembers, set: nothing},
	{name: "mark", num: 27, kind: kindUint32, set: func(d *draft, v *value) { d.e.Mark = uint32(v.u); d.got(flow.HasMark) }},
	{name: "zone", num: 28, kind: kindUint16, set: func(d *draft, v *value) { d.e.Zone = uint16(v.u); d.got(flow.HasZone) }},
	{name: "ct_labels", num: 29, kind: kindString, many: true, set: (*draft).addLabel},
	{name: "ct_labels_raw", num: 30, kind: kindHex, set: func(d *draft, v *value) { d.e.Labels = v.bytes; d.got(flow.HasLabels) }},
	{name: "secctx", num: 31, kind: kindString, set: func(d *draft, v *value) { d.extra(flow.HasSecCtx).SecCtx = v.s }},
	{name: "helper", num: 32, kind: kindString, set: func(d *draft, v *value) { d.extra(flow.HasHelper).Helper = v.s }},
	{name: "use", num: 33, kind: kindUint32, set: func(d *draft, v *value) { d.e.Use = uint32(v.u); d.got(flow.HasUse) }},
	{name: "master", num: 34, kind: kindMessage, inner: tupleMembers, set: func(d *draft, _ *value) { d.enterTuple(&d.extra(flow.HasMaster).Master) }},
	{name: "master_flow_id", num: 35, kind: kindID, set: func(d *draft, v *value) { d.extra(flow.HasMasterFlowID).MasterFlowID = v.u }},
	{name: "seqadj", num: 36, kind: kindMessage, inner: seqAdjPairMembers, set: nothing},
	{name: "synproxy", num: 37, kind: kindMessage, inner: synProxyMembers, set: (*draft).enterSynProxy},
	{name: "portid", num: 38, kind: kindUint32, set: func(d *draft, v *value) { d.e.PortID = uint32(v.u); d.got(flow.HasPortID) }},
	{name: "progname", num: 39, kind: kindString, set: func(d *draft, v *value) { d.extra(flow.HasProgName).ProgName = v.s }},
	{name: "start", num: 40, kind: kindTime, set: func(d *draft, v *value) { d.e.Start = int64(v.u); d.got(flow.HasStart) }},
	{name: "stop", num: 41, kind: kindTime, set: func(d *draft, v *value) { d.e.Stop = int64(v.u); d.got(flow.HasStop) }},
	{name: "duration_ns", num: 42, kind: kindUint64, set: func(d *draft, v *value) { d.told.Duration = v.u; d.told.Has |= flow.HasToldDuration }},
	{name: "close_reason", num: 43, kind: kindEnum, enum: closeWord, set: (*draft).setClose},
	{name: "community_id", num: 44, kind: kindString, set: func(d *draft, v *value) { d.community(&d.told.Community, flow.HasToldCommunity, v.s) }},
	{name: "dump_id", num: 45, kind: kindID, set: func(d *draft, v *value) { d.ofDump().ID = v.u }},
	{name: "dump_reason", num: 46, kind: kindEnum, enum: wordIn(dumpReasons[:]), set: (*draft).setDumpReason},
	{name: "dump_count", num: 47, kind: kindUint64, set: func(d *draft, v *value) { d.ofDump().Count = v.u }},
	{name: "dump_complete", num: 48, kind: kindBool, set: func(d *draft, v *value) { d.ofDump().Complete = v.u != 0 }},
	{name: "counters_reset", num: 49, kind: kindBool, set: func(d *draft, v *value) { d.ofDump().CountersReset = v.u != 0 }},
	{name: "interval_ns", num: 50, kind: kindUint64, set: func(d *draft, v *value) { d.e.Interval = span(v.u); d.got(flow.HasInterval) }},
	{name: "expect", num: 51, kind: kindMessage, inner: expectMembers, set: func(d *draft, _ *value) { d.extra(flow.HasExpect) }},
	{name: "gap", num: 52, kind: kindMessage, inner: gapMembers, set: (*draft).enterGap},
	{name: "agent", num: 53, kind: kindMessage, inner: agentMembers, set: (*draft).enterAgent},
	{name: "synthetic", num: 54, kind: kindBool, set: func(d *draft, v *value) { d.e.Synthetic = v.u != 0; d.got(flow.HasSynthetic) }},
	{name: "since", num: 55, kind: kindTime, set: func(d *draft, v *value) { d.e.Since = int64(v.u); d.got(flow.HasSince) }},
	{name: "until", num: 56, kind: kindTime, set: func(d *draft, v *value) { d.e.Until = int64(v.u); d.got(flow.HasUntil) }},
}

// natMembers are the fields of Nat. They are derived where the tuples tell the same,
// and kept where a projection has cut those down.
var natMembers = []member{
	{name: "type", num: 1, kind: kindEnum, enum: wordIn([]string{"", flow.NATSource.String(), flow.NATDest.String(), flow.NATBoth.String()}), set: func(d *draft, v *value) { d.natHas(flow.HasNATKind).Kind = flow.NATKind(v.u) }},
	{name: "src", num: 2, kind: kindAddr, set: func(d *draft, v *value) { d.natAddr(flow.HasNATSrc, &d.nat.Src, v) }},
	{name: "sport", num: 3, kind: kindUint16, set: func(d *draft, v *value) { d.natPort(flow.HasNATSrcPort).SrcPort = uint16(v.u) }},
	{name: "dst", num: 4, kind: kindAddr, set: func(d *draft, v *value) { d.natAddr(flow.HasNATDst, &d.nat.Dst, v) }},
	{name: "dport", num: 5, kind: kindUint16, set: func(d *draft, v *value) { d.natPort(flow.HasNATDstPort).DstPort = uint16(v.u) }},
	{name: "ipfix_event", num: 6, kind: kindUint8, set: func(d *draft, v *value) { d.natHas(flow.HasNATEvent).IPFIXEvent = uint8(v.u) }},
	{name: "community_id", num: 7, kind: kindString, set: func(d *draft, v *value) { d.community(&d.told.NATCommunity, flow.HasToldNATCommunity, v.s) }},
}

// nothing enters a message of which no value may be present.
func nothing(*draft, *value) {}

// closeWord gives a close reason its number.
func closeWord(word string) (uint64, bool) {
	for r := flow.CloseDeleted; r.String() != ""; r++ {
		if r.String() == word {
			return uint64(r), true
		}
	}
	return 0, false
}
