package encode

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// TestDecodersNameTheField changes one value of a good record into a bad one.
func TestDecodersNameTheField(t *testing.T) {
	for _, c := range []struct{ format, event, old, new, want string }{
		{"json", "tcp_destroy", `"seq":41`, `"seq":"41"`, "seq: is text, want an integer from 0 to 18446744073709551615"},
		{"json", "tcp_destroy", `"seq":41`, `"seq":4.1`, "seq: is 4.1, want an integer from 0 to 18446744073709551615"},
		{"json", "tcp_destroy", `"seq":41`, `"seq":null`, "seq: is null, want an integer"},
		{"json", "tcp_destroy", `"seq":41`, `"seq":{}`, "seq: is an object, want an integer"},
		{"json", "tcp_destroy", `"sport":40000`, `"sport":65536`, "orig.sport: is 65536, want an integer from 0 to 65535"},
		{"json", "tcp_destroy", `"src":"10.0.0.1"`, `"src":"10.0.0.1%eth0"`, `orig.src: is "10.0.0.1%eth0", want an IP address without a zone`},
		{"json", "tcp_destroy", `"src":"10.0.0.1"`, `"src":"fe80::1%1"`, `orig.src: is "fe80::1%1", want an IP address without a zone`},
		{"json", "tcp_destroy", `"src":"10.0.0.1"`, `"src":"::1"`, `orig.dst: is of another family than the tuple's other address`},
		{"json", "tcp_destroy", `"src":"10.0.0.1"`, `"src":7`, `orig.src: is a number, want an IP address`},
		{"json", "tcp_destroy", `"flow_id":"00c0`, `"flow_id":"0c0`, `flow_id: is "0c0ffee12345678", want 16 hexadecimal digits`},
		{"json", "tcp_destroy", `8d1f2a00-0102`, `8d1f2a0000102`, `boot_id: is "8d1f2a0000102-4f03-9abc-040506070809", want a UUID`},
		{"json", "tcp_destroy", `"run":"00`, `"run":"0g`, `run: is "0g0102030405060708090a0b0c0d0eff", want 32 hexadecimal digits`},
		{"json", "tcp_destroy", `"time":"2026`, `"time":"9999`, `time: is "9999-11-22T19:13:40.000000007Z", want a time from`},
		{"json", "tcp_destroy", `"time":"2026`, `"time":"x026`, `time: is "x026-11-22T19:13:40.000000007Z", want an RFC 3339 time`},
		{"json", "tcp_destroy", `"status":[`, `"status":[4,`, `status: is a number, want a list of words`},
		{"json", "tcp_destroy", `"status":[`, `"status":true,"x":[`, `status: is true or false, want a list`},
		{"json", "tcp_destroy", `"tcp":{`, `"tcp":[{}],"x":{`, `tcp: is a list, want an object`},
		{"json", "tcp_destroy", `"node":"edge-1"`, `"node":true`, `node: is true or false, want text`},
		{"json", "tcp_destroy", `"role":"cgnat"`, `"role":["cgnat"]`, `meta.role: is a list, want text`},
		{"json", "tcp_destroy", `ctferry.v1`, `ctferry.v2`, `schema: is "ctferry.v2", want "ctferry.v1"`},
		{"json", "tcp_destroy", `"destroy"`, `"renew"`, `event_type: is absent or unknown`},
		{"json", "tcp_destroy", `}`, ``, `record: `},
		{"json", "synthetic", `"synthetic":true`, `"synthetic":1`, `synthetic: is a number, want true or false`},
		{"json", "synthetic", `}`, `}{}`, `record: goes on behind its object`},
		{"json", "status", `"steps":2`, `"steps":-2`, `agent.clock.steps: is -2, want an integer from 0`},
		{"json", "status", `"acct":1`, `"acct":1.5`, `agent.acct: is 1.5, want an integer`},
		{"json", "status", `"entries":12`, `"entries":4294967296`, `agent.tables.entries: is 4294967296, want an integer from 0 to 4294967295`},
		{"json", "status", `"warnings":[`, `"warnings":[0,`, `agent.warnings: is a number, want text`},
		{"xml", "tcp_destroy", ` seq="41"`, ` seq="4x"`, `seq: is 4x, want an integer`},
		{"xml", "tcp_destroy", `<sport>40000`, `<sport>65536`, `orig.sport: is 65536, want an integer from 0 to 65535`},
		{"xml", "tcp_destroy", `<src>10.0.0.1`, `<src>10.0.0.`, `orig.src: is "10.0.0.", want an IP address`},
		{"xml", "tcp_destroy", ` raw="526"`, ` raw="-1"`, `status_raw: is -1, want an integer`},
		{"xml", "tcp_destroy", ` state_raw="7"`, ` state_raw="256"`, `tcp.state_raw: is 256, want an integer from 0 to 255`},
		{"xml", "tcp_destroy", `<start>`, `<start>x`, `start: is x1795374759000000007, want an integer`},
		{"xml", "tcp_destroy", `</flow>`, ``, `record: XML syntax error`},
		{"xml", "tcp_destroy", `</flow>`, `</flow><flow/>`, `record: goes on behind its element`},
		{"xml", "tcp_destroy", `</flow>`, `</flow>!`, `record: goes on behind its element`},
		{"xml", "tcp_destroy", `<flow `, `<row `, `record: is no flow, expect, gap or status element`},
		{"xml", "gre", `0x10`, `0xg10`, `orig.srckey: is 0xg10, want an integer`},
		{"xml", "status", ` synced="true"`, ` synced="maybe"`, `agent.clock.synced: is "maybe", want true or false`},
		{"xml", "expect", `<class>0`, `<class>-`, `expect.class: is -, want an integer`},
		{"xml", "expect", `<dport>10001`, `<dport>99999`, `expect.mask.dport: is 99999, want`},
	} {
		format := Formats()[c.format]
		good := format.NewEncoder(Projection{}).Append(nil, oneOf(t, c.event))
		at := bytes.Index(good, []byte(c.old))
		if c.new == "" || strings.HasPrefix(c.new, c.old) {
			at = bytes.LastIndex(good, []byte(c.old))
		}
		if at < 0 {
			t.Fatalf("%s is not in %s", c.old, good)
		}
		bad := append(append(append([]byte{}, good[:at]...), c.new...), good[at+len(c.old):]...)
		refused(t, format, bad, c.want)
	}
}

