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
		NewEncoder:  newJSONEncoder,
		NewDecoder:  func() Decoder { return &jsonDecoder{} },

		NewToldDecoder: func() Decoder { return &jsonDecoder{draft: draft{trust: trustRecord}} },
	}
}

// jsonEncoder writes one object, its members in the order of the record's
// description. Members are written with a comma before them; what opens an
// object puts its brace over the first comma. Of a shape that comes often this
// is done once, and then by its plan.
type jsonEncoder struct {
	planner planner
	p       Projection
	clock   clock
}

func newJSONEncoder(p Projection) Encoder {
	j := &jsonEncoder{p: p}
	j.planner.full, j.planner.pen = j, newPen(&j.p, jsonString)
	return j
}

// Append implements Encoder.
func (j *jsonEncoder) Append(dst []byte, e *flow.Event) []byte { return j.planner.append(dst, e) }

// write implements fullWriter.
func (j *jsonEncoder) write(dst []byte, e *flow.Event, n *notes) []byte {
	var v view
	v.init(&j.p, e)
	v.notes = n
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
	dst = v.note(append(j.clock.appendTime(dst, e.Time), '"'), slotTime)
	if e.TimeSource != 0 && v.shows(partTimeSource) {
		dst = jsonWord(dst, `,"time_source":"`, e.TimeSource.String())
	}
	if v.got(flow.HasReceived) {
		dst = v.note(j.time(dst, `,"received":"`, e.Received), slotReceived)
	}
	dst = v.note(append(dst, j.planner.pen.fixed...), slotOrigin)
	return v.note(appendUint(dst, e.Seq), slotSeq)
}

// remember implements fullWriter: it renders what is the same for every event of
// an origin, up to the value of seq.
func (j *jsonEncoder) remember(o *flow.Origin) {
	if o == nil {
		o = &flow.Origin{}
	}
	show := ^j.p.hidden.part
	b := jsonString(append(j.planner.pen.fixed[:0], `,"node":`...), o.Node)
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
	j.planner.pen.fixed = append(b, `","seq":`...)
}

// entry writes what names the table's entry: ids, protocol, tuples and status.
func (j *jsonEncoder) entry(dst []byte, v *view) []byte {
	e := v.e
	if v.got(flow.HasID) {
		dst = v.note(jsonUint(dst, `,"id":`, uint64(e.ID)), slotID)
	}
	if v.got(flow.HasFlowID) {
		dst = v.note(jsonID(dst, `,"flow_id":"`, e.FlowID), slotFlowID)
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
		dst = v.note(jsonUint(dst, `,"timeout":`, uint64(e.Timeout)), slotTimeout)
	}
	if v.got(flow.HasMark) {
		dst = v.note(jsonUint(dst, `,"mark":`, uint64(e.Mark)), slotMark)
	}
	if v.got(flow.HasZone) {
		dst = v.note(jsonUint(dst, `,"zone":`, uint64(e.Zone)), slotZone)
	}
	if v.got(flow.HasLabelNames) {
		dst = jsonStrings(dst, `,"ct_labels":[`, e.Extra.LabelNames)
	}
	if v.got(flow.HasLabels) {
		dst = v.note(append(hex.AppendEncode(append(dst, `,"ct_labels_raw":"`...), e.Labels[:]), '"'), slotLabels)
	}
	if v.got(flow.HasSecCtx) {
		dst = jsonString(append(dst, `,"secctx":`...), e.Extra.SecCtx)
	}
	if v.got(flow.HasHelper) {
		dst = jsonString(append(dst, `,"helper":`...), e.Extra.Helper)
	}
	if v.got(flow.HasUse) {
		dst = v.note(jsonUint(dst, `,"use":`, uint64(e.Use)), slotUse)
	}
	return dst
}

// times writes who made the change, and the flow's own times.
func (j *jsonEncoder) times(dst []byte, v *view) []byte {
	e := v.e
	if v.got(flow.HasPortID) {
		dst = v.note(jsonUint(dst, `,"portid":`, uint64(e.PortID)), slotPortID)
	}
	if v.got(flow.HasProgName) {
		dst = v.note(jsonString(append(dst, `,"progname":`...), e.Extra.ProgName), slotProgName)
	}
	if v.got(flow.HasStart) {
		dst = v.note(j.time(dst, `,"start":"`, e.Start), slotStart)
	}
	if v.got(flow.HasStop) {
		dst = v.note(j.time(dst, `,"stop":"`, e.Stop), slotStop)
	}
	if ns, ok := v.duration(); ok {
		dst = v.note(jsonUint(dst, `,"duration_ns":`, ns), slotDuration)
	}
	if v.shows(partClose) {
		dst = jsonWord(dst, `,"close_reason":"`, e.CloseReason().String())
	}
	if id, ok := v.appendCommunity(append(dst, `,"community_id":"`...)); ok {
		dst = v.note(append(id, '"'), slotCommunity)
	}
	return dst
}

// tail writes what few records have.
func (j *jsonEncoder) tail(dst []byte, v *view) []byte {
	e := v.e
	if v.got(flow.HasInterval) {
		dst = v.note(jsonUint(dst, `,"interval_ns":`, notNegative(e.Interval)), slotInterval)
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
	if v.got(flow.HasSince) {
		dst = j.time(dst, `,"since":"`, e.Since)
	}
	if v.got(flow.HasUntil) {
		dst = j.time(dst, `,"until":"`, e.Until)
	}
	return dst
}

// time writes a member that is a time.
func (j *jsonEncoder) time(dst []byte, name string, ns int64) []byte {
	return append(j.clock.appendTime(append(dst, name...), ns), '"')
}
