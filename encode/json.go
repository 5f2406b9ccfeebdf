package encode

import (
	"encoding/hex"

	"github.com/ctferry/ctferry/source/flow"
)

func jsonFormat() Format {
	return Format{
		Name:        "json",
		ContentType: "application/json",
		Extension:   ".jsonl",
		Framing:     Lines,
		NewEncoder:  func(p Projection) Encoder { return &jsonEncoder{p: p} },
		NewDecoder:  func() Decoder { return &jsonDecoder{} },
	}
}

// jsonEncoder writes one object, its members in the order of the record's
// description. Members are written with a comma before them; what opens an
// object puts its brace over the first comma.
type jsonEncoder struct {
	p      Projection
	clock  clock
	origin *flow.Origin
	fixed  []byte // what origin says, from node to run
	known  bool   // fixed is of origin
}

// Append implements Encoder.
func (j *jsonEncoder) Append(dst []byte, e *flow.Event) []byte {
	var v view
	v.init(&j.p, e)
	dst = j.head(dst, &v)
	dst = j.entry(dst, &v)
	dst = j.protocols(dst, &v)
	dst = j.values(dst, &v)
	if v.has&inExtra != 0 {
		dst = j.extra(dst, &v)
	}
	dst = j.times(dst, &v)
	if e.Dump != nil {
		dst = jsonDump(dst, &v)
	}
	return append(j.tail(dst, &v), '}')
}

// head writes what every record has: identity and time.
func (j *jsonEncoder) head(dst []byte, v *view) []byte {
	e := v.e
	dst = append(dst, `{"schema":"`+Schema+`","event_type":"`...)
	dst = append(dst, e.Type.String()...)
	if e.Table != flow.TableUnspecified {
		dst = append(dst, `","table":"`...)
		dst = append(dst, e.Table.String()...)
	}
	dst = append(dst, `","time":"`...)
	dst = append(j.clock.appendTime(dst, e.Time), '"')
	if e.TimeSource != 0 && v.shows(partTimeSource) {
		dst = jsonWord(dst, `,"time_source":"`, e.TimeSource.String())
	}
	if v.got(flow.HasReceived) {
		dst = j.time(dst, `,"received":"`, e.Received)
	}
	if !j.known || j.origin != e.Origin {
		j.remember(e.Origin)
	}
	dst = append(dst, j.fixed...)
	return appendUint(dst, e.Seq)
}

// remember renders what is the same for every event of an origin, up to the
// value of seq.
func (j *jsonEncoder) remember(o *flow.Origin) {
	j.origin, j.known = o, true
	if o == nil {
		o = &flow.Origin{}
	}
	show := ^j.p.hidden.part
	b := jsonString(append(j.fixed[:0], `,"node":`...), o.Node)
	if o.NetNS != "" && show&partNetNS != 0 {
		b = jsonString(append(b, `,"netns":`...), o.NetNS)
	}
	if len(o.Meta) > 0 && show&partMeta != 0 {
		b = append(b, `,"meta":{`...)
		for i, m := range o.Meta {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(jsonString(b, m.Key), ':')
			b = jsonString(b, m.Value)
		}
		b = append(b, '}')
	}
	if o.BootID != [16]byte{} && show&partBootID != 0 {
		b = append(appendUUID(append(b, `,"boot_id":"`...), &o.BootID), '"')
	}
	b = hex.AppendEncode(append(b, `,"run":"`...), o.Run[:])
	j.fixed = append(b, `","seq":`...)
}

