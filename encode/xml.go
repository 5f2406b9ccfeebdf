package encode

import (
	"encoding/hex"

	"github.com/ctferry/ctferry/source/flow"
)

func xmlFormat() Format {
	return Format{
		Name:        "xml",
		ContentType: "application/xml",
		Extension:   ".xml",
		Framing:     Lines,
		NewEncoder:  newXMLEncoder,
		NewDecoder:  func() Decoder { return &xmlDecoder{} },

		NewToldDecoder: func() Decoder { return &xmlDecoder{draft: draft{trust: trustRecord}} },
	}
}

// xmlEncoder writes one element on one line: <flow> or <expect> after the
// record's table, <gap> or <status> for the agent's own word. What conntrack(8)
// has an element for stands in conntrack's element. Every other scalar of the
// record is an attribute of the root, and every other object an element, under
// the names of the record; its scalars are attributes too. conntrack's elements
// that repeat what stands elsewhere (state, assured, unreplied, the numbers of
// layer3 and layer4) are for its readers and are not read back.
//
// Of a shape that comes often this is done once, and then by its plan.
type xmlEncoder struct {
	planner planner
	p       Projection
	clock   clock
}

func newXMLEncoder(p Projection) Encoder {
	x := &xmlEncoder{p: p}
	x.planner.full, x.planner.pen = x, newPen(&x.p, func(dst []byte, s string) []byte { return append(xmlString(dst, s), '"') })
	return x
}

// Append implements Encoder.
func (x *xmlEncoder) Append(dst []byte, e *flow.Event) []byte { return x.planner.append(dst, e) }

// write implements fullWriter.
func (x *xmlEncoder) write(dst []byte, e *flow.Event, n *notes) []byte {
	var v view
	v.init(&x.p, e)
	v.notes = n
	root := rootName(e)
	dst = append(append(dst, '<'), root...)
	dst = x.identity(dst, &v)
	dst = x.attributes(dst, &v)
	dst = append(dst, '>')
	dst = v.note(append(dst, x.planner.pen.tags...), slotTags)
	dst = xmlSides(dst, &v)
	dst = xmlIndependent(dst, &v)
	dst = xmlProtocols(dst, &v)
	if v.has&inExtra != 0 {
		dst = xmlExtra(dst, &v)
	}
	if e.Gap != nil {
		dst = x.gap(dst, e.Gap)
	}
	if e.Agent != nil {
		dst = xmlAgent(dst, e.Agent)
	}
	dst = append(append(dst, '<', '/'), root...)
	return append(dst, '>')
}

// rootName is the name of a record's element.
func rootName(e *flow.Event) string {
	switch {
	case e.Type == flow.TypeGap:
		return "gap"
	case e.Type == flow.TypeStatus:
		return "status"
	case e.Table == flow.TableExpect:
		return "expect"
	}
	return "flow"
}

// remember implements fullWriter: it renders what is the same for every event of
// an origin, attributes from node to run and the elements that are its meta.
func (x *xmlEncoder) remember(o *flow.Origin) {
	w := &x.planner.pen
	if o == nil {
		o = &flow.Origin{}
	}
	show := ^x.p.hidden.part
	b := xmlAttrText(w.fixed[:0], ` node="`, o.Node)
	if show&partNetNS != 0 {
		b = xmlAttrTextIf(b, ` netns="`, o.NetNS)
	}
	if o.BootID != [16]byte{} && show&partBootID != 0 {
		b = append(appendUUID(append(b, ` boot_id="`...), &o.BootID), '"')
	}
	b = hex.AppendEncode(append(b, ` run="`...), o.Run[:])
	w.fixed = append(b, `" seq="`...)
	w.tags = w.tags[:0]
	if show&partMeta == 0 {
		return
	}
	for _, m := range o.Meta {
		w.tags = append(xmlAttrText(append(w.tags, `<tag`...), ` key="`, m.Key), '>')
		w.tags = append(xmlString(w.tags, m.Value), `</tag>`...)
	}
}

