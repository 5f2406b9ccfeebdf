package flow

import (
	"testing"
)

// fullEvent is a conntrack event that carries something in every slot that a filter reads.
func fullEvent(proto uint8) *Event {
	e := &Event{Type: TypeUpdate, Table: TableConntrack, Family: IPv4, Proto: proto, Has: ^HasNAT, Origin: &Origin{NetNS: "blue"}, Extra: &Extra{}}
	e.Zone, e.Mark, e.Status, e.Timeout, e.ID = 7, 0x1f, StatusSeenReply|StatusAssured|StatusConfirmed, 30, 99
	e.Orig = tupleOf(proto, "10.0.0.1", "10.0.0.2", 1000, 2000)
	e.Reply = tupleOf(proto, "192.0.2.2", "192.0.2.1", 2001, 1001)
	for _, t := range []*Tuple{&e.Orig, &e.Reply} {
		t.Has |= HasICMP | HasTupleZone
	}
	e.Orig.ICMPType, e.Orig.ICMPCode, e.Orig.ICMPID, e.Orig.Zone, e.Reply.Zone = 8, 1, 500, 3, 4
	e.TCP.State, e.SCTP, e.DCCP = 3, SCTP{State: 2, VTagOrig: 11, VTagReply: 12}, DCCP{State: 4, Role: 1}
	e.Labels[15] = 0x80
	e.Extra.Helper, e.Extra.SecCtx = "ftp", "unconfined"
	return e
}

// expectEvent is the same for an expectation; its conntrack slots hold garbage.
func expectEvent() *Event {
	e := fullEvent(ProtoSCTP)
	e.Table, e.Has = TableExpect, HasExpect
	e.Extra.Expect = Expectation{
		Has: ^ExpectHas(0), Zone: 5, ID: 77, Timeout: 300, Class: 2, Helper: "sip",
		Master: tupleOf(ProtoTCP, "10.1.0.1", "10.1.0.2", 5060, 5061),
		Tuple:  tupleOf(ProtoUDP, "10.2.0.1", "10.2.0.2", 6000, 6001),
		Mask:   tupleOf(ProtoUDP, "255.255.255.255", "255.255.0.0", 0, 65535),
	}
	return e
}

