package encode

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ctferry/ctferry/source/flow"
)

func protobufFormat() Format {
	return Format{
		Name:        "protobuf",
		ContentType: "application/x-protobuf",
		Extension:   ".pb",
		Framing:     Delimited,
		NewEncoder:  func(p Projection) Encoder { return &protobufEncoder{p: p} },
		NewDecoder:  func() Decoder { return &protobufDecoder{} },
	}
}

// protobufEncoder writes a ctferry.v1.Record. Fields stand in the order of
// their numbers, which are those of record.proto, and map keys are sorted, so
// that the bytes are those of any deterministic encoder.
type protobufEncoder struct {
	p      Projection
	origin *flow.Origin
	known  bool   // what follows is of origin
	node   []byte // field 3
	run    []byte // field 11
	place  []byte // fields 19 to 21
}

// Append implements Encoder.
func (p *protobufEncoder) Append(dst []byte, e *flow.Event) []byte {
	var v view
	v.init(&p.p, e)
	if !p.known || p.origin != e.Origin {
		p.remember(e.Origin)
	}
	dst = p.hot(dst, &v)
	dst = p.warm(dst, &v)
	dst = pbValues(dst, &v)
	if v.has&inExtra != 0 {
		dst = pbExtra(dst, &v)
	}
	dst = pbTimes(dst, &v)
	if e.Dump != nil {
		dst = pbDump(dst, &v)
	}
	return pbTail(dst, &v)
}

// remember renders what is the same for every event of an origin.
func (p *protobufEncoder) remember(o *flow.Origin) {
	p.origin, p.known = o, true
	if o == nil {
		o = &flow.Origin{}
	}
	show := ^p.p.hidden.part
	p.node = pbStringIf(p.node[:0], 3, o.Node)
	p.run = pbBytes(p.run[:0], 11, o.Run[:])
	b := p.place[:0]
	if show&partNetNS != 0 {
		b = pbStringIf(b, 19, o.NetNS)
	}
	if show&partMeta != 0 {
		for _, m := range o.Meta {
			var start int
			b, start = pbOpen(b, 20)
			b = pbString(pbString(b, 1, m.Key), 2, m.Value)
			b = pbClose(b, start)
		}
	}
	if o.BootID != [16]byte{} && show&partBootID != 0 {
		b = pbBytes(b, 21, o.BootID[:])
	}
	p.place = b
}

// hot writes fields 1 to 15.
func (p *protobufEncoder) hot(dst []byte, v *view) []byte {
	e := v.e
	dst = pbUintIf(dst, 1, uint64(e.Type))
	dst = append(pbFixedIf(dst, 2, uint64(e.Time)), p.node...)
	if v.got(flow.HasFlowID) {
		dst = pbFixed(dst, 4, e.FlowID)
	}
	dst = pbSides(dst, v)
	if v.hasProto && v.shows(partProtoNum) {
		dst = pbUint(dst, 7, uint64(e.Proto))
	}
	if v.got(flow.HasStatus) && v.shows(partStatusRaw) {
		dst = pbUint(dst, 8, uint64(e.Status))
	}
	if v.hasNAT {
		dst = pbNAT(dst, v)
	}
	dst = append(pbUintIf(dst, 10, e.Seq), p.run...)
	dst = pbUintIf(dst, 12, uint64(e.Table))
	if v.got(flow.HasTimeout) {
		dst = pbUint(dst, 13, uint64(e.Timeout))
	}
	if v.got(flow.HasID) {
		dst = pbUint(dst, 14, uint64(e.ID))
	}
	if v.got(tcpBits) {
		dst = pbTCP(dst, v)
	}
	return dst
}

// pbSchema is field 16, whole: its tag, its length and Schema.
const pbSchema = "\x82\x01\x0a" + Schema

// warm writes fields 16 to 26.
func (p *protobufEncoder) warm(dst []byte, v *view) []byte {
	e := v.e
	dst = append(dst, pbSchema...)
	if v.shows(partTimeSource) {
		dst = pbUintIf(dst, 17, uint64(e.TimeSource))
	}
	if v.got(flow.HasReceived) {
		dst = pbFixed(dst, 18, uint64(e.Received))
	}
	dst = append(dst, p.place...)
	if v.shows(partFamily) {
		dst = pbUintIf(dst, 22, familyNumber(e.Family))
	}
	if v.hasProto && v.shows(partProto) {
		dst = pbStringIf(dst, 23, flow.ProtoName(e.Proto))
	}
	if v.got(flow.HasStatus) && v.shows(partStatus) {
		dst = pbBits(dst, 24, e.Status, flow.StatusName)
	}
	if v.got(sctpBits) {
		dst = pbSCTP(dst, v)
	}
	if v.got(dccpBits) {
		dst = pbDCCP(dst, v)
	}
	return dst
}

// familyNumber is the number of a family in the enum Family.
func familyNumber(f flow.Family) uint64 {
	switch f {
	case flow.IPv4:
		return 1
	case flow.IPv6:
		return 2
	}
	return 0
}

