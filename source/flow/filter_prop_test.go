package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// refPool has, for every field, values of which random filters are made; they
// are chosen so that random events meet them often.
var refPool = map[string]l{
	"event_type": {"new", "UPDATE", "destroy", "dump", "dump_end", "interim"},
	"table":      {"conntrack", "expect"},
	"family":     {"ipv4", "ipv6"},
	"proto":      {"tcp", "udp", "sctp", "dccp", "gre", "icmp", "icmpv6", 50, "0-20", "6"},
	"zone":       {0, 1, 2, "1-3"},
	"mark":       {0, 1, "0x2", "0x1/0x1", "0x0/0x3", "1-2", "0/0"},
	"status":     {"ASSURED", "SEEN_REPLY", "UNREPLIED", "UNSET", "CONFIRMED", "0x0/0x4", "0x8/0xc"},
	"state":      {"ESTABLISHED", "NONE", "CLOSED", "OPEN", "syn_sent", "TIMEWAIT", "SYN_SENT2"},
	"id":         {1, 2, "0x3"}, "timeout": {1, 2, "0-2"}, "class": {0, 1},
	"role": {"client", "SERVER"}, "orig_vtag": {1, "2-3"}, "reply_vtag": {1, 2},
	"orig_zone": {0, 1}, "reply_zone": {0, "1-2"},
	"sport": {1, 2, "1-2"}, "dport": {1, "0x2"}, "reply_port_src": {1, 2}, "reply_port_dst": {1, 2},
	"srckey": {1, 2}, "dstkey": {1, 2}, "reply_key_src": {1, 2}, "reply_key_dst": {1, 2},
	"tuple_port_src": {1, 2}, "tuple_port_dst": {1, 2}, "mask_port_src": {1, 2}, "mask_port_dst": {1, 2},
	"icmp_type": {1, 2}, "icmp_code": {1, 2}, "icmp_id": {1, 2}, "port": {1, 2, "2-3", "60000-65535"},
	"orig_src": refAddresses, "orig_dst": refAddresses, "reply_src": refAddresses, "reply_dst": refAddresses,
	"tuple_src": refAddresses, "tuple_dst": refAddresses, "mask_src": refAddresses, "mask_dst": refAddresses, "addr": refAddresses,
	"src_nat": {true, false}, "dst_nat": {true, false}, "any_nat": {true, false}, "nat": {"snat", "dnat", "both", "any", "none"},
	"label": {0, 1, 127, "2-5"}, "labels": {0, 1, 127}, "netns": {"", "a", "b"}, "helper": {"ftp", "sip"}, "secctx": {"x", "y"},
}

var refAddresses = l{"10.0.0.1", "10.0.0.2", "10.0.0.0/30", "10.0.0.2-10.0.0.9", "0.0.0.0/0", "192.0.2.0/24",
	"::1", "2001:db8::/64", "2001:db8::1-2001:db8::2", "::ffff:10.0.0.1", "a00:1::", "0.0.0.1/0.0.0.255", "10.0.0.0/255.0.255.254", "2001:db8::1/ffff:ffff::ffff", "::1/::ffff"}

var eventAddresses = []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "192.0.2.1", "::1", "2001:db8::1", "2001:db8::3", "::ffff:10.0.0.1", "a00:1::"}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

func randomFilter(r *rand.Rand, names []string) m {
	term := func() m {
		t := m{}
		for range 1 + r.IntN(3) {
			name := pick(r, names)
			values := make(l, 1+r.IntN(3))
			for i := range values {
				values[i] = pick(r, refPool[name])
			}
			t[name] = values
			if len(values) == 1 {
				t[name] = values[0]
			}
		}
		return t
	}
	if r.IntN(4) == 0 {
		return term()
	}
	terms := func(n int) (ts l) {
		for range n {
			ts = append(ts, term())
		}
		return ts
	}
	return m{"include": terms(r.IntN(4)), "exclude": terms(r.IntN(3))}
}

// randomEvent fills every slot with something and then sets some presence bits,
// so that most of what is there is garbage that must not be read.
func randomEvent(r *rand.Rand) *Event {
	small := func() uint32 { return r.Uint32N(4) }
	e := &Event{
		Has: Has(r.Uint64()) &^ HasNAT, Type: Type(1 + r.IntN(8)), Table: TableConntrack, Family: pick(r, []Family{IPv4, IPv6}),
		Proto: randomProto(r), Zone: uint16(small()), Status: small() | small()<<2 | small()<<10, Timeout: small(), Mark: small(),
		ID: small(), Orig: randomTuple(r), Reply: randomTuple(r),
		TCP: TCP{State: uint8(r.IntN(20))}, SCTP: SCTP{State: uint8(r.IntN(12)), VTagOrig: small(), VTagReply: small()},
		DCCP: DCCP{State: uint8(r.IntN(12)), Role: uint8(r.IntN(3))},
	}
	if r.IntN(2) == 0 { // a reply that answers
		e.Reply = e.Orig
		e.Reply.Src, e.Reply.Dst, e.Reply.SrcPort, e.Reply.DstPort = e.Orig.Dst, e.Orig.Src, e.Orig.DstPort, e.Orig.SrcPort
	}
	e.Labels[r.IntN(16)] = byte(r.Uint32())
	if r.IntN(4) > 0 {
		e.Origin = &Origin{NetNS: pick(r, []string{"", "a", "c"})}
	}
	if r.IntN(3) == 0 {
		e.Table = TableExpect
		e.Has &^= HasMark | HasStatus | HasLabels
	}
	if e.Any(HasExpect|HasHelper|HasSecCtx) || r.IntN(2) == 0 {
		e.Extra = &Extra{Helper: pick(r, []string{"ftp", "h323"}), SecCtx: pick(r, []string{"x", "z"}), Expect: Expectation{
			Has: ExpectHas(r.Uint32()), Zone: uint16(small()), ID: small(), Timeout: small(), Class: small(), Helper: "sip",
			Tuple: randomTuple(r), Mask: randomTuple(r), Master: randomTuple(r),
		}}
	}
	return e
}

