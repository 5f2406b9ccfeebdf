package control

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// goodRequests are requests as people write them, one a verb at least.
var goodRequests = []string{
	`{"v":1,"request":"a-1","issued_at":"2026-01-02T15:04:05.5Z","timeout":"30s","verb":"list","table":"conntrack","netns":"blue","family":"ipv4","filter":{"proto":"tcp"},"limit":10,"format":"protobuf"}`,
	`{"v":1,"verb":"list","table":"dying"}`,
	`{"v":1,"verb":"list","table":"expect","filter":{"include":[{"helper":"ftp"}],"exclude":[{"addr":["10.0.0.0/8","::1"]}]}}`,
	`{"v":1,"verb":"get","table":"conntrack","keys":[{"family":"ipv4","proto":"tcp","orig":{"src":"10.0.0.1","dst":"10.0.0.2","sport":1,"dport":2},"zone":7,"id":4000000000}]}`,
	`{"v":1,"verb":"get","table":"conntrack","keys":[{"proto":1,"reply":{"src":"10.0.0.1","dst":"10.0.0.2","icmp_type":0,"icmp_code":0,"icmp_id":9,"zone":3}},{"proto":"gre","orig":{"src":"::1","dst":"::2","srckey":1,"dstkey":2}}]}`,
	`{"v":1,"verb":"get","table":"expect","keys":[{"proto":"tcp","tuple":{"src":"10.0.0.1","dst":"10.0.0.2","sport":0,"dport":2}}]}`,
	`{"v":1,"verb":"count","table":"conntrack","family":"ipv6"}`,
	`{"v":1,"verb":"stats","table":"expect"}`,
	`{"v":1,"verb":"watch","table":"conntrack","types":["new","destroy"],"buffer":1048576,"filter":{"mark":"0x1/0xff"}}`,
	`{"v":1,"verb":"delete","table":"conntrack","filter":{"orig_src":"10.0.0.0/8"},"limit":5,"dry_run":true,"rows":true}`,
	`{"v":1,"verb":"update","table":"conntrack","filter":{"proto":"tcp"},"change":{"timeout":60,"mark":"0x1/0xff","status":["ASSURED","SEEN_REPLY"],"helper":"","tcp_state":"ESTABLISHED","label_add":[1,127],"label_del":"all"}}`,
	`{"v":1,"verb":"update","table":"conntrack","filter":{"proto":"sctp"},"change":{"mark":7,"sctp_state":"SHUTDOWN_SENT","orig_vtag":1,"reply_vtag":4294967295}}`,
	`{"v":1,"verb":"update","table":"conntrack","filter":{"proto":"dccp"},"change":{"dccp_state":"OPEN","role":"SERVER"}}`,
	`{"v":1,"verb":"create","table":"conntrack","replace":true,"entries":[{"proto":"tcp","orig":{"src":"10.0.0.1","dst":"10.0.0.2","sport":1,"dport":2},"timeout":60,"status":["ASSURED"],"src_nat":{"addr":"192.0.2.1-192.0.2.9","port":"1024-2047"},"dst_nat":{"port":80}}]}`,
	`{"v":1,"verb":"create","table":"expect","entries":[{"proto":"tcp","expect":{"tuple":{"src":"10.0.0.1","dst":"10.0.0.2","sport":0,"dport":9},"mask":{"src":"255.255.255.255","dst":"255.255.255.255","sport":0,"dport":65535},"master":{"src":"10.0.0.1","dst":"10.0.0.2","sport":1,"dport":21},"timeout":60}}]}`,
	`{"v":1,"verb":"flush","table":"conntrack","family":"ipv4","dry_run":true}`,
	`{"v":1,"verb":"flush","table":"expect","helper":"ftp"}`,
	`{"v":1,"verb":"zero","table":"conntrack","filter":{"zone":0},"limit":3,"dry_run":true}`,
	`{"v":1}`,
}