// entry writes what names the table's entry: ids, protocol, tuples and status.
func (j *jsonEncoder) entry(dst []byte, v *view) []byte {
	e := v.e
	if v.got(flow.HasID) {
		dst = jsonUint(dst, `,"id":`, uint64(e.ID))
	}
	if v.got(flow.HasFlowID) {
		dst = jsonID(dst, `,"flow_id":"`, e.FlowID)
	}
	if v.shows(partFamily) {
		dst = jsonWord(dst, `,"family":"`, e.Family.String())
	}
	if v.hasProto && v.shows(partProto) {
		dst = jsonWord(dst, `,"proto":"`, flow.ProtoName(e.Proto))
	}
	if v.hasProto && v.shows(partProtoNum) {
		dst = appendUint8(append(dst, `,"proto_num":`...), e.Proto)
	}
	dst = j.sides(dst, v)
	if v.hasNAT {
		dst = j.nat(dst, v)
	}
	if v.got(flow.HasStatus) && v.shows(partStatus) {
		dst = jsonBits(dst, `,"status":[`, e.Status, flow.StatusName)
	}
	if v.got(flow.HasStatus) && v.shows(partStatusRaw) {
		dst = jsonUint(dst, `,"status_raw":`, uint64(e.Status))
	}
	return dst
}

// values writes the entry's plain values.
func (j *jsonEncoder) values(dst []byte, v *view) []byte {
	e := v.e
	if v.got(flow.HasTimeout) {
		dst = jsonUint(dst, `,"timeout":`, uint64(e.Timeout))
	}
	if v.got(flow.HasMark) {
		dst = jsonUint(dst, `,"mark":`, uint64(e.Mark))
	}
	if v.got(flow.HasZone) {
		dst = jsonUint(dst, `,"zone":`, uint64(e.Zone))
	}
	if v.got(flow.HasLabelNames) {
		dst = jsonStrings(dst, `,"ct_labels":[`, e.Extra.LabelNames)
	}
	if v.got(flow.HasLabels) {
		dst = append(hex.AppendEncode(append(dst, `,"ct_labels_raw":"`...), e.Labels[:]), '"')
	}
	if v.got(flow.HasSecCtx) {
		dst = jsonString(append(dst, `,"secctx":`...), e.Extra.SecCtx)
	}
	if v.got(flow.HasHelper) {
		dst = jsonString(append(dst, `,"helper":`...), e.Extra.Helper)
	}
	if v.got(flow.HasUse) {
		dst = jsonUint(dst, `,"use":`, uint64(e.Use))
	}
	return dst
}

// times writes who made the change, and the flow's own times.
func (j *jsonEncoder) times(dst []byte, v *view) []byte {
	e := v.e
	if v.got(flow.HasPortID) {
		dst = jsonUint(dst, `,"portid":`, uint64(e.PortID))
	}
	if v.got(flow.HasProgName) {
		dst = jsonString(append(dst, `,"progname":`...), e.Extra.ProgName)
	}
	if v.got(flow.HasStart) {
		dst = j.time(dst, `,"start":"`, e.Start)
	}
	if v.got(flow.HasStop) {
		dst = j.time(dst, `,"stop":"`, e.Stop)
	}
	if ns, ok := v.duration(); ok {
		dst = jsonUint(dst, `,"duration_ns":`, ns)
	}
	if v.shows(partClose) {
		dst = jsonWord(dst, `,"close_reason":"`, e.CloseReason().String())
	}
	if id, ok := v.appendCommunity(append(dst, `,"community_id":"`...)); ok {
		dst = append(id, '"')
	}
	return dst
}

// tail writes what few records have.
func (j *jsonEncoder) tail(dst []byte, v *view) []byte {
	e := v.e
	if v.got(flow.HasInterval) {
		dst = jsonUint(dst, `,"interval_ns":`, notNegative(e.Interval))
	}
	if v.wantsExpect() {
		dst = j.expectation(dst, v)
	}
	if e.Gap != nil {
		dst = j.gap(dst, e.Gap)
	}
	if e.Agent != nil {
		dst = jsonAgent(dst, e.Agent)
	}
	if v.got(flow.HasSynthetic) {
		dst = jsonBool(dst, `,"synthetic":`, e.Synthetic)
	}
	if v.got(flow.HasBounds) && v.shows(partSince) {
		dst = j.time(dst, `,"since":"`, e.Since)
	}
	if v.got(flow.HasBounds) && v.shows(partUntil) {
		dst = j.time(dst, `,"until":"`, e.Until)
	}
	return dst
}

// time writes a member that is a time.
func (j *jsonEncoder) time(dst []byte, name string, ns int64) []byte {
	return append(j.clock.appendTime(append(dst, name...), ns), '"')
}