// refused decodes a bad record and looks at what is left in the batch.
func refused(t *testing.T, format Format, bad []byte, want string) {
	t.Helper()
	b := flow.NewBatch(2)
	soil(b)
	newEvent(b, fillExpect)
	err := format.NewDecoder().Decode(b, bad)
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%s: %v, want %s", format.Name, err, want)
	}
	if b.Len() != 1 || b.Free() != 1 {
		t.Errorf("%s: the batch holds %d events and room for %d after %v", format.Name, b.Len(), b.Free(), err)
	}
	// The side slots must be as they were too.
	e := b.Next()
	if x := b.ExtraFor(e); x == b.Events()[0].Extra {
		t.Errorf("%s: a side slot was given back that is in use", format.Name)
	}
}

func TestProtobufDecoderNamesTheField(t *testing.T) {
	format := Formats()["protobuf"]
	good := format.NewEncoder(Projection{}).Append(nil, oneOf(t, "tcp_destroy"))
	for bad, want := range map[string]string{
		"\x09aaaaaaaa":                     "event_type: has wire type 1, want 0",
		"\x10\x01":                         "time: has wire type 0, want 1",
		"\x1a\x01\xff":                     "node: is not UTF-8",
		"\x2a\x05\x0a\x03abc":              "orig.src: has 3 bytes, want 4 or 16",
		"\x2a\x04\x18\x80\x80\x04":         "orig.sport: is 65536, want an integer from 0 to 65535",
		"\x2a\x04\x18":                     "orig: unexpected EOF",
		"\x5a\x01a":                        "run: has 1 bytes, want 16",
		"\x18\x01":                         "node: has wire type 0, want 2",
		"\x00":                             "record: ",
		"\x0d":                             "event_type: has wire type 5, want 0",
		"\xa2\x01\x03\x0a\x01\xff":         "meta: is not UTF-8",
		"\xc2\x01\x01\x80":                 "status: unexpected EOF",
		"\xfa\x3f\x05a":                    "record: unexpected EOF",
		"\x2a\x12\x12\x10aaaaaaaaaaaaaaaa": "orig.dst: is of another family",
	} {
		refused(t, format, append(bytes.Clone(good), bad...), want)
	}
	refused(t, format, nil, `schema: is "", want "ctferry.v1"`)
}

