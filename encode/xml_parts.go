package encode

import (
	"encoding/hex"
	"strconv"

	"github.com/ctferry/ctferry/source/flow"
)

// xmlSides writes both directions with their counters.
func xmlSides(dst []byte, v *view) []byte {
	e := v.e
	at := len(dst)
	dst = append(dst, `<meta direction="original">`...)
	start := len(dst)
	dst = xmlDirection(dst, v, slotOrig, &e.Orig, v.orig)
	if v.got(flow.HasOrigCounters) {
		dst = xmlCounters(dst, v, slotOrigPackets, `<counters>`, &e.OrigCounters, v.shows(partOrigPackets), v.shows(partOrigBytes))
	}
	if v.got(flow.HasOrigDeltas) {
		dst = xmlCounters(dst, v, slotOrigPacketsDelta, `<deltas>`, &e.OrigDeltas, v.shows(partOrigPacketsDelta), v.shows(partOrigBytesDelta))
	}
	dst = xmlMeta(dst, at, start)
	at = len(dst)
	dst = append(dst, `<meta direction="reply">`...)
	start = len(dst)
	dst = xmlDirection(dst, v, slotReply, &e.Reply, v.reply)
	if v.got(flow.HasReplyCounters) {
		dst = xmlCounters(dst, v, slotReplyPackets, `<counters>`, &e.ReplyCounters, v.shows(partReplyPackets), v.shows(partReplyBytes))
	}
	if v.got(flow.HasReplyDeltas) {
		dst = xmlCounters(dst, v, slotReplyPacketsDelta, `<deltas>`, &e.ReplyDeltas, v.shows(partReplyPacketsDelta), v.shows(partReplyBytesDelta))
	}
	return xmlMeta(dst, at, start)
}

// xmlMeta ends a meta element that began at at, or takes back an empty one.
func xmlMeta(dst []byte, at, start int) []byte {
	if len(dst) == start {
		return dst[:at]
	}
	return append(dst, `</meta>`...)
}

// xmlDirection writes one direction's tuple; the numbers of its layers are the record's.
func xmlDirection(dst []byte, v *view, first slot, t *flow.Tuple, has flow.TupleHas) []byte {
	if has == 0 {
		return dst
	}
	l := layers{l3: v.e.Family, l4: v.e.Proto}
	l.show3, l.name4 = v.shows(partFamily), v.hasProto && v.shows(partProto)
	l.show4 = v.hasProto && v.shows(partProtoNum)
	if has&flow.HasProto != 0 {
		l.l4, l.show4, l.name4 = t.Proto, true, true
	}
	return xmlTuple(dst, v, first, l, t, has)
}

// layers are the attributes of layer3 and layer4.
type layers struct {
	l3           flow.Family
	l4           uint8
	show3        bool
	show4, name4 bool
}

// xmlAlone gives the layers of a tuple that stands alone.
func xmlAlone(t *flow.Tuple, has flow.TupleHas) layers {
	l := layers{}
	if has&flow.HasAddrs != 0 {
		l.l3, l.show3 = t.Family, true
	}
	if has&flow.HasProto != 0 {
		l.l4, l.show4, l.name4 = t.Proto, true, true
	}
	return l
}

func xmlLayer3(dst []byte, l layers) []byte {
	dst = append(dst, `<layer3`...)
	if name := l.l3.String(); l.show3 && name != "" {
		dst = xmlAttr(dst, ` protonum="`, uint64(l.l3))
		dst = xmlAttrWord(dst, ` protoname="`, name)
	}
	return append(dst, '>')
}

func xmlLayer4(dst []byte, l layers) []byte {
	dst = append(dst, `<layer4`...)
	if l.show4 {
		dst = xmlAttr(dst, ` protonum="`, uint64(l.l4))
	}
	if l.name4 {
		dst = xmlAttrWord(dst, ` protoname="`, flow.ProtoName(l.l4))
	}
	return append(dst, '>')
}

// xmlTuple writes a tuple, whose slots begin with first, as its two layers, and
// its zone behind them.
func xmlTuple(dst []byte, v *view, first slot, l layers, t *flow.Tuple, has flow.TupleHas) []byte {
	dst = xmlAddrs(xmlLayer3(dst, l), v, first, t, has)
	dst = append(dst, `</layer3>`...)
	if l.show4 || l.name4 || has&^(flow.HasAddrs|flow.HasTupleZone) != 0 {
		dst = append(xmlPorts(xmlLayer4(dst, l), v, first, t, has), `</layer4>`...)
	}
	if has&flow.HasTupleZone != 0 {
		dst = v.note(xmlUint(dst, `<zone>`, uint64(t.Zone)), first+tupleZone)
	}
	return dst
}

// xmlAddrs writes what layer 3 has of a tuple.
func xmlAddrs(dst []byte, v *view, first slot, t *flow.Tuple, has flow.TupleHas) []byte {
	if has&flow.HasSrc != 0 {
		dst = v.note(xmlAddr(dst, `<src>`, &t.Src, t.Family), first+tupleSrc)
	}
	if has&flow.HasDst != 0 {
		dst = v.note(xmlAddr(dst, `<dst>`, &t.Dst, t.Family), first+tupleDst)
	}
	return dst
}

