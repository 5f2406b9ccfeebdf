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

		NewToldDecoder: func() Decoder { return &protobufDecoder{draft: draft{trust: trustRecord}} },
	}
}

// protobufEncoder writes a ctferry.v1.Record. Fields stand in the order of
// their numbers, which are those of record.proto, and map keys are sorted, so
// that the bytes are those of any deterministic encoder.
type protobufEncoder struct {
	p    Projection
	seen pbSeen
}

// Append implements Encoder.
func (p *protobufEncoder) Append(dst []byte, e *flow.Event) []byte {
	var v view
	v.init(&p.p, e)
	if !p.seen.known || p.seen.origin != e.Origin {
		p.seen.remember(&p.p, e.Origin)
	}
	dst = pbReserve(dst, p.seen.room)
	dst = append(pbWritten(dst, pbBehind(dst).when(e)), p.seen.node...)
	dst = pbWritten(dst, p.flow(pbBehind(dst), &v))
	dst = append(dst, p.seen.place...)
	dst = pbWritten(dst, p.seen.names(pbBehind(dst), &v))
	if v.got(sctpBits) {
		dst = pbReserve(dst, 0)
		dst = pbWritten(dst, pbBehind(dst).sctp(0, &v))
	}
	if v.got(dccpBits) {
		dst = pbDCCP(dst, &v)
	}
	dst = p.values(dst, &v)
	if v.has&inExtra != 0 {
		dst = pbExtra(dst, &v)
	}
	dst = p.times(dst, &v)
	if e.Dump != nil {
		dst = pbDump(dst, &v)
	}
	return pbTail(dst, &v)
}

// when writes fields 1 and 2.
func (w *pbPage) when(e *flow.Event) (n int) {
	if e.Type != 0 {
		n = w.small(n, 1, uint8(e.Type))
	}
	if e.Time != 0 {
		n = w.fixed(n, 2, uint64(e.Time))
	}
	return n
}

// flow writes fields 4 to 18.
func (p *protobufEncoder) flow(w *pbPage, v *view) (n int) {
	e := v.e
	if v.got(flow.HasFlowID) {
		n = w.fixed(n, 4, e.FlowID)
	}
	n = w.sides(n, v)
	if v.hasProto && v.shows(partProtoNum) {
		n = w.small(n, 7, e.Proto)
	}
	if v.got(flow.HasStatus) && v.shows(partStatusRaw) {
		n = w.varint(w.key(n, 8), uint64(e.Status))
	}
	if v.hasNAT {
		n = w.nat(n, v)
	}
	if e.Seq != 0 {
		n = w.varint(w.key(n, 10), e.Seq)
	}
	*(*[runLen]byte)(w[n:]) = p.seen.run
	n += runLen
	if e.Table != 0 {
		n = w.small(n, 12, uint8(e.Table))
	}
	if v.got(flow.HasTimeout) {
		n = w.varint(w.key(n, 13), uint64(e.Timeout))
	}
	if v.got(flow.HasID) {
		n = w.varint(w.key(n, 14), uint64(e.ID))
	}
	if v.got(tcpBits) {
		n = w.tcp(n, v)
	}
	*(*[16]byte)(w[n:]) = p.seen.schema
	n += len(pbSchema)
	if e.TimeSource != 0 && v.shows(partTimeSource) {
		n = w.small(n, 17, uint8(e.TimeSource))
	}
	if v.got(flow.HasReceived) {
		n = w.fixed(n, 18, uint64(e.Received))
	}
	return n
}

// pbSchema is field 16, whole: its tag, its length and Schema.
const pbSchema = "\x82\x01\x0a" + Schema

