package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestParseFilterCanonical gives one line for each way of writing a value.
func TestParseFilterCanonical(t *testing.T) {
	cases := []struct {
		in   any
		want string
	}{
		{nil, `{}`},
		{m{}, `{}`},
		{m{"include": nil, "exclude": l{}}, `{}`},
		{m{"proto": "tcp"}, `{"include":[{"proto":"tcp"}]}`},
		{m{"include": m{"proto": "TCP"}}, `{"include":[{"proto":"tcp"}]}`},
		{m{"exclude": l{m{"proto": 17, "port": 53}}}, `{"exclude":[{"proto":"udp","port":53}]}`},
		{m{"include": []m{{"proto": 50.0}}}, `{"include":[{"proto":50}]}`},
		{m{"proto": l{"tcp", "6", uint8(17), json.Number("132")}}, `{"include":[{"proto":["tcp","udp","sctp"]}]}`},
		{m{"proto": "0-255"}, `{"include":[{"proto":"0-255"}]}`},
		{m{"sport": []int{80, 81, 443}}, `{"include":[{"sport":["80-81",443]}]}`},
		{m{"orig_port_src": "0x50-0x60"}, `{"include":[{"sport":"80-96"}]}`},
		{m{"orig_port_dst": l{"5-9", "7-20", 21}}, `{"include":[{"dport":"5-21"}]}`},
		{m{"src": "10.0.0.0/8"}, `{"include":[{"orig_src":"10.0.0.0/8"}]}`},
		{m{"dst": l{"10.0.0.1/32", "2001:DB8::/32"}}, `{"include":[{"orig_dst":["10.0.0.1","2001:db8::/32"]}]}`},
		{m{"addr": l{"10.128.0.0/9", "10.0.0.0/9", "10.0.0.7"}}, `{"include":[{"addr":"10.0.0.0/8"}]}`},
		{m{"addr": "10.0.0.1-10.0.0.9"}, `{"include":[{"addr":"10.0.0.1-10.0.0.9"}]}`},
		{m{"addr": l{"::1/ffff::ffff:ffff", "10.0.0.1/255.0.0.255"}}, `{"include":[{"addr":["10.0.0.1/255.0.0.255","::1/ffff::ffff:ffff"]}]}`},
		{m{"addr": l{"10.0.0.1/255.0.0.255", "10.0.0.0/255.0.0.0", "10.0.0.1/255.0.0.255"}}, `{"include":[{"addr":["10.0.0.0/8","10.0.0.1/255.0.0.255"]}]}`},
		{m{"src": l{"0.0.0.0/0.0.0.0", "10.0.0.1/255.255.255.255"}}, `{"include":[{"orig_src":"0.0.0.0/0"}]}`},
		{m{"labels": l{127, "0", "web", 0}}, `{"include":[{"labels":[0,5,127]}]}`},
		{m{"addr": "0.0.0.0/0"}, `{"include":[{"addr":"0.0.0.0/0"}]}`},
		{m{"addr": l{"255.255.255.255", "::"}}, `{"include":[{"addr":["255.255.255.255","::"]}]}`},
		{m{"addr": "::ffff:1.2.3.4"}, `{"include":[{"addr":"::ffff:1.2.3.4"}]}`},
		{m{"mark": "0x1/0xff"}, `{"include":[{"mark":"0x1/0xff"}]}`},
		{m{"mark": l{"5", "7/0xffffffff", "6", "0x10-0x20"}}, `{"include":[{"mark":["5-7","16-32"]}]}`},
		{m{"mark": "0/0"}, `{"include":[{"mark":"0x0/0x0"}]}`},
		{m{"status": "assured"}, `{"include":[{"status":"ASSURED"}]}`},
		{m{"status": l{"UNREPLIED", "CONFIRMED", "0x0/0x400"}}, `{"include":[{"status":["CONFIRMED","UNREPLIED","0x0/0x400"]}]}`},
		{m{"status": l{"UNSET", "0x8/0x8"}}, `{"include":[{"status":["CONFIRMED","UNSET"]}]}`},
		{m{"state": "established"}, `{"include":[{"state":"ESTABLISHED"}]}`},
		{m{"state": l{"TIMEWAIT", "CLOSED", "NONE", "LISTEN"}}, `{"include":[{"state":["NONE","SYN_SENT2","CLOSED","TIMEWAIT"]}]}`},
		{m{"role": l{"SERVER", "client"}}, `{"include":[{"role":["client","server"]}]}`},
		{m{"nat": l{"dnat", "snat"}}, `{"include":[{"nat":"any"}]}`},
		{m{"nat": l{"none", "snat"}}, `{"include":[{"nat":["none","snat"]}]}`},
		{m{"nat": "both"}, `{"include":[{"nat":"both"}]}`},
		{m{"src_nat": true, "dst_nat": "false", "any_nat": l{true, false}}, `{"include":[{"src_nat":true,"dst_nat":false,"any_nat":[false,true]}]}`},
		{m{"event_type": l{"destroy", "NEW", "update"}}, `{"include":[{"event_type":["new","update","destroy"]}]}`},
		{m{"family": l{"ipv6", "ipv4"}}, `{"include":[{"family":["ipv4","ipv6"]}]}`},
		{m{"label": l{127, "0", "web"}}, `{"include":[{"label":[0,5,127]}]}`},
		{m{"netns": l{"b", "", "a", "b", "<x>"}}, `{"include":[{"netns":["","\u003cx\u003e","a","b"]}]}`},
		{m{"table": "expect", "class": 0, "tuple_src": "10.0.0.1", "mask_src": "255.255.255.255"},
			`{"include":[{"table":"expect","class":0,"tuple_src":"10.0.0.1","mask_src":"255.255.255.255"}]}`},
		{m{"table": "expect", "proto": "gre", "dport": 1723}, `{"include":[{"table":"expect","proto":"gre","dport":1723}]}`},
		{m{"include": l{m{"proto": "udp"}, m{"proto": "tcp"}, m{"proto": 6}}}, `{"include":[{"proto":"tcp"},{"proto":"udp"}]}`},
	}
	p := FilterParser{Label: webLabel}
	for _, c := range cases {
		f, err := p.Parse(c.in)
		if err != nil {
			t.Errorf("Parse(%v): %v", c.in, err)
			continue
		}
		if got := f.String(); got != c.want {
			t.Errorf("Parse(%v)\n got %s\nwant %s", c.in, got, c.want)
		}
		roundTrip(t, f)
	}
}

