package encode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// object is a record as encoding/json sees it, built apart from the encoder.
type object map[string]any

// put keeps v under name if it is present.
func (o object) put(present bool, name string, v any) {
	if present {
		o[name] = v
	}
}

func stamp(ns int64) string {
	return time.Unix(ns/1e9, ns%1e9).UTC().Format("2006-01-02T15:04:05.000000000Z")
}

func id64(v uint64) string { return fmt.Sprintf("%016x", v) }

// wantRecord is what DESIGN's table says of an event.
func wantRecord(e *flow.Event) object {
	o := object{
		"schema": "ctferry.v1", "event_type": e.Type.String(), "time": stamp(e.Time), "node": e.Origin.Node,
		"run": fmt.Sprintf("%x", e.Origin.Run[:]), "seq": e.Seq,
	}
	o.put(e.Table != 0, "table", e.Table.String())
	o.put(e.TimeSource != 0, "time_source", e.TimeSource.String())
	o.put(e.Got(flow.HasReceived), "received", stamp(e.Received))
	o.put(e.Origin.NetNS != "", "netns", e.Origin.NetNS)
	meta := object{}
	for _, m := range e.Origin.Meta {
		meta[m.Key] = m.Value
	}
	o.put(len(meta) > 0, "meta", meta)
	b := e.Origin.BootID
	o.put(b != [16]byte{}, "boot_id", fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
	wantEntry(e, o)
	wantValues(e, o)
	if e.Extra != nil {
		wantExtra(e, o)
	}
	if d := e.Dump; d != nil {
		o["dump_id"] = id64(d.ID)
		o.put(d.Reason != "", "dump_reason", d.Reason)
		o.put(d.CountersReset, "counters_reset", true)
		o.put(e.Type == flow.TypeDumpEnd, "dump_count", d.Count)
		o.put(e.Type == flow.TypeDumpEnd, "dump_complete", d.Complete)
	}
	if g := e.Gap; g != nil {
		gap := object{"until": stamp(g.Until)}
		gap.put(g.Since != 0, "since", stamp(g.Since))
		gap.put(g.Scope != "", "scope", g.Scope)
		gap.put(g.Source != "", "source", g.Source)
		gap.put(g.Sink != "", "sink", g.Sink)
		gap.put(g.Reason != "", "reason", g.Reason)
		gap.put(g.Lost != nil, "lost", g.Lost)
		gap.put(g.LostMax != nil, "lost_max", g.LostMax)
		o["gap"] = gap
	}
	if e.Agent != nil {
		o["agent"] = wantAgent(e.Agent)
	}
	return o
}

func wantEntry(e *flow.Event, o object) {
	o.put(e.Got(flow.HasID), "id", e.ID)
	o.put(e.Got(flow.HasFlowID), "flow_id", id64(e.FlowID))
	o.put(e.Family != 0, "family", e.Family.String())
	o.put(e.Got(flow.HasOrig) && flow.ProtoName(e.Proto) != "", "proto", flow.ProtoName(e.Proto))
	o.put(e.Got(flow.HasOrig), "proto_num", e.Proto)
	for _, side := range []struct {
		name     string
		t        *flow.Tuple
		bit      flow.Has
		c, d     flow.Counters
		cBit, dB flow.Has
	}{
		{"orig", &e.Orig, flow.HasOrig, e.OrigCounters, e.OrigDeltas, flow.HasOrigCounters, flow.HasOrigDeltas},
		{"reply", &e.Reply, flow.HasReply, e.ReplyCounters, e.ReplyDeltas, flow.HasReplyCounters, flow.HasReplyDeltas},
	} {
		t := object{}
		if e.Got(side.bit) {
			t = wantTuple(side.t, !e.Got(flow.HasOrig))
		}
		t.put(e.Got(side.cBit), "packets", side.c.Packets)
		t.put(e.Got(side.cBit), "bytes", side.c.Bytes)
		t.put(e.Got(side.dB), "packets_delta", side.d.Packets)
		t.put(e.Got(side.dB), "bytes_delta", side.d.Bytes)
		o.put(len(t) > 0, side.name, t)
	}
	if n, ok := e.NAT(); ok {
		nat := object{"type": n.Kind.String(), "src": n.Src.In(e.Reply.Family).String(), "dst": n.Dst.In(e.Reply.Family).String()}
		nat.put(n.Ports, "sport", n.SrcPort)
		nat.put(n.Ports, "dport", n.DstPort)
		nat.put(n.IPFIXEvent != 0, "ipfix_event", n.IPFIXEvent)
		o["nat"] = nat
	}
	o.put(e.Got(flow.HasStatus), "status", words(e.Status, flow.StatusName))
	o.put(e.Got(flow.HasStatus), "status_raw", e.Status)
}

func words(set uint32, nameOf func(int) string) []string {
	list := []string{}
	for n := range 32 {
		if set>>n&1 == 1 && nameOf(n) != "" {
			list = append(list, nameOf(n))
		}
	}
	return list
}

func wantTuple(t *flow.Tuple, own bool) object {
	o := object{}
	o.put(t.Got(flow.HasSrc), "src", t.SrcAddr().String())
	o.put(t.Got(flow.HasDst), "dst", t.DstAddr().String())
	sport, dport := "sport", "dport"
	if t.Got(flow.HasProto) && t.Proto == flow.ProtoGRE {
		sport, dport = "srckey", "dstkey"
	}
	o.put(t.Got(flow.HasSrcPort), sport, t.SrcPort)
	o.put(t.Got(flow.HasDstPort), dport, t.DstPort)
	o.put(t.Got(flow.HasICMPType), "icmp_type", t.ICMPType)
	o.put(t.Got(flow.HasICMPCode), "icmp_code", t.ICMPCode)
	o.put(t.Got(flow.HasICMPID), "icmp_id", t.ICMPID)
	o.put(t.Got(flow.HasTupleZone), "zone", t.Zone)
	o.put(t.Got(flow.HasProto) && own, "proto_num", t.Proto)
	return o
}

func wantState(o object, present bool, word, name string, raw uint8) {
	o.put(present && name != "", word, name)
	o.put(present, word+"_raw", raw)
}

func wantValues(e *flow.Event, o object) {
	tcp, sctp, dccp := object{}, object{}, object{}
	wantState(tcp, e.Got(flow.HasTCPState), "state", flow.TCPStateName(e.TCP.State), e.TCP.State)
	tcp.put(e.Got(flow.HasTCPWScaleOrig), "wscale_orig", e.TCP.WScaleOrig)
	tcp.put(e.Got(flow.HasTCPWScaleReply), "wscale_reply", e.TCP.WScaleReply)
	tcp.put(e.Got(flow.HasTCPFlagsOrig), "flags_orig", e.TCP.FlagsOrig)
	tcp.put(e.Got(flow.HasTCPFlagsReply), "flags_reply", e.TCP.FlagsReply)
	wantState(sctp, e.Got(flow.HasSCTPState), "state", flow.SCTPStateName(e.SCTP.State), e.SCTP.State)
	sctp.put(e.Got(flow.HasSCTPVTagOrig), "vtag_orig", e.SCTP.VTagOrig)
	sctp.put(e.Got(flow.HasSCTPVTagReply), "vtag_reply", e.SCTP.VTagReply)
	wantState(dccp, e.Got(flow.HasDCCPState), "state", flow.DCCPStateName(e.DCCP.State), e.DCCP.State)
	wantState(dccp, e.Got(flow.HasDCCPRole), "role", flow.DCCPRoleName(e.DCCP.Role), e.DCCP.Role)
	dccp.put(e.Got(flow.HasDCCPSeq), "handshake_seq", e.DCCP.HandshakeSeq)
	o.put(len(tcp) > 0, "tcp", tcp)
	o.put(len(sctp) > 0, "sctp", sctp)
	o.put(len(dccp) > 0, "dccp", dccp)
	o.put(e.Got(flow.HasTimeout), "timeout", e.Timeout)
	o.put(e.Got(flow.HasMark), "mark", e.Mark)
	o.put(e.Got(flow.HasZone), "zone", e.Zone)
	o.put(e.Got(flow.HasUse), "use", e.Use)
	o.put(e.Got(flow.HasPortID), "portid", e.PortID)
	o.put(e.Got(flow.HasLabels), "ct_labels_raw", fmt.Sprintf("%x", e.Labels[:]))
	o.put(e.Got(flow.HasStart), "start", stamp(e.Start))
	o.put(e.Got(flow.HasStop), "stop", stamp(e.Stop))
	o.put(e.Got(flow.HasStart|flow.HasStop) && e.Start <= e.Stop, "duration_ns", uint64(e.Stop)-uint64(e.Start))
	o.put(e.CloseReason() != 0, "close_reason", e.CloseReason().String())
	o.put(e.Got(flow.HasInterval), "interval_ns", e.Interval)
	o.put(e.Got(flow.HasSynthetic), "synthetic", e.Synthetic)
	o.put(e.Got(flow.HasSince), "since", stamp(e.Since))
	o.put(e.Got(flow.HasUntil), "until", stamp(e.Until))
}

func wantSeqAdj(s flow.SeqAdj) object {
	return object{"correction_pos": s.CorrectionPos, "offset_before": s.OffsetBefore, "offset_after": s.OffsetAfter}
}

func wantExtra(e *flow.Event, o object) {
	x := e.Extra
	o.put(e.Got(flow.HasLabelNames) && len(x.LabelNames) > 0, "ct_labels", x.LabelNames)
	o.put(e.Got(flow.HasSecCtx), "secctx", x.SecCtx)
	o.put(e.Got(flow.HasHelper), "helper", x.Helper)
	o.put(e.Got(flow.HasProgName), "progname", x.ProgName)
	o.put(e.Got(flow.HasMaster), "master", wantTuple(&x.Master, true))
	o.put(e.Got(flow.HasMasterFlowID), "master_flow_id", id64(x.MasterFlowID))
	seqadj := object{}
	seqadj.put(e.Got(flow.HasOrigSeqAdj), "orig", wantSeqAdj(x.OrigSeqAdj))
	seqadj.put(e.Got(flow.HasReplySeqAdj), "reply", wantSeqAdj(x.ReplySeqAdj))
	o.put(len(seqadj) > 0, "seqadj", seqadj)
	o.put(e.Got(flow.HasSynProxy), "synproxy", object{"isn": x.SynProxy.ISN, "its": x.SynProxy.ITS, "tsoff": x.SynProxy.TSOff})
	p := &x.Expect
	if !e.Got(flow.HasExpect) {
		return
	}
	expect := object{}
	expect.put(p.Got(flow.HasExpectID), "id", p.ID)
	expect.put(p.Got(flow.HasExpectTuple), "tuple", wantTuple(&p.Tuple, true))
	expect.put(p.Got(flow.HasExpectMask), "mask", wantTuple(&p.Mask, true))
	expect.put(p.Got(flow.HasExpectMaster), "master", wantTuple(&p.Master, true))
	expect.put(p.Got(flow.HasExpectTimeout), "timeout", p.Timeout)
	expect.put(p.Got(flow.HasExpectHelper), "helper", p.Helper)
	expect.put(p.Got(flow.HasExpectClass), "class", p.Class)
	expect.put(p.Got(flow.HasExpectFlags), "flags", words(p.Flags, flow.ExpectFlagName))
	expect.put(p.Got(flow.HasExpectFlags), "flags_raw", p.Flags)
	expect.put(p.Got(flow.HasExpectZone), "zone", p.Zone)
	expect.put(p.Got(flow.HasExpectNAT), "nat", object{"dir": []string{"original", "reply"}[p.NATDir&1], "tuple": wantTuple(&p.NAT, true)})
	expect.put(p.Got(flow.HasExpectFn), "fn", p.Fn)
	o["expect"] = expect
}

// plain is v as encoding/json writes and reads it.
func plain(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, text)
}