// TestMatchEachField has for every field a value that matches, one that does
// not, and how the field is made absent while its slot keeps its content.
func TestMatchEachField(t *testing.T) {
	flags := func(bits Has) func(*Event) { return func(e *Event) { e.Has &^= bits } }
	orig := func(bits TupleHas) func(*Event) { return func(e *Event) { e.Orig.Has &^= bits } }
	reply := func(bits TupleHas) func(*Event) { return func(e *Event) { e.Reply.Has &^= bits } }
	cases := []struct {
		name    string
		proto   uint8
		yes, no any
		absent  []func(*Event)
	}{
		{"event_type", 6, "update", "new", nil},
		{"table", 6, "conntrack", "expect", []func(*Event){func(e *Event) { e.Table = 0 }}},
		{"family", 6, "ipv4", "ipv6", []func(*Event){func(e *Event) { e.Family = 0 }}},
		{"proto", 6, "tcp", l{"udp", 7}, []func(*Event){flags(HasOrig)}},
		{"timeout", 6, 30, "31-99", []func(*Event){flags(HasTimeout)}},
		{"id", 6, 99, 98, []func(*Event){flags(HasID)}},
		{"status", 6, l{"ASSURED", "SEEN_REPLY"}, l{"ASSURED", "EXPECTED"}, []func(*Event){flags(HasStatus)}},
		{"status", 6, "0x4/0x5", "UNREPLIED", []func(*Event){flags(HasStatus)}},
		{"state", 6, "ESTABLISHED", "OPEN", []func(*Event){flags(HasTCPState | HasSCTPState | HasDCCPState)}},
		{"role", 33, "server", "client", []func(*Event){flags(HasDCCPRole)}},
		{"orig_vtag", 132, 11, 12, []func(*Event){flags(HasSCTPVTagOrig)}},
		{"reply_vtag", 132, 12, 11, []func(*Event){flags(HasSCTPVTagReply)}},
		{"sport", 6, 1000, l{2000, 1001}, []func(*Event){flags(HasOrig), orig(HasSrcPort)}},
		{"orig_port_dst", 6, 2000, l{1000, 2001}, []func(*Event){flags(HasOrig), orig(HasDstPort)}},
		{"reply_port_src", 6, 2001, l{1001, 2000}, []func(*Event){flags(HasReply), reply(HasSrcPort)}},
		{"reply_port_dst", 6, 1001, l{2001, 1000}, []func(*Event){flags(HasReply), reply(HasDstPort)}},
		{"srckey", 47, "0x3e8", 2000, []func(*Event){flags(HasOrig), orig(HasSrcPort), orig(HasProto)}},
		{"dstkey", 47, 2000, 1000, []func(*Event){flags(HasOrig), orig(HasDstPort)}},
		{"reply_key_src", 47, 2001, 1001, []func(*Event){flags(HasReply), reply(HasSrcPort)}},
		{"reply_key_dst", 47, 1001, 2001, []func(*Event){flags(HasReply), reply(HasDstPort)}},
		{"icmp_type", 1, 8, 0, []func(*Event){flags(HasOrig), orig(HasICMPType)}},
		{"icmp_code", 1, 1, 0, []func(*Event){flags(HasOrig), orig(HasICMPCode)}},
		{"icmp_id", 58, 500, 0, []func(*Event){flags(HasOrig), orig(HasICMPID)}},
		{"orig_src", 6, "10.0.0.0/31", l{"10.0.0.2", "a00:1::", "::/0"}, []func(*Event){flags(HasOrig), orig(HasSrc)}},
		{"dst", 6, "10.0.0.2", "10.0.0.1", []func(*Event){flags(HasOrig), orig(HasDst)}},
		{"reply_src", 6, "192.0.2.2", "192.0.2.1", []func(*Event){flags(HasReply), reply(HasSrc)}},
		{"reply_dst", 6, "192.0.2.1", "192.0.2.2", []func(*Event){flags(HasReply), reply(HasDst)}},
		{"addr", 6, "192.0.2.1", "192.0.2.3", []func(*Event){flags(HasReply), reply(HasDst)}},
		{"addr", 6, "10.0.0.2", "::/0", []func(*Event){flags(HasOrig), orig(HasDst)}},
		{"port", 6, 1001, 3000, []func(*Event){flags(HasReply), reply(HasDstPort)}},
		{"port", 17, "1000", "1002-1999", []func(*Event){flags(HasOrig), orig(HasSrcPort)}},
		{"src_nat", 6, true, false, []func(*Event){flags(HasOrig), flags(HasReply), orig(HasSrc), reply(HasDst)}},
		{"dst_nat", 6, true, false, []func(*Event){flags(HasOrig), flags(HasReply), orig(HasDst), reply(HasSrc)}},
		{"any_nat", 6, true, false, []func(*Event){flags(HasOrig), flags(HasReply)}},
		{"nat", 6, l{"snat"}, "none", []func(*Event){flags(HasOrig), flags(HasReply)}},
		{"nat", 6, l{"none", "both"}, "none", []func(*Event){orig(HasSrc), reply(HasSrc)}},
		{"label", 6, 127, "0-126", []func(*Event){flags(HasLabels)}},
		{"labels", 6, 127, l{127, 126}, []func(*Event){flags(HasLabels)}},
		{"orig_src", 6, "0.0.0.1/0.0.0.255", l{"0.0.0.2/0.0.0.255", "::1/::ff"}, []func(*Event){flags(HasOrig), orig(HasSrc)}},
		{"addr", 6, l{"192.0.0.1/255.0.0.255"}, l{"193.0.0.1/255.0.0.255"}, []func(*Event){flags(HasReply), reply(HasDst)}},
		{"netns", 6, "blue", l{"", "Blue"}, []func(*Event){func(e *Event) { e.Origin = nil }}},
		{"helper", 6, "ftp", l{"FTP", "sip"}, []func(*Event){flags(HasHelper)}},
		{"secctx", 6, "unconfined", "x", []func(*Event){flags(HasSecCtx), func(e *Event) { e.Has, e.Extra = 0, nil }}},
	}
	for _, c := range cases {
		yes, no := mustFilter(t, m{c.name: c.yes}), mustFilter(t, m{c.name: c.no})
		e := fullEvent(c.proto)
		if !yes.Match(e) || no.Match(e) {
			t.Errorf("%s %v: %v, %v: %v", c.name, c.yes, yes.Match(e), c.no, no.Match(e))
		}
		if not := mustFilter(t, m{"exclude": m{c.name: c.yes}}); not.Match(e) {
			t.Errorf("%s %v excludes nothing", c.name, c.yes)
		}
		for i, absent := range c.absent {
			e := fullEvent(c.proto)
			absent(e)
			if yes.Match(e) || no.Match(e) {
				t.Errorf("%s matches though it is absent (%d)", c.name, i)
			}
		}
	}
}