// xmlPorts writes what layer 4 has of a tuple.
func xmlPorts(dst []byte, v *view, first slot, t *flow.Tuple, has flow.TupleHas) []byte {
	if has&flow.HasSrcPort != 0 {
		dst = v.note(xmlUint(dst, `<sport>`, uint64(t.SrcPort)), first+tupleSrcPort)
	}
	if has&flow.HasDstPort != 0 {
		dst = v.note(xmlUint(dst, `<dport>`, uint64(t.DstPort)), first+tupleDstPort)
	}
	if has&flow.HasICMPType != 0 {
		dst = v.note(xmlUint(dst, `<icmp_type>`, uint64(t.ICMPType)), first+tupleICMPType)
	}
	if has&flow.HasICMPCode != 0 {
		dst = v.note(xmlUint(dst, `<icmp_code>`, uint64(t.ICMPCode)), first+tupleICMPCode)
	}
	if has&flow.HasICMPID != 0 {
		dst = v.note(xmlUint(dst, `<icmp_id>`, uint64(t.ICMPID)), first+tupleICMPID)
	}
	if has&hasSrcKey != 0 {
		dst = xmlKey(dst, `<srckey>`, t.SrcPort)
	}
	if has&hasDstKey != 0 {
		dst = xmlKey(dst, `<dstkey>`, t.DstPort)
	}
	return dst
}

func xmlCounters(dst []byte, v *view, first slot, start string, c *flow.Counters, packets, bytes bool) []byte {
	if !packets && !bytes {
		return dst
	}
	dst = append(dst, start...)
	if packets {
		dst = v.note(xmlUint(dst, `<packets>`, c.Packets), first)
	}
	if bytes {
		dst = v.note(xmlUint(dst, `<bytes>`, c.Bytes), first+1)
	}
	return xmlEnd(dst, start)
}

// xmlIndependent writes what holds in both directions.
func xmlIndependent(dst []byte, v *view) []byte {
	e := v.e
	at := len(dst)
	dst = append(dst, `<meta direction="independent">`...)
	start := len(dst)
	dst = xmlWord(dst, `<state>`, stateWord(v))
	if v.got(flow.HasTimeout) {
		dst = v.note(xmlUint(dst, `<timeout>`, uint64(e.Timeout)), slotTimeout)
	}
	if v.got(flow.HasMark) {
		dst = v.note(xmlUint(dst, `<mark>`, uint64(e.Mark)), slotMark)
	}
	if v.got(flow.HasSecCtx) {
		dst = xmlText(dst, `<secctx>`, e.Extra.SecCtx)
	}
	if v.got(flow.HasZone) {
		dst = v.note(xmlUint(dst, `<zone>`, uint64(e.Zone)), slotZone)
	}
	if v.got(flow.HasUse) {
		dst = v.note(xmlUint(dst, `<use>`, uint64(e.Use)), slotUse)
	}
	if v.got(flow.HasID) {
		dst = v.note(xmlUint(dst, `<id>`, uint64(e.ID)), slotID)
	}
	if v.got(flow.HasStatus) {
		dst = xmlStatus(dst, v)
	}
	if v.got(flow.HasStart | flow.HasStop) {
		dst = xmlTimestamp(dst, v)
	}
	if v.got(flow.HasLabels | flow.HasLabelNames) {
		dst = xmlLabels(dst, v)
	}
	return xmlMeta(dst, at, start)
}

// stateWord is the state of whichever protocol has one.
func stateWord(v *view) string {
	e := v.e
	switch {
	case v.got(flow.HasTCPState) && v.shows(partTCPState):
		return flow.TCPStateName(e.TCP.State)
	case v.got(flow.HasSCTPState) && v.shows(partSCTPState):
		return flow.SCTPStateName(e.SCTP.State)
	case v.got(flow.HasDCCPState) && v.shows(partDCCPState):
		return flow.DCCPStateName(e.DCCP.State)
	}
	return ""
}

// xmlStatus writes conntrack's marks of the status, then all of it.
func xmlStatus(dst []byte, v *view) []byte {
	status := v.e.Status
	words := v.shows(partStatus)
	if words && status&flow.StatusAssured != 0 {
		dst = append(dst, `<assured/>`...)
	}
	if words && status&flow.StatusSeenReply == 0 {
		dst = append(dst, `<unreplied/>`...)
	}
	if !words && !v.shows(partStatusRaw) {
		return dst
	}
	dst = append(dst, `<status`...)
	if v.shows(partStatusRaw) {
		dst = xmlAttr(dst, ` raw="`, uint64(status))
	}
	dst = append(dst, '>')
	if words {
		dst = xmlBits(dst, status, flow.StatusName)
	}
	return append(dst, `</status>`...)
}

// xmlTimestamp writes the flow's times as conntrack does, in ns since the epoch.
func xmlTimestamp(dst []byte, v *view) []byte {
	dst = append(dst, `<timestamp>`...)
	if v.got(flow.HasStart) {
		dst = v.note(append(strconv.AppendInt(append(dst, `<start>`...), v.e.Start, 10), `</start>`...), slotStartNS)
	}
	if v.got(flow.HasStop) {
		dst = v.note(append(strconv.AppendInt(append(dst, `<stop>`...), v.e.Stop, 10), `</stop>`...), slotStopNS)
	}
	return append(dst, `</timestamp>`...)
}

func xmlLabels(dst []byte, v *view) []byte {
	dst = append(dst, `<labels`...)
	if v.got(flow.HasLabels) {
		dst = v.note(append(hex.AppendEncode(append(dst, ` raw="`...), v.e.Labels[:]), '"'), slotLabels)
	}
	dst = append(dst, '>')
	if v.got(flow.HasLabelNames) {
		for _, name := range v.e.Extra.LabelNames {
			dst = xmlText(dst, `<label>`, name)
		}
	}
	return append(dst, `</labels>`...)
}