func parse(t testing.TB, text []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v\n%q", err, text)
	}
	if _, err := dec.Token(); err != io.EOF {
		t.Fatalf("goes on behind the object\n%q", text)
	}
	return v
}

func sameAsEncodingJSON(t *testing.T, name string, e *flow.Event) {
	t.Helper()
	text := Formats()["json"].NewEncoder(Projection{}).Append(nil, e)
	got, want := parse(t, text), plain(t, wantRecord(e))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n got %v\nwant %v", name, got, want)
	}
	if bytes.ContainsAny(text, "\n\r") {
		t.Errorf("%s: the record is no line: %q", name, text)
	}
}

func TestJSONIsWhatEncodingJSONWouldWrite(t *testing.T) {
	for _, s := range corpus() {
		sameAsEncodingJSON(t, s.name, oneOf(t, s.name))
	}
	for seed := range uint64(500) {
		sameAsEncodingJSON(t, fmt.Sprint("seed ", seed), randomEvent(seed))
	}
}

// TestJSONOrder holds the members to the order that readers see.
func TestJSONOrder(t *testing.T) {
	const order = "schema event_type table time time_source received node netns meta boot_id run seq id flow_id family proto proto_num " +
		"orig reply nat status status_raw tcp sctp dccp timeout mark zone ct_labels ct_labels_raw secctx helper use master " +
		"master_flow_id seqadj synproxy portid progname start stop duration_ns close_reason community_id dump_id dump_reason " +
		"dump_count dump_complete counters_reset interval_ns expect gap agent synthetic since until"
	p, err := NewProjection(nil, nil, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := oneOf(t, "everything")
	e.Type = flow.TypeDestroy
	names := topNames(t, Formats()["json"].NewEncoder(p).Append(nil, e))
	want := slices.DeleteFunc(strings.Fields(order), func(s string) bool { return s == "dump_count" || s == "dump_complete" })
	if !slices.Equal(names, want) {
		t.Errorf("got  %v\nwant %v", names, want)
	}
	if len(strings.Fields(order)) != len(recordMembers) {
		t.Errorf("the order has %d names, the record %d", len(strings.Fields(order)), len(recordMembers))
	}
}

// topNames lists an object's own names in their order.
func topNames(t *testing.T, text []byte) []string {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name.(string))
		var skip any
		if err := dec.Decode(&skip); err != nil {
			t.Fatal(err)
		}
	}
	return names
}