// TestRequestJSON reads good requests, which Validate takes, and writes and
// reads them again.
func TestRequestJSON(t *testing.T) {
	for _, text := range goodRequests {
		q, err := DecodeRequest([]byte(text), nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if err := q.Validate(); err != nil && q.Verb != "" {
			t.Errorf("%s: %v", text, err)
		}
		again(t, q)
	}
}

// again writes the request and reads it again.
func again(t *testing.T, q *Request) {
	t.Helper()
	b, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	r, err := DecodeRequest(b, nil)
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	c, err := json.Marshal(r)
	if err != nil || string(c) != string(b) {
		t.Fatalf("became\n%s, was\n%s (%v)", c, b, err)
	}
	if !q.IssuedAt.Equal(r.IssuedAt) || !q.Filter.Equal(r.Filter) {
		t.Errorf("%s: %v and %v, %v and %v", b, q.IssuedAt, r.IssuedAt, q.Filter, r.Filter)
	}
	bare := func(q *Request) Request {
		c := *q
		c.Filter, c.IssuedAt, c.Entries = nil, time.Time{}, nil // entries hold what presence bits hide
		return c
	}
	if a, b := bare(q), bare(r); !reflect.DeepEqual(a, b) {
		t.Errorf("%+v is not %+v", a, b)
	}
}

// badRequests are refused by the path of what is wrong.
var badRequests = []struct{ text, field, says string }{
	{`[]`, "", "expected an object"},
	{`{"v":1`, "", "at byte"},
	{"{\"v\":1,\"netns\":\"\xff\"}", "", "UTF-8"},
	{`{}`, "v", "expected 1"},
	{`{"v":2}`, "v", "expected 1"},
	{`{"v":1,"vreb":"list"}`, "vreb", "no such field; expected one of v, request"},
	{`{"v":1,"limit":1,"limit":2}`, "limit", "comes twice"},
	{`{"v":1,"filter":{"proto":"tcp","proto":"udp"}}`, "filter.proto", "comes twice"},
	{`{"v":1,"limit":null}`, "limit", "null"},
	{`{"v":1,"limit":"5"}`, "limit", "expected a whole number from 0"},
	{`{"v":1,"limit":1e3}`, "limit", "not 1e3"},
	{`{"v":1,"limit":-1}`, "limit", "not -1"},
	{`{"v":1,"timeout":30}`, "timeout", `a duration such as "30s"`},
	{`{"v":1,"timeout":"-30s"}`, "timeout", `a duration`},
	{`{"v":1,"issued_at":"yesterday"}`, "issued_at", "RFC 3339"},
	{`{"v":1,"verb":"LIST"}`, "verb", "expected one of list, get"},
	{`{"v":1,"table":"raw"}`, "table", "expected one of conntrack"},
	{`{"v":1,"family":"inet"}`, "family", `"ipv4" or "ipv6"`},
	{`{"v":1,"dry_run":"yes"}`, "dry_run", "true or false"},
	{`{"v":1,"request":"` + strings.Repeat("x", 65) + `"}`, "request", "at most 64"},
	{`{"v":1,"filter":{"sporrt":5}}`, "filter.sporrt", "did you mean sport?"},
	{`{"v":1,"filter":{"include":[{"proto":"tcp"},{"orig_src":"10.0.0.1/8"}]}}`, "filter.include[1].orig_src", "bits set behind the prefix"},
	{`{"v":1,"filter":7}`, "filter", "expected {include"},
	{`{"v":1,"filter":{"a":1,"b":2}}`, "filter.a", "(and 1 more)"},
	{`{"v":1,"types":["gap"]}`, "types[0]", `"new", "update" or "destroy"`},
	{`{"v":1,"types":"new"}`, "types", "expected a list"},
	{`{"v":1,"keys":[{}]}`, "keys[0]", "expected a tuple"},
	{`{"v":1,"keys":[{"orig":{"src":"10.0.0.1"}}]}`, "keys[0].orig", "expected src and dst"},
	{`{"v":1,"keys":[{"orig":{"src":"10.0.0.1","dst":"10.0.0.2"}}]}`, "keys[0].orig", "expected the protocol"},
	{`{"v":1,"keys":[{"proto":"tcp","orig":{"src":"10.0.0.1","dst":"10.0.0.2","sport":1}}]}`, "keys[0].orig", "expected sport and dport"},
	{`{"v":1,"keys":[{"proto":"icmp","orig":{"src":"10.0.0.1","dst":"10.0.0.2"}}]}`, "keys[0].orig", "expected icmp_type"},
	{`{"v":1,"keys":[{"proto":"gre","orig":{"src":"10.0.0.1","dst":"10.0.0.2"}}]}`, "keys[0].orig", "expected srckey"},
	{`{"v":1,"keys":[{"proto":"tcp","reply":{"src":"10.0.0.1","dst":"10.0.0.2","sport":"1","dport":2}}]}`, "keys[0].reply.sport", "expected an integer"},
	{`{"v":1,"keys":[{"proto":"tcp","tuple":{"scr":"10.0.0.1"}}]}`, "keys[0].tuple.scr", "no such field"},
	{`{"v":1,"keys":[{"proto":"tcp","orig":{},"reply":{}}]}`, "keys[0].reply", "stands beside orig"},
	{`{"v":1,"keys":[{"proto":"udp","orig":{"src":"10.0.0.1","dst":"10.0.0.2","sport":1,"dport":2,"proto_num":6}}]}`, "keys[0].proto", "is 17, and the tuple's is 6"},
	{`{"v":1,"keys":[{"family":"ipv6","proto":"udp","orig":{"src":"10.0.0.1","dst":"10.0.0.2","sport":1,"dport":2}}]}`, "keys[0].family", "are ipv4"},
	{`{"v":1,"keys":[{"proto":"tpc"}]}`, "keys[0].proto", "expected one of tcp"},
	{`{"v":1,"entries":[{"orig":{"scr":"1.2.3.4"}}]}`, "entries[0].orig.scr", "no such field"},
	{`{"v":1,"entries":[{"proto":"tpc"}]}`, "entries[0].proto", "or proto_num"},
	{`{"v":1,"entries":[{"schema":"ctferry.v9"}]}`, "entries[0].schema", `is "ctferry.v9"`},
	{`{"v":1,"entries":[{"tcp":{"state":"ESTABLISHD"}}]}`, "entries[0].tcp.state", "not known"},
	{`{"v":1,"entries":[{"ct_labels":["a"]}]}`, "entries[0].ct_labels", "ct_labels_raw"},
	{`{"v":1,"entries":[{"src_nat":{}}]}`, "entries[0].src_nat", "expected addr, port or both"},
	{`{"v":1,"entries":[{"src_nat":{"addr":"10.0.0.9-10.0.0.1"}}]}`, "entries[0].src_nat.addr", "a range"},
	{`{"v":1,"entries":[{"dst_nat":{"port":"9-1"}}]}`, "entries[0].dst_nat.port", "a port"},
	{`{"v":1,"entries":[{"dst_nat":{"port":0}}]}`, "entries[0].dst_nat.port", "a port"},
	{`{"v":1,"entries":[{"proto":"icmp","orig":{"icmp_type":3}}]}`, "entries[0].reply", "no answer of its own"},
	{`{"v":1,"change":{"timeot":1}}`, "change.timeot", "no such field; expected one of timeout"},
	{`{"v":1,"change":{"mark":"010"}}`, "change.mark", `"0x1/0xff"`},
	{`{"v":1,"change":{"mark":"1/"}}`, "change.mark", `"0x1/0xff"`},
	{`{"v":1,"change":{"status":["ASURED"]}}`, "change.status[0]", "ASSURED"},
	{`{"v":1,"change":{"tcp_state":"OPEN"}}`, "change.tcp_state", "SYN_SENT"},
	{`{"v":1,"change":{"label_add":[128]}}`, "change.label_add[0]", "0 to 127"},
	{`{"v":1,"change":{"label_add":["web"]}}`, "change.label_add[0]", "that this node knows"},
	{`{"v":1,"entries":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`, "entries[0][0][0][0][0][0][0][0][0][0][0][0]", "nested too deep"},
}

func TestBadRequestJSON(t *testing.T) {
	for _, c := range badRequests {
		_, err := DecodeRequest([]byte(c.text), nil)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v, want an *Error", c.text, err)
			continue
		}
		if e.Code != CodeInvalid || e.Field != c.field || !strings.Contains(e.Message, c.says) {
			t.Errorf("%s:\n%s (%d), want %s: …%s…", c.text, e, e.Code, c.field, c.says)
		}
	}
}