func webLabel(name string) (uint8, bool) { return 5, name == "web" }

// roundTrip checks that the printed form is read as the same filter.
func roundTrip(t *testing.T, f *Filter) {
	t.Helper()
	text, err := json.Marshal(*f)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	var again Filter
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatalf("%s is not read back: %v", text, err)
	}
	if fmt.Sprintf("%+v", *f) != fmt.Sprintf("%+v", again) || !f.Equal(&again) {
		t.Fatalf("read back\n got %+v\nwant %+v", again, *f)
	}
}

func TestParseFilterFaults(t *testing.T) {
	cases := []struct {
		in   any
		path string
		text string // part of the fault
	}{
		{"tcp", "", `expected {include: […], exclude: […]} or one term such as {proto: tcp}, not "tcp"`},
		{l{m{"proto": "tcp"}}, "", "not a list"},
		{m{"include": 5}, "include", `expected a list of terms such as [{proto: tcp}], not "5"`},
		{m{"include": l{m{}}}, "include[0]", "at least one field, such as {proto: tcp}, not an empty map"},
		{m{"exclude": l{m{"proto": "tcp"}, nil}}, "exclude[1]", "not nothing"},
		{m{"include": l{}, "proto": "tcp"}, "proto", "cannot stand beside include"},
		{m{"exclud": l{m{"proto": "tcp"}}}, "exclud", "did you mean exclude?"},
		{m{"include": l{m{"sprt": 1}}}, "include[0].sprt", "did you mean sport?"},
		{m{"orig-src": "::1"}, "orig-src", "did you mean orig_src?"},
		{m{"zzzzzzzzz": 1}, "zzzzzzzzz", "expected one of event_type, table,"},
		{m{"sport": 1, "orig_port_src": 2}, "sport", "another name of orig_port_src"},
		{m{"include": l{m{"sport": 99999}}}, "include[0].sport", `a number from 0 to 65535 or a range such as 5-9, not "99999"`},
		{m{"sport": -1}, "sport", `not "-1"`},
		{m{"sport": 1.5}, "sport", `not "1.5"`},
		{m{"sport": "http"}, "sport", `not "http"`},
		{m{"sport": "010"}, "sport", `not "010"`},
		{m{"sport": "+1"}, "sport", `not "+1"`},
		{m{"sport": ""}, "sport", `not ""`},
		{m{"sport": "0x"}, "sport", `not "0x"`},
		{m{"sport": "1-2-3"}, "sport", `not "1-2-3"`},
		{m{"sport": true}, "sport", `not "true"`},
		{m{"sport": "2000-1000"}, "sport", "the range 2000-1000 is reversed; expected 1000-2000"},
		{m{"sport": l{}}, "sport", "an empty list matches nothing"},
		{m{"sport": nil}, "sport", "not nothing"},
		{m{"sport": m{"a": 1}}, "sport", "not a map"},
		{m{"sport": l{1, l{2}}}, "sport[1]", "not a list"},
		{m{"sport": struct{}{}}, "sport", "not a struct {}"},
		{m{"proto": 256}, "proto", "tcp, udp, icmp, icmpv6, udplite, sctp, dccp, gre, a number from 0 to 255"},
		{m{"proto": "tpc"}, "proto", "did you mean tcp?"},
		{m{"mark": "0x1/"}, "mark", "value/mask such as 0x1/0xff"},
		{m{"mark": "0x1/0xff/1"}, "mark", "value/mask"},
		{m{"mark": "x/0xff"}, "mark", "value/mask"},
		{m{"mark": "4294967296"}, "mark", "value/mask"},
		{m{"mark": "0x1f/0xf0"}, "mark", "would never match"},
		{m{"status": "ASURED"}, "status", "did you mean ASSURED?"},
		{m{"status": 4}, "status", "or value/mask such as 0x4/0xc"},
		{m{"status": "0/0"}, "status", "or value/mask"},
		{m{"status": "0x8/0x4"}, "status", "would never match"},
		{m{"status": l{"SEEN_REPLY", "UNREPLIED"}}, "status[1]", "contradicts the rest of the list"},
		{m{"src": "10.0.0.1/8"}, "src", "10.0.0.1/8 has bits set behind the prefix; expected 10.0.0.0/8 or 10.0.0.1"},
		{m{"src": "10.0.0.0/33"}, "src", "expected an address, a prefix"},
		{m{"src": "10.0.0"}, "src", "expected an address"},
		{m{"src": "10.0.0.1/255.0.255"}, "src", "expected an address"},
		{m{"src": "10.0.0.1/::ff"}, "src", "mixes IPv4 and IPv6"},
		{m{"src": "10.0.0.1/255.0.0.254"}, "src", "outside its mask"},
		{m{"src": "10.0.0.1/255.0.0.255", "dst": "::1"}, "dst", "mismatched address family"},
		{m{"src": "fe80::1%eth0"}, "src", "expected an address"},
		{m{"src": "host.example"}, "src", "expected an address"},
		{m{"src": "10.0.0.9-10.0.0.1"}, "src", "reversed; expected 10.0.0.1-10.0.0.9"},
		{m{"src": "10.0.0.9-::1"}, "src", "mixes IPv4 and IPv6"},
		{m{"src": 5}, "src", "expected an address"},
		{m{"event_type": "gap"}, "event_type", "gap records pass every filter"},
		{m{"event_type": "STATUS"}, "event_type", "status records pass every filter"},
		{m{"event_type": "destory"}, "event_type", "did you mean destroy?"},
		{m{"event_type": 1}, "event_type", `expected new, update, destroy, dump, dump_end, interim, not "1"`},
		{m{"family": "inet6"}, "family", "expected ipv4, ipv6"},
		{m{"nat": "natted"}, "nat", "expected none, any, snat, dnat, both"},
		{m{"src_nat": "maybe"}, "src_nat", "expected true, false"},
		{m{"src_nat": 1}, "src_nat", "expected true, false"},
		{m{"state": "OPENED"}, "state", "did you mean OPEN?"},
		{m{"label": "web2"}, "label", "a label's name or its bit number, from 0 to 127"},
		{m{"label": 128}, "label", "from 0 to 127"},
		{m{"netns": 5}, "netns", "quote it"},
		{m{"helper": ""}, "helper", "not an empty one"},
		{m{"helper": "\xff"}, "helper", "valid UTF-8"},
		// What no record can have together.
		{m{"proto": "icmp", "sport": 5}, "sport", "belongs to tcp, udp, udplite, sctp, dccp, which the rest of the term rules out"},
		{m{"proto": l{"icmp", 50}, "port": 5}, "port", "belongs to tcp, udp"},
		{m{"proto": "gre", "sport": 5}, "sport", "belongs to tcp"},
		{m{"proto": "tcp", "srckey": 5}, "srckey", "belongs to gre"},
		{m{"proto": "tcp", "icmp_type": 8}, "icmp_type", "belongs to icmp, icmpv6"},
		{m{"icmp_type": 8, "sport": 5}, "icmp_type", "belongs to icmp, icmpv6"},
		{m{"proto": "tcp", "orig_vtag": 8}, "orig_vtag", "belongs to sctp"},
		{m{"proto": "tcp", "role": "client"}, "role", "belongs to dccp"},
		{m{"proto": "udp", "state": "NONE"}, "state", "belongs to tcp, sctp, dccp"},
		{m{"proto": "tcp", "state": "COOKIE_WAIT"}, "state", "has the state COOKIE_WAIT; tcp has NONE, SYN_SENT,"},
		{m{"proto": l{"tcp", "udp"}, "state": l{"ESTABLISHED", "OPEN"}}, "state", "has the state OPEN"},
		{m{"role": "client", "state": "SYN_SENT"}, "role", "belongs to dccp"},
		{m{"src": "10.0.0.1", "dst": "::1"}, "dst", "mismatched address family"},
		{m{"family": "ipv6", "addr": "10.0.0.0/8"}, "addr", "mismatched address family"},
		{m{"table": "conntrack", "class": 1}, "class", "belongs to table expect"},
		{m{"table": "expect", "status": "ASSURED"}, "status", "belongs to table conntrack"},
		{m{"reply_src": "::1", "mask_src": "::1"}, "mask_src", "belongs to table expect"},
	}
	for _, c := range cases {
		_, err := ParseFilter(c.in)
		var faults Faults
		if !errors.As(err, &faults) || len(faults) != 1 {
			t.Errorf("ParseFilter(%v): %v, want one fault", c.in, err)
			continue
		}
		if faults[0].Path != c.path || !strings.Contains(faults[0].Text, c.text) {
			t.Errorf("ParseFilter(%v)\n got %v\nwant %s: …%s…", c.in, err, c.path, c.text)
		}
	}
}