// pbValues writes fields 27 to 33.
func pbValues(dst []byte, v *view) []byte {
	e := v.e
	if v.got(flow.HasMark) {
		dst = pbUint(dst, 27, uint64(e.Mark))
	}
	if v.got(flow.HasZone) {
		dst = pbUint(dst, 28, uint64(e.Zone))
	}
	if v.got(flow.HasLabelNames) {
		for _, name := range e.Extra.LabelNames {
			dst = pbString(dst, 29, name)
		}
	}
	if v.got(flow.HasLabels) {
		dst = pbBytes(dst, 30, e.Labels[:])
	}
	if v.got(flow.HasSecCtx) {
		dst = pbString(dst, 31, e.Extra.SecCtx)
	}
	if v.got(flow.HasHelper) {
		dst = pbString(dst, 32, e.Extra.Helper)
	}
	if v.got(flow.HasUse) {
		dst = pbUint(dst, 33, uint64(e.Use))
	}
	return dst
}

// pbTimes writes fields 38 to 44.
func pbTimes(dst []byte, v *view) []byte {
	e := v.e
	if v.got(flow.HasPortID) {
		dst = pbUint(dst, 38, uint64(e.PortID))
	}
	if v.got(flow.HasProgName) {
		dst = pbString(dst, 39, e.Extra.ProgName)
	}
	if v.got(flow.HasStart) {
		dst = pbFixed(dst, 40, uint64(e.Start))
	}
	if v.got(flow.HasStop) {
		dst = pbFixed(dst, 41, uint64(e.Stop))
	}
	if ns, ok := v.duration(); ok {
		dst = pbUint(dst, 42, ns)
	}
	if v.shows(partClose) {
		dst = pbUintIf(dst, 43, uint64(e.CloseReason()))
	}
	at := len(dst)
	dst, start := pbOpen(dst, 44)
	if id, ok := v.appendCommunity(dst); ok {
		return pbClose(id, start)
	}
	return dst[:at]
}

// pbDump writes fields 45 to 49.
func pbDump(dst []byte, v *view) []byte {
	d := v.e.Dump
	if v.shows(partDumpID) {
		dst = pbFixed(dst, 45, d.ID)
	}
	if v.shows(partDumpReason) {
		dst = pbUintIf(dst, 46, uint64(dumpReason(d.Reason)))
	}
	if v.e.Type == flow.TypeDumpEnd && v.shows(partDumpCount) {
		dst = pbUint(dst, 47, d.Count)
	}
	if v.e.Type == flow.TypeDumpEnd && v.shows(partDumpComplete) {
		dst = pbBool(dst, 48, d.Complete)
	}
	if d.CountersReset && v.shows(partCountersReset) {
		dst = pbBool(dst, 49, true)
	}
	return dst
}

// pbTail writes fields 50 to 56.
func pbTail(dst []byte, v *view) []byte {
	e := v.e
	if v.got(flow.HasInterval) {
		dst = pbUint(dst, 50, notNegative(e.Interval))
	}
	if v.wantsExpect() {
		dst = pbExpectation(dst, v)
	}
	if e.Gap != nil {
		dst = pbGap(dst, e.Gap)
	}
	if e.Agent != nil {
		dst = pbAgent(dst, e.Agent)
	}
	if v.got(flow.HasSynthetic) {
		dst = pbBool(dst, 54, e.Synthetic)
	}
	if v.got(flow.HasBounds) && v.shows(partSince) {
		dst = pbFixed(dst, 55, uint64(e.Since))
	}
	if v.got(flow.HasBounds) && v.shows(partUntil) {
		dst = pbFixed(dst, 56, uint64(e.Until))
	}
	return dst
}

// pbSides writes both directions with their counters, fields 5 and 6.
func pbSides(dst []byte, v *view) []byte {
	e := v.e
	at := len(dst)
	dst, start := pbOpen(dst, 5)
	dst = pbTuple(dst, &e.Orig, v.orig)
	if v.got(flow.HasOrigCounters) {
		dst = pbCounters(dst, 11, &e.OrigCounters, v.shows(partOrigPackets), v.shows(partOrigBytes))
	}
	if v.got(flow.HasOrigDeltas) {
		dst = pbCounters(dst, 13, &e.OrigDeltas, v.shows(partOrigPacketsDelta), v.shows(partOrigBytesDelta))
	}
	dst = pbMember(pbTupleProto(dst, &e.Orig, v.orig), at, start)
	at = len(dst)
	dst, start = pbOpen(dst, 6)
	dst = pbTuple(dst, &e.Reply, v.reply)
	if v.got(flow.HasReplyCounters) {
		dst = pbCounters(dst, 11, &e.ReplyCounters, v.shows(partReplyPackets), v.shows(partReplyBytes))
	}
	if v.got(flow.HasReplyDeltas) {
		dst = pbCounters(dst, 13, &e.ReplyDeltas, v.shows(partReplyPacketsDelta), v.shows(partReplyBytesDelta))
	}
	return pbMember(pbTupleProto(dst, &e.Reply, v.reply), at, start)
}

// pbCounters writes packets under num and bytes under the number after it.
func pbCounters(dst []byte, num protowire.Number, c *flow.Counters, packets, bytes bool) []byte {
	if packets {
		dst = pbUint(dst, num, c.Packets)
	}
	if bytes {
		dst = pbUint(dst, num+1, c.Bytes)
	}
	return dst
}