func TestDecodersAreBounded(t *testing.T) {
	many := "{\"schema\":\"ctferry.v1\",\"event_type\":\"new\",\"meta\":{"
	for i := range flow.MaxMeta + 1 {
		many += fmt.Sprintf("%q:\"\",", fmt.Sprint(i))
	}
	refused(t, Formats()["json"], []byte(strings.TrimSuffix(many, ",")+"}}"), "meta: holds more than 16 strings")
	for _, format := range Formats() {
		refused(t, format, make([]byte, MaxRecord+1), "record: 4194305 bytes, at most 4194304 are read")
		full := flow.NewBatch(0)
		if err := format.NewDecoder().Decode(full, nil); err == nil || err.Error() != "record: the batch has no room" {
			t.Errorf("%s: %v", format.Name, err)
		}
	}
	deep := `{"schema":"ctferry.v1","event_type":"new","x":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + "}"
	if err := Formats()["json"].NewDecoder().Decode(flow.NewBatch(1), []byte(deep)); err != nil {
		t.Errorf("a deep unknown value: %v", err)
	}
	deep = `<flow schema="ctferry.v1" type="new"><x>` + strings.Repeat("<a>", 1<<17) + strings.Repeat("</a>", 1<<17) + "</x></flow>"
	if err := Formats()["xml"].NewDecoder().Decode(flow.NewBatch(1), []byte(deep)); err != nil {
		t.Errorf("a deep unknown element: %v", err)
	}
}

// TestDecodersIgnoreWhatIsNew reads records of a later version.
func TestDecodersIgnoreWhatIsNew(t *testing.T) {
	js := Formats()["json"].NewEncoder(Projection{})
	want := js.Append(nil, oneOf(t, "tcp_destroy"))
	for _, c := range []struct{ format, old, new string }{
		{"json", `"seq":`, `"colour":{"red":[1,{"a":null}]},"seq":`},
		{"json", `"sport":`, `"colour":[[]],"sport":`},
		{"json", `"state":"TIME_WAIT"`, `"state":"ASLEEP"`},
		{"json", `"status":[`, `"status":["FANCY",`},
		{"json", `,"`, " ,\n\t\""},
		{"xml", ` seq=`, ` colour="red" seq=`},
		{"xml", `<sport>`, `<colour><red/>x</colour><sport>`},
		{"xml", `<meta direction="reply">`, `<!-- hm --><meta direction="up"><src>x</src></meta><?pi?><colour/><meta direction="reply">`},
		{"xml", `state="TIME_WAIT"`, `state="ASLEEP"`},
		{"xml", `SEEN_REPLY ASSURED`, "SEEN_REPLY\n FANCY ASSURED"},
		{"xml", `<counters>`, " <counters > "},
	} {
		record := Formats()[c.format].NewEncoder(Projection{}).Append(nil, oneOf(t, "tcp_destroy"))
		changed := bytes.ReplaceAll(record, []byte(c.old), []byte(c.new))
		if bytes.Equal(record, changed) {
			t.Fatalf("%s is not in %s", c.old, record)
		}
		if got := pass(t, c.format, "json", changed); !bytes.Equal(got, want) {
			t.Errorf("%s\n got %s\nwant %s", c.new, got, want)
		}
	}
	pb := Formats()["protobuf"].NewEncoder(Projection{}).Append(nil, oneOf(t, "tcp_destroy"))
	for _, more := range []string{
		"\xfa\x3f\x01a", "\xf8\x3f\x05", "\xfb\x3f\xfc\x3f", // unknown fields: bytes, varint, an empty group
		"\x7a\x02\x08\x63",             // a state of a later version
		"\xc0\x01\x63", "\xc2\x01\x00", // a status bit of a later version, not packed; an empty list
		"\x2a\x00", "\x2a\x02\x0a\x00", "\xaa\x01\x00", // a message in pieces; empty bytes
	} {
		if got := pass(t, "protobuf", "json", append(bytes.Clone(pb), more...)); !bytes.Equal(got, want) {
			t.Errorf("%x\n got %s\nwant %s", more, got, want)
		}
	}
}

// TestDecodedEventsAreTheEvents compares events, not bytes: every value that
// an event holds comes back.
func TestDecodedEventsAreTheEvents(t *testing.T) {
	for _, s := range corpus() {
		if s.name == "hostile" {
			continue
		}
		want := newEvent(flow.NewBatch(1), s.fill)
		for name, format := range Formats() {
			b := flow.NewBatch(1)
			if err := format.NewDecoder().Decode(b, format.NewEncoder(Projection{}).Append(nil, want)); err != nil {
				t.Fatal(err)
			}
			got := &b.Events()[0]
			origin := *want.Origin
			origin.Cookie = 0 // no part of the record
			want.Origin = &origin
			sameEvent(t, name+": "+s.name, present(got), present(want))
		}
	}
}