func TestParseFilterTellsAllFaults(t *testing.T) {
	_, err := ParseFilter(m{"include": l{m{"sport": 99999, "src": "x"}, m{}}, "exclude": l{m{"prto": 1}}})
	want := []string{"include[0].sport", "include[0].src", "include[1]", "exclude[0].prto"}
	var got []string
	for _, f := range err.(Faults) {
		got = append(got, f.Path)
	}
	if !slices.Equal(got, want) {
		t.Errorf("paths %v, want %v", got, want)
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "include[0].sport: expected") {
		t.Errorf("text:\n%v", err)
	}
	if got := (Fault{Text: "x"}).Error(); got != "x" {
		t.Errorf("a fault without a path: %q", got)
	}
}

// TestParseFilterBounds holds the bounds at their edges.
func TestParseFilterBounds(t *testing.T) {
	repeat := func(n int, v any) l { return slices.Repeat(l{v}, n) }
	if _, err := ParseFilter(m{"include": repeat(MaxFilterTerms, m{"proto": 6}), "sport": 1}); err == nil {
		t.Error("sport beside include passes")
	}
	for _, c := range []struct {
		v  any
		ok bool
	}{
		{m{"include": repeat(MaxFilterTerms, m{"proto": 6})}, true},
		{m{"include": repeat(MaxFilterTerms+1, m{"proto": 6})}, false},
		{m{"sport": repeat(MaxFilterValues, 6)}, true},
		{m{"sport": repeat(MaxFilterValues+1, 6)}, false},
	} {
		if _, err := ParseFilter(c.v); (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "too many: at most") {
			t.Errorf("ok %v: %v", c.ok, err)
		}
	}
	_, err := ParseFilter(m{"sport": repeat(MaxFilterValues, "x")})
	if fs := err.(Faults); len(fs) != MaxFaults || fs[MaxFaults-1].Text != "and more: mend these first" {
		t.Errorf("%d faults", len(fs))
	}
	if _, err := ParseFilter(m{"sport": strings.Repeat("x", 1<<20)}); len(err.Error()) > 300 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

func TestFilterEqualAndAll(t *testing.T) {
	var none *Filter
	if !none.IsAll() || !none.Equal(&Filter{}) || none.String() != "{}" || !mustFilter(t, nil).IsAll() {
		t.Error("nil and empty filters differ")
	}
	a := mustFilter(t, m{"include": l{m{"sport": 1}, m{"proto": "tcp"}}})
	b := mustFilter(t, m{"include": l{m{"proto": 6}, m{"orig_port_src": "0x1"}}})
	if !a.Equal(b) || a.IsAll() || a.Equal(none) || mustFilter(t, m{"exclude": a.mustMap(t)}).IsAll() {
		t.Error("Equal or IsAll is wrong")
	}
	var f struct{ F *Filter }
	if err := json.Unmarshal([]byte(`{"F":{"sprt":1}}`), &f); err == nil || !strings.Contains(err.Error(), "sport") {
		t.Errorf("a fault inside JSON: %v", err)
	}
	if err := new(Filter).UnmarshalJSON([]byte(`{`)); err == nil || !strings.HasPrefix(err.Error(), "filter: ") {
		t.Errorf("no JSON: %v", err)
	}
}

// mustMap gives the include terms as a decoded list.
func (f *Filter) mustMap(t *testing.T) any {
	var v m
	if err := json.Unmarshal([]byte(f.String()), &v); err != nil {
		t.Fatal(err)
	}
	return v["include"]
}

// TestFields keeps the table and the constants together.
func TestFields(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range FieldNames() {
		f, ok := ParseField(n)
		if !ok || seen[n] || f.String() != n && fields[f].alias != n {
			t.Errorf("field %q: %v %v", n, f, ok)
		}
		seen[n] = true
	}
	for f := FieldNone + 1; f < fieldCount; f++ {
		if fields[f].kind == 0 || fields[f].name == "" || fields[f].want() == "" {
			t.Errorf("field %d is not in the table", f)
		}
	}
	if _, ok := ParseField(""); ok || FieldNone.String() != "" || Field(200).String() != "" {
		t.Error("no field has a name")
	}
	if n := len(namedProtos); n != len(ProtoNames()) || protoOther != 1<<n {
		t.Error("namedProtos and its bits differ")
	}
}