func TestMatchAbsentIsZero(t *testing.T) {
	for name, absent := range map[string]func(*Event){
		"mark":       func(e *Event) { e.Has &^= HasMark },
		"zone":       func(e *Event) { e.Has &^= HasZone },
		"orig_zone":  func(e *Event) { e.Orig.Has &^= HasTupleZone },
		"reply_zone": func(e *Event) { e.Has &^= HasReply; e.Reply.Has &^= HasTupleZone },
	} {
		zero, other := mustFilter(t, m{name: 0}), mustFilter(t, m{name: "1-50"})
		e := fullEvent(ProtoTCP)
		if zero.Match(e) || !other.Match(e) {
			t.Errorf("%s is misread", name)
		}
		absent(e)
		if !zero.Match(e) || other.Match(e) {
			t.Errorf("an absent %s is not 0", name)
		}
	}
	e := fullEvent(ProtoTCP)
	for spec, want := range map[string]bool{"0x1f": true, "0xf/0xf": true, "0x0/0x20": true, "0x10/0x11": false, "1/1": true, "20-30": false} {
		if got := mustFilter(t, m{"mark": spec}).Match(e); got != want {
			t.Errorf("mark %s: %v", spec, got)
		}
	}
}

func TestMatchExpectation(t *testing.T) {
	cases := []struct {
		name    string
		yes, no any
		bit     ExpectHas // what makes the field absent
	}{
		{"proto", "udp", "tcp", HasExpectTuple},
		{"orig_src", "10.1.0.1", l{"10.2.0.1", "10.0.0.1"}, HasExpectMaster},
		{"dst", "10.1.0.2", "10.2.0.2", HasExpectMaster},
		{"sport", 5060, l{6000, 1000}, HasExpectMaster},
		{"dport", 5061, 6001, HasExpectMaster},
		{"tuple_src", "10.2.0.1", "10.1.0.1", HasExpectTuple},
		{"tuple_dst", "10.2.0.2", "10.1.0.2", HasExpectTuple},
		{"tuple_port_src", 6000, 5060, HasExpectTuple},
		{"tuple_port_dst", 6001, 5061, HasExpectTuple},
		{"mask_src", "255.255.255.255", "255.255.0.0", HasExpectMask},
		{"mask_dst", "255.255.0.0", "0.0.0.0", HasExpectMask},
		{"mask_port_src", 0, 1, HasExpectMask},
		{"mask_port_dst", 65535, 1, HasExpectMask},
		{"addr", l{"10.1.0.1"}, l{"255.255.255.255", "10.0.0.1", "192.0.2.1"}, HasExpectMaster},
		{"addr", l{"10.2.0.2"}, "::/0", HasExpectTuple},
		{"port", 5061, l{1000, 65535}, HasExpectMaster},
		{"port", 6000, 0, HasExpectTuple},
		{"helper", "sip", "ftp", HasExpectHelper},
		{"id", 77, 99, HasExpectID},
		{"timeout", 300, 30, HasExpectTimeout},
		{"class", 2, 0, HasExpectClass},
	}
	for _, c := range cases {
		yes, no := mustFilter(t, m{c.name: c.yes}), mustFilter(t, m{c.name: c.no})
		e := expectEvent()
		if !yes.Match(e) || no.Match(e) {
			t.Errorf("%s %v: %v, %v: %v", c.name, c.yes, yes.Match(e), c.no, no.Match(e))
		}
		e.Extra.Expect.Has &^= c.bit
		if yes.Match(e) || no.Match(e) {
			t.Errorf("%s matches though it is absent", c.name)
		}
		e.Has, e.Extra = 0, nil
		if yes.Match(e) {
			t.Errorf("%s matches an expectation without content", c.name)
		}
	}
	// The conntrack slots of an expectation hold what an earlier event left.
	for _, v := range []m{{"reply_src": "192.0.2.2"}, {"status": "ASSURED"}, {"state": "ESTABLISHED"}, {"src_nat": true},
		{"nat": "none"}, {"label": 127}, {"role": "server"}, {"orig_vtag": 11}, {"icmp_type": 8}, {"srckey": 1000}} {
		if mustFilter(t, v).Match(expectEvent()) {
			t.Errorf("%v reads what is not an expectation's", v)
		}
	}
	e := expectEvent()
	if !mustFilter(t, m{"zone": 5, "mark": 0}).Match(e) {
		t.Error("zone or mark of an expectation")
	}
	if e.Extra.Expect.Has &^= HasExpectZone; !mustFilter(t, m{"zone": 0}).Match(e) {
		t.Error("absent zone of an expectation is not 0")
	}
	if e.Has, e.Extra = 0, nil; !mustFilter(t, m{"zone": 0}).Match(e) {
		t.Error("zone of an expectation without content")
	}
}