func randomProto(r *rand.Rand) uint8 { return pick(r, []uint8{6, 17, 132, 33, 47, 1, 58, 50}) }

func randomTuple(r *rand.Rand) Tuple {
	t := Tuple{Has: TupleHas(r.Uint32()), Proto: randomProto(r), ICMPType: uint8(r.IntN(3)), ICMPCode: uint8(r.IntN(3)),
		SrcPort: uint16(r.IntN(3)), DstPort: uint16(r.IntN(3)), ICMPID: uint16(r.IntN(3)), Zone: uint16(r.IntN(3))}
	t.Src, t.Family = AddrFrom(netip.MustParseAddr(pick(r, eventAddresses)))
	for f := Family(0); f != t.Family; {
		t.Dst, f = AddrFrom(netip.MustParseAddr(pick(r, eventAddresses)))
	}
	return t
}

// onlyContradictions tells refusals that a valid filter may meet from others.
func onlyContradictions(err error) bool {
	var faults Faults
	if !errors.As(err, &faults) {
		return false
	}
	for _, f := range faults {
		if !strings.Contains(f.Text, "rest of the") && !strings.Contains(f.Text, "no protocol that") {
			return false
		}
	}
	return true
}

// TestMatchEqualsReference compares Match with the reference on random filters
// and events, after a trip through the printed form.
func TestMatchEqualsReference(t *testing.T) {
	var names []string
	for f := FieldNone + 1; f < fieldCount; f++ {
		if refPool[f.String()] == nil {
			t.Fatalf("field %s has no values here", f)
		}
		names = append(names, f.String())
	}
	r := rand.New(rand.NewPCG(1, 2))
	matched := map[string]int{}
	events := make([]*Event, 1000)
	for i := range events {
		events[i] = randomEvent(r)
	}
	rounds := 4000
	if testing.Short() {
		rounds = 1200
	}
	for i := range rounds {
		v := randomFilter(r, names)
		if i < len(names)*20 { // each field by itself first
			name := names[i%len(names)]
			v = m{name: pick(r, refPool[name])}
		}
		f, err := ParseFilter(v)
		if err != nil {
			if !onlyContradictions(err) {
				t.Fatalf("%v: %v", v, err)
			}
			continue
		}
		roundTrip(t, f)
		for _, e := range events {
			got, want := f.Match(e), refFilter(v, e)
			if got != want {
				t.Fatalf("%v\n%s\nMatch %v, reference %v on\n%+v\nextra %+v", v, f, got, want, *e, e.Extra)
			}
			if got && len(v) == 1 && !AlwaysTypes.Has(e.Type) && e.Type != TypeDumpEnd {
				for name := range v {
					matched[name]++
				}
			}
		}
	}
	for _, n := range names {
		if matched[n] == 0 {
			t.Errorf("field %s alone has never matched", n)
		}
	}
}

// TestMatchLongLists takes the searching path, where more than a few values stand.
func TestMatchLongLists(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var addrs, ports l
		for range 9 + r.IntN(60) {
			a := netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(2)), byte(r.IntN(256))})
			if r.IntN(2) == 0 {
				a = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x:%x", r.IntN(2), r.IntN(256)))
			}
			addrs = append(addrs, a.String())
			ports = append(ports, r.IntN(512))
		}
		v := m{"include": l{m{"orig_src": addrs}, m{"dport": ports}}}
		f := mustFilter(t, v)
		for range 200 {
			e := tcpEvent()
			e.Orig.DstPort = uint16(r.IntN(520))
			a := netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(2)), byte(r.IntN(256))})
			if r.IntN(2) == 0 {
				a = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x:%x", r.IntN(2), r.IntN(256)))
			}
			e.Orig.Src, e.Orig.Family = AddrFrom(a)
			if got, want := f.Match(e), refFilter(v, e); got != want {
				t.Fatalf("%s\nMatch %v, reference %v on %v %d", f, got, want, a, e.Orig.DstPort)
			}
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	var names []string
	for n := range refPool {
		names = append(names, n)
	}
	for range 100 {
		text, err := json.Marshal(randomFilter(r, names))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"include":[{"src":"10.0.0.1/8","sport":"9-1"}],"x":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var v any
		if json.Unmarshal(text, &v) != nil {
			return
		}
		flt, err := ParseFilter(v)
		if err != nil {
			var faults Faults
			if flt != nil || !errors.As(err, &faults) || len(faults) == 0 || err.Error() == "" {
				t.Fatalf("%v with %#v", flt, err)
			}
			return
		}
		roundTrip(t, flt)
		for _, term := range append(flt.Include, flt.Exclude...) {
			if len(term) == 0 {
				t.Fatalf("an empty term in %s", flt)
			}
		}
		r := rand.New(rand.NewPCG(7, 8))
		for range 5 {
			flt.Match(randomEvent(r))
		}
	})
}
