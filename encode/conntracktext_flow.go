package encode

import "github.com/ctferry/ctferry/source/flow"

// stateNone is what conntrack prints for a state that it has no word for.
const stateNone = "NONE"

// entry appends an entry of the conntrack table.
func (t *Text) entry(dst []byte, e *flow.Event) []byte {
	if t.Extended {
		dst = textColumn(dst, family(e.Family), uint8(e.Family))
	}
	if e.Any(flow.HasOrig) {
		dst = textColumn(dst, protocol(e.Proto), e.Proto)
	}
	if e.Any(flow.HasTimeout) {
		dst = textUint(dst, "", uint64(e.Timeout))
	}
	if state := stateOf(e); state != "" {
		dst = append(append(dst, state...), ' ')
	}
	if e.Any(flow.HasOrig) {
		dst = textTuple(dst, "", &e.Orig, e.Proto, "zone-orig=")
		if e.Any(flow.HasOrigCounters) {
			dst = textCounters(dst, &e.OrigCounters)
		}
	}
	if e.Any(flow.HasStatus) && e.Status&flow.StatusSeenReply == 0 {
		dst = append(dst, "[UNREPLIED] "...)
	}
	if e.Any(flow.HasReply) {
		dst = textTuple(dst, "", &e.Reply, protoOf(e), "zone-reply=")
		if e.Any(flow.HasReplyCounters) {
			dst = textCounters(dst, &e.ReplyCounters)
		}
	}
	if e.Any(flow.HasStatus) {
		dst = append(dst, statusFlag(e.Status)...)
	}
	return t.entryEnd(dst, e)
}

// entryEnd appends what stands behind the tuples.
func (t *Text) entryEnd(dst []byte, e *flow.Event) []byte {
	if e.Any(flow.HasMark) {
		dst = textUint(dst, "mark=", uint64(e.Mark))
	}
	if e.Any(flow.HasSecCtx) && e.Extra != nil {
		dst = textString(dst, "secctx=", e.Extra.SecCtx)
	}
	if e.Any(flow.HasZone) {
		dst = textUint(dst, "zone=", uint64(e.Zone))
	}
	if seconds, ok := t.age(e, true); ok {
		dst = textUint(dst, "delta-time=", seconds)
	}
	if t.KTimestamp && e.Any(flow.HasStart) {
		dst = t.clock(dst, "[start=", e.Start)
	}
	if t.KTimestamp && e.Any(flow.HasStop) {
		dst = t.clock(dst, "[stop=", e.Stop)
	}
	if e.Any(flow.HasHelper) && e.Extra != nil {
		dst = textString(dst, "helper=", e.Extra.Helper)
	}
	if e.Any(flow.HasUse) {
		dst = textUint(dst, "use=", uint64(e.Use))
	}
	if t.ID && e.Any(flow.HasID) {
		dst = textUint(dst, "id=", uint64(e.ID))
	}
	if names := t.labels(e); len(names) > 0 {
		dst = append(textLabels(append(dst, "labels="...), names), ' ')
	}
	return dst
}

// labels are the names to print.
func (t *Text) labels(e *flow.Event) []string {
	if !t.Labels || e.Extra == nil || !e.Got(flow.HasLabels|flow.HasLabelNames) {
		return nil
	}
	return e.Extra.LabelNames
}

func textLabels(dst []byte, names []string) []byte {
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendPlain(dst, name)
	}
	return dst
}

// clock appends a time as ctime(3) does.
func (t *Text) clock(dst []byte, name string, ns int64) []byte {
	dst = t.local(ns).AppendFormat(append(dst, name...), "Mon Jan _2 15:04:05 2006")
	return append(dst, ']', ' ')
}

// textTuple appends addresses and what the protocol has beside them. What the
// kernel left out is a zero there, as conntrack has it: a line's columns are
// those of its protocol.
func textTuple(dst []byte, prefix string, t *flow.Tuple, proto uint8, zone string) []byte {
	if t.Got(flow.HasSrc) {
		dst = textAddr(append(dst, prefix...), "src=", &t.Src, t.Family)
	}
	if t.Got(flow.HasDst) {
		dst = textAddr(append(dst, prefix...), "dst=", &t.Dst, t.Family)
	}
	l4 := layer4Of(t)
	switch proto {
	case flow.ProtoTCP, flow.ProtoUDP, flow.ProtoUDPLite, flow.ProtoSCTP, flow.ProtoDCCP:
		dst = textUint(textUint(dst, "sport=", uint64(l4.src)), "dport=", uint64(l4.dst))
	case flow.ProtoGRE:
		dst = textKey(textKey(dst, "srckey=", l4.src), "dstkey=", l4.dst)
	case flow.ProtoICMP, flow.ProtoICMPv6:
		dst = textUint(textUint(dst, "type=", uint64(l4.icmpType)), "code=", uint64(l4.icmpCode))
		dst = textUint(dst, "id=", uint64(l4.icmpID))
	}
	if t.Got(flow.HasTupleZone) {
		dst = textUint(dst, zone, uint64(t.Zone))
	}
	return dst
}

// layer4 is a tuple's second half, zero where the tuple has nothing.
type layer4 struct {
	src, dst, icmpID   uint16
	icmpType, icmpCode uint8
}

func layer4Of(t *flow.Tuple) (l layer4) {
	if t.Got(flow.HasSrcPort) {
		l.src = t.SrcPort
	}
	if t.Got(flow.HasDstPort) {
		l.dst = t.DstPort
	}
	if t.Got(flow.HasICMPType) {
		l.icmpType = t.ICMPType
	}
	if t.Got(flow.HasICMPCode) {
		l.icmpCode = t.ICMPCode
	}
	if t.Got(flow.HasICMPID) {
		l.icmpID = t.ICMPID
	}
	return l
}

func textCounters(dst []byte, c *flow.Counters) []byte {
	return textUint(textUint(dst, "packets=", c.Packets), "bytes=", c.Bytes)
}

// family is conntrack's word for a layer 3 protocol.
func family(f flow.Family) string {
	if name := f.String(); name != "" {
		return name
	}
	return "unknown"
}

// protocol is conntrack's word for a layer 4 protocol.
func protocol(num uint8) string {
	if name := flow.ProtoName(num); name != "" {
		return name
	}
	return "unknown"
}

// protoOf is the protocol of an entry; one without an original tuple has the reply's.
func protoOf(e *flow.Event) uint8 {
	if !e.Any(flow.HasOrig) && e.Reply.Got(flow.HasProto) {
		return e.Reply.Proto
	}
	return e.Proto
}

// stateOf is the word for the protocol's state, or "" where none was told.
func stateOf(e *flow.Event) string {
	name, told := protocolState(e)
	if told && name == "" {
		return stateNone
	}
	return name
}

// protocolState is the kernel's word for the protocol's state, "" where it has none,
// and whether a state was told.
func protocolState(e *flow.Event) (name string, told bool) {
	switch {
	case e.Any(flow.HasTCPState):
		return flow.TCPStateName(e.TCP.State), true
	case e.Any(flow.HasSCTPState):
		return flow.SCTPStateName(e.SCTP.State), true
	case e.Any(flow.HasDCCPState):
		return flow.DCCPStateName(e.DCCP.State), true
	}
	return "", false
}

// statusFlag is the one word of a status that stands behind the tuples.
func statusFlag(status uint32) string {
	switch {
	case status&flow.StatusHWOffload != 0:
		return "[HW_OFFLOAD] "
	case status&flow.StatusOffload != 0:
		return "[OFFLOAD] "
	case status&flow.StatusAssured != 0:
		return "[ASSURED] "
	}
	return ""
}