func TestMatchCombines(t *testing.T) {
	e := tcpEvent()
	cases := []struct {
		v    any
		want bool
	}{
		{nil, true},
		{m{"include": l{m{"proto": "udp"}, m{"dport": 443}}}, true},
		{m{"include": l{m{"proto": "udp", "dport": 443}, m{"dport": 444}}}, false},
		{m{"include": m{"dport": 443}, "exclude": m{"addr": "10.0.0.1"}}, false},
		{m{"exclude": l{m{"proto": "udp"}, m{"dport": 443, "sport": 1}}}, true},
	}
	for _, c := range cases {
		if got := mustFilter(t, c.v).Match(e); got != c.want {
			t.Errorf("%v: %v", c.v, got)
		}
	}
	var none *Filter
	if !none.Match(e) {
		t.Error("a nil filter does not pass")
	}
}

func TestMatchAlwaysPasses(t *testing.T) {
	f := mustFilter(t, m{"include": m{"proto": "tcp"}, "exclude": m{"zone": "0-65535"}})
	for typ := TypeNew; typ <= TypeStatus; typ++ {
		e := &Event{Type: typ}
		if got, want := f.Match(e), typ == TypeGap || typ == TypeStatus || typ == TypeDumpEnd; got != want {
			t.Errorf("%v: %v", typ, got)
		}
	}
}

// TestMatchHandMade shows that a predicate out of range or without values matches nothing.
func TestMatchHandMade(t *testing.T) {
	e := fullEvent(ProtoTCP)
	for f := range Field(255) {
		if p := (Predicate{Field: f}); p.Match(e) {
			t.Errorf("field %d without values matches", f)
		}
		if p := (Predicate{Field: f, Ranges: []Range{{0, maxU32}}}); f == FieldNone && p.Match(e) {
			t.Error("no field matches")
		}
	}
	if !(Term{}).Match(e) {
		t.Error("a term that asks nothing does not match")
	}
}

func TestAddrRangePrefix(t *testing.T) {
	for _, c := range []struct {
		in     string
		prefix string // "" if it is none
	}{
		{"10.0.0.0/8", "10.0.0.0/8"}, {"10.0.0.1", "10.0.0.1/32"}, {"0.0.0.0/0", "0.0.0.0/0"}, {"::/0", "::/0"}, {"::1", "::1/128"},
		{"10.0.0.0-10.0.0.3", "10.0.0.0/30"}, {"10.0.0.1-10.0.0.3", ""}, {"10.0.0.0-10.0.0.2", ""}, {"10.0.0.3-10.0.0.4", ""},
		{"2001:db8::-2001:db8::ffff", "2001:db8::/112"}, {"2001:db8::-2001:db8::fffe", ""},
	} {
		r, problem := parseAddrRange(c.in)
		p, ok := r.Prefix()
		if problem != "" || ok != (c.prefix != "") || ok && p.String() != c.prefix {
			t.Errorf("%s: %v %v %s", c.in, p, ok, problem)
		}
	}
}