// names writes fields 22 to 24.
func (w *pbPage) names(v *view) (n int) {
	e := v.e
	if f := familyNumber(e.Family); f != 0 && v.shows(partFamily) {
		n = w.small(n, 22, f)
	}
	if v.hasProto && v.shows(partProto) {
		if name := flow.ProtoName(e.Proto); name != "" {
			n = w.tag(n, 23, protowire.BytesType)
			w[n] = byte(len(name))
			n = w.text(n+1, name)
		}
	}
	if v.got(flow.HasStatus) && v.shows(partStatus) {
		n = w.bits(n, 24, e.Status, flow.StatusName)
	}
	return n
}

// familyNumber is the number of a family in the enum Family.
func familyNumber(f flow.Family) uint8 {
	switch f {
	case flow.IPv4:
		return 1
	case flow.IPv6:
		return 2
	}
	return 0
}

// values writes fields 27 to 33.
func (p *protobufEncoder) values(dst []byte, v *view) []byte {
	e := v.e
	dst = pbReserve(dst, 0)
	w, n := pbBehind(dst), 0
	if v.got(flow.HasMark) {
		n = w.varint(w.key(n, 27), uint64(e.Mark))
	}
	if v.got(flow.HasZone) {
		n = w.varint(w.key(n, 28), uint64(e.Zone))
	}
	if v.got(flow.HasLabelNames | flow.HasLabels | flow.HasSecCtx | flow.HasHelper) {
		dst = pbReserve(p.labels(pbWritten(dst, n), v), 0)
		w, n = pbBehind(dst), 0
	}
	if v.got(flow.HasUse) {
		n = w.varint(w.key(n, 33), uint64(e.Use))
	}
	return pbWritten(dst, n)
}

// labels writes fields 29 to 32.
func (p *protobufEncoder) labels(dst []byte, v *view) []byte {
	e := v.e
	if v.got(flow.HasLabelNames) {
		for _, name := range e.Extra.LabelNames {
			dst = pbString(dst, 29, name)
		}
	}
	if v.got(flow.HasLabels) {
		dst = pbBytes(dst, 30, e.Labels[:])
	}
	if v.got(flow.HasSecCtx) {
		dst = p.seen.secctx.appendTo(dst, 31, e.Extra.SecCtx)
	}
	if v.got(flow.HasHelper) {
		dst = p.seen.helper.appendTo(dst, 32, e.Extra.Helper)
	}
	return dst
}

// times writes fields 38 to 44.
func (p *protobufEncoder) times(dst []byte, v *view) []byte {
	e := v.e
	dst = pbReserve(dst, 0)
	w, n := pbBehind(dst), 0
	if v.got(flow.HasPortID) {
		n = w.varint(w.key(n, 38), uint64(e.PortID))
	}
	if v.got(flow.HasProgName) {
		dst = pbReserve(p.seen.progname.appendTo(pbWritten(dst, n), 39, e.Extra.ProgName), 0)
		w, n = pbBehind(dst), 0
	}
	if v.got(flow.HasStart) {
		n = w.fixed(n, 40, uint64(e.Start))
	}
	if v.got(flow.HasStop) {
		n = w.fixed(n, 41, uint64(e.Stop))
	}
	if ns, ok := v.duration(); ok {
		n = w.varint(w.key(n, 42), ns)
	}
	if e.Type == flow.TypeDestroy && v.shows(partClose) {
		if reason := e.CloseReason(); reason != 0 {
			n = w.small(n, 43, uint8(reason))
		}
	}
	dst = pbWritten(dst, n)
	if v.p.community || v.told != 0 {
		return pbCommunity(dst, v)
	}
	return dst
}

// pbCommunity writes field 44.
func pbCommunity(dst []byte, v *view) []byte {
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
	if !v.got(flow.HasInterval|flow.HasExpect|flow.HasSynthetic|flow.HasBounds) && e.Gap == nil && e.Agent == nil {
		return dst
	}
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
	if v.got(flow.HasSince) {
		dst = pbFixed(dst, 55, uint64(e.Since))
	}
	if v.got(flow.HasUntil) {
		dst = pbFixed(dst, 56, uint64(e.Until))
	}
	return dst
}