func TestRequestLabels(t *testing.T) {
	find := func(name string) (uint8, bool) { return 9, name == "web" }
	q, err := DecodeRequest([]byte(`{"v":1,"filter":{"label":"web"},"change":{"label_add":["web",0]}}`), find)
	if err != nil {
		t.Fatal(err)
	}
	if want := [16]byte{1, 2}; *q.Change.LabelAdd != want {
		t.Errorf("%x, want %x", *q.Change.LabelAdd, want)
	}
	if got := q.Filter.String(); got != `{"include":[{"label":9}]}` {
		t.Error(got)
	}
}

// TestEntryFromRow sends a listed row back as it is.
func TestEntryFromRow(t *testing.T) {
	row := `{"schema":"ctferry.v1","event_type":"dump","table":"conntrack","time":"2026-01-02T15:04:05.000000000Z","node":"edge","run":"00000000000000000000000000000001","seq":9,` +
		`"id":77,"flow_id":"0123456789abcdef","family":"ipv4","proto":"tcp","proto_num":6,"orig":{"src":"10.0.0.1","dst":"10.0.0.2","sport":1,"dport":2,"packets":3,"bytes":4},` +
		`"reply":{"src":"10.0.0.2","dst":"10.0.0.1","sport":2,"dport":1},"status":["SEEN_REPLY","CONFIRMED"],"status_raw":10,"tcp":{"state":"ESTABLISHED","state_raw":3},"timeout":60,"mark":0,"use":1}`
	q, err := DecodeRequest([]byte(`{"v":1,"verb":"create","table":"conntrack","entries":[`+row+`]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Validate(); err != nil {
		t.Fatal(err)
	}
	e := q.Entries[0].Event
	if e.Type != flow.TypeDump || e.Timeout != 60 || e.TCP.State != 3 || e.Orig.Proto != 6 || e.Reply.SrcPort != 2 {
		t.Errorf("%+v", e)
	}
	if got := string(encode.Formats()["json"].NewEncoder(encode.Projection{}).Append(nil, e)); !strings.Contains(got, `"seq":9`) {
		t.Error(got)
	}
}

func FuzzDecodeRequest(f *testing.F) {
	for _, s := range goodRequests {
		f.Add([]byte(s))
	}
	for _, c := range badRequests {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		q, err := DecodeRequest(data, nil)
		if err != nil {
			if e := (*Error)(nil); !errors.As(err, &e) || e.Code != CodeInvalid || e.Message == "" {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		_ = q.Validate()
		again(t, q)
	})
}

func FuzzDecodeKey(f *testing.F) {
	for _, s := range goodRequests[3:6] {
		var q struct{ Keys []json.RawMessage }
		if err := json.Unmarshal([]byte(s), &q); err != nil {
			f.Fatal(err)
		}
		for _, k := range q.Keys {
			f.Add([]byte(k))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkDocument(data) != nil {
			return
		}
		k, err := decodeKey("key", data)
		if err != nil {
			return
		}
		b := appendKey(nil, &k)
		l, err := decodeKey("key", b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if !reflect.DeepEqual(appendKey(nil, &l), b) {
			t.Fatalf("%s became %s", b, appendKey(nil, &l))
		}
	})
}