// present is a copy of an event with nothing in it but what its bits guard.
func present(e *flow.Event) *flow.Event {
	o := &flow.Event{
		Has: e.Has, Type: e.Type, Table: e.Table, Family: e.Family, TimeSource: e.TimeSource, Seq: e.Seq, Time: e.Time,
		Origin: e.Origin, Dump: e.Dump, Gap: e.Gap, Agent: e.Agent,
	}
	in, out := reflect.ValueOf(e).Elem(), reflect.ValueOf(o).Elem()
	for name, bit := range map[string]flow.Has{
		"Proto": flow.HasOrig, "Status": flow.HasStatus, "Timeout": flow.HasTimeout, "Mark": flow.HasMark, "Zone": flow.HasZone,
		"Use": flow.HasUse, "ID": flow.HasID, "FlowID": flow.HasFlowID, "OrigCounters": flow.HasOrigCounters,
		"ReplyCounters": flow.HasReplyCounters, "OrigDeltas": flow.HasOrigDeltas, "ReplyDeltas": flow.HasReplyDeltas,
		"Start": flow.HasStart, "Stop": flow.HasStop, "Received": flow.HasReceived, "Labels": flow.HasLabels,
		"PortID": flow.HasPortID, "TCP": flow.HasTCPState, "SCTP": flow.HasSCTPState, "DCCP": flow.HasDCCPState,
		"Interval": flow.HasInterval, "Since": flow.HasSince, "Until": flow.HasUntil, "Synthetic": flow.HasSynthetic,
	} {
		if e.Got(bit) {
			out.FieldByName(name).Set(in.FieldByName(name))
		}
	}
	o.Orig, o.Reply = presentTuple(&e.Orig), presentTuple(&e.Reply)
	if e.Extra == nil {
		return o
	}
	x := *e.Extra
	x.Master = presentTuple(&x.Master)
	for _, part := range expectParts {
		t := part.of(&x.Expect)
		*t = presentTuple(t)
	}
	o.Extra = &x
	return o
}

func presentTuple(t *flow.Tuple) flow.Tuple {
	if t.Has == 0 {
		return flow.Tuple{}
	}
	o := flow.Tuple{Has: t.Has}
	if t.Has&flow.HasAddrs != 0 {
		o.Family = t.Family // one without addresses is of the record's
	}
	in, out := reflect.ValueOf(t).Elem(), reflect.ValueOf(&o).Elem()
	for name, bit := range map[string]flow.TupleHas{
		"Proto": flow.HasProto, "ICMPType": flow.HasICMPType, "ICMPCode": flow.HasICMPCode, "SrcPort": flow.HasSrcPort,
		"DstPort": flow.HasDstPort, "ICMPID": flow.HasICMPID, "Zone": flow.HasTupleZone, "Src": flow.HasSrc, "Dst": flow.HasDst,
	} {
		if t.Got(bit) {
			out.FieldByName(name).Set(in.FieldByName(name))
		}
	}
	return o
}

func sameEvent(t *testing.T, name string, got, want *flow.Event) {
	t.Helper()
	a, b := reflect.ValueOf(*got), reflect.ValueOf(*want)
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			t.Errorf("%s: %s\n got %+v\nwant %+v", name, a.Type().Field(i).Name, a.Field(i), b.Field(i))
		}
	}
}

func TestOriginsAreShared(t *testing.T) {
	for name, format := range Formats() {
		dec, enc := format.NewDecoder(), format.NewEncoder(Projection{})
		first := map[byte]*flow.Origin{}
		for round := range 2 {
			for i := range byte(maxOrigins + 10) {
				b := flow.NewBatch(1)
				e := newEvent(b, fillTCP)
				e.Origin = &flow.Origin{Node: "n", Run: [16]byte{i}}
				record := enc.Append(nil, e)
				b.Reset()
				if err := dec.Decode(b, record); err != nil {
					t.Fatal(err)
				}
				o := b.Events()[0].Origin
				if o.Run[0] != i {
					t.Fatalf("%s: origin %d is %d", name, i, o.Run[0])
				}
				if round == 0 {
					first[i] = o
				}
			}
		}
		if len(first) != maxOrigins+10 {
			t.Errorf("%s: %d origins", name, len(first))
		}
	}
}