// identity writes what every record has.
func (x *xmlEncoder) identity(dst []byte, v *view) []byte {
	e := v.e
	dst = xmlAttrWord(dst, ` type="`, e.Type.String())
	dst = append(dst, ` schema="`+Schema+`"`...)
	dst = xmlAttrWord(dst, ` table="`, e.Table.String())
	dst = v.note(x.time(dst, ` time="`, e.Time), slotTime)
	if v.shows(partTimeSource) {
		dst = xmlAttrWord(dst, ` time_source="`, e.TimeSource.String())
	}
	if v.got(flow.HasReceived) {
		dst = v.note(x.time(dst, ` received="`, e.Received), slotReceived)
	}
	dst = v.note(append(dst, x.planner.pen.fixed...), slotOrigin)
	dst = v.note(append(appendUint(dst, e.Seq), '"'), slotSeq)
	if v.got(flow.HasFlowID) {
		dst = v.note(xmlAttrID(dst, ` flow_id="`, e.FlowID), slotFlowID)
	}
	if v.shows(partFamily) {
		dst = xmlAttrWord(dst, ` family="`, e.Family.String())
	}
	if v.hasProto && v.shows(partProto) {
		dst = xmlAttrWord(dst, ` proto="`, flow.ProtoName(e.Proto))
	}
	if v.hasProto && v.shows(partProtoNum) {
		dst = xmlAttr(dst, ` proto_num="`, uint64(e.Proto))
	}
	return dst
}

// attributes writes the root's other attributes.
func (x *xmlEncoder) attributes(dst []byte, v *view) []byte {
	e := v.e
	if v.got(flow.HasMasterFlowID) {
		dst = xmlAttrID(dst, ` master_flow_id="`, e.Extra.MasterFlowID)
	}
	if v.got(flow.HasPortID) {
		dst = v.note(xmlAttr(dst, ` portid="`, uint64(e.PortID)), slotPortID)
	}
	if v.got(flow.HasProgName) {
		dst = v.note(xmlAttrText(dst, ` progname="`, e.Extra.ProgName), slotProgName)
	}
	if ns, ok := v.duration(); ok {
		dst = v.note(xmlAttr(dst, ` duration_ns="`, ns), slotDuration)
	}
	if v.shows(partClose) {
		dst = xmlAttrWord(dst, ` close_reason="`, e.CloseReason().String())
	}
	if id, ok := v.appendCommunity(append(dst, ` community_id="`...)); ok {
		dst = v.note(append(id, '"'), slotCommunity)
	}
	if e.Dump != nil {
		dst = xmlDump(dst, v)
	}
	if v.got(flow.HasInterval) {
		dst = v.note(xmlAttr(dst, ` interval_ns="`, notNegative(e.Interval)), slotInterval)
	}
	if v.got(flow.HasSynthetic) {
		dst = xmlAttrBool(dst, ` synthetic="`, e.Synthetic)
	}
	if v.got(flow.HasSince) {
		dst = x.time(dst, ` since="`, e.Since)
	}
	if v.got(flow.HasUntil) {
		dst = x.time(dst, ` until="`, e.Until)
	}
	return dst
}

func xmlDump(dst []byte, v *view) []byte {
	d := v.e.Dump
	if v.shows(partDumpID) {
		dst = v.note(xmlAttrID(dst, ` dump_id="`, d.ID), slotDumpID)
	}
	if v.shows(partDumpReason) {
		dst = xmlAttrWord(dst, ` dump_reason="`, dumpReasons[dumpReason(d.Reason)])
	}
	if v.e.Type == flow.TypeDumpEnd && v.shows(partDumpCount) {
		dst = xmlAttr(dst, ` dump_count="`, d.Count)
	}
	if v.e.Type == flow.TypeDumpEnd && v.shows(partDumpComplete) {
		dst = xmlAttrBool(dst, ` dump_complete="`, d.Complete)
	}
	if d.CountersReset && v.shows(partCountersReset) {
		dst = xmlAttrBool(dst, ` counters_reset="`, true)
	}
	return dst
}

func (x *xmlEncoder) time(dst []byte, name string, ns int64) []byte {
	return append(x.clock.appendTime(append(dst, name...), ns), '"')
}

// gap writes a loss.
func (x *xmlEncoder) gap(dst []byte, g *flow.Gap) []byte {
	dst = append(dst, `<loss`...)
	dst = xmlAttrTextIf(dst, ` scope="`, g.Scope)
	dst = xmlAttrTextIf(dst, ` source="`, g.Source)
	dst = xmlAttrTextIf(dst, ` sink="`, g.Sink)
	dst = xmlAttrTextIf(dst, ` reason="`, g.Reason)
	if g.Lost != nil {
		dst = xmlAttr(dst, ` lost="`, *g.Lost)
	}
	if g.LostMax != nil {
		dst = xmlAttr(dst, ` lost_max="`, *g.LostMax)
	}
	if g.Since != 0 {
		dst = x.time(dst, ` since="`, g.Since)
	}
	dst = x.time(dst, ` until="`, g.Until)
	return append(dst, `/>`...)
}
