package flow

import (
	"net/netip"
	"testing"
)

// natEvent makes a flow of two tuples that have what bits say.
func natEvent(proto uint8, bits TupleHas, orig, reply [2]netip.AddrPort) *Event {
	e := &Event{Has: HasOrig | HasReply, Type: TypeNew, Table: TableConntrack, Proto: proto}
	for i, side := range [][2]netip.AddrPort{orig, reply} {
		t := tupleOf(proto, side[0].Addr().String(), side[1].Addr().String(), side[0].Port(), side[1].Port())
		t.Has = HasAddrs | HasProto | bits
		t.ICMPID = side[0].Port()
		e.Family = t.Family
		*[]*Tuple{&e.Orig, &e.Reply}[i] = t
	}
	return e
}

func ends(src, dst string) [2]netip.AddrPort {
	return [2]netip.AddrPort{netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)}
}

// TestNAT has the translations that the kernel makes. The reply tuple is what
// the kernel expects to come back.
func TestNAT(t *testing.T) {
	const v4src, v4dst = "10.0.0.1:1000", "192.0.2.9:80"
	cases := []struct {
		name        string
		proto       uint8
		bits        TupleHas
		orig, reply [2]netip.AddrPort
		kind        NATKind
		src, dst    string // the translated side
	}{
		{"none", ProtoTCP, HasPorts, ends(v4src, v4dst), ends(v4dst, v4src), NATNone, "", ""},
		{"masquerade", ProtoTCP, HasPorts, ends(v4src, v4dst), ends(v4dst, "198.51.100.7:1000"), NATSource, "198.51.100.7:1000", v4dst},
		{"masquerade with another port", ProtoUDP, HasPorts, ends(v4src, v4dst), ends(v4dst, "198.51.100.7:1024"), NATSource, "198.51.100.7:1024", v4dst},
		{"source port only", ProtoTCP, HasPorts, ends(v4src, v4dst), ends(v4dst, "10.0.0.1:1024"), NATSource, "10.0.0.1:1024", v4dst},
		{"dnat", ProtoTCP, HasPorts, ends(v4src, v4dst), ends("10.9.9.9:80", v4src), NATDest, v4src, "10.9.9.9:80"},
		{"redirect: destination port only", ProtoTCP, HasPorts, ends(v4src, v4dst), ends("192.0.2.9:8080", v4src), NATDest, v4src, "192.0.2.9:8080"},
		{"both", ProtoTCP, HasPorts, ends(v4src, v4dst), ends("10.9.9.9:8080", "10.8.8.8:5"), NATBoth, "10.8.8.8:5", "10.9.9.9:8080"},
		{"hairpin", ProtoTCP, HasPorts, ends("10.0.0.1:1000", "192.0.2.9:80"), ends("10.0.0.2:80", "10.0.0.254:1000"), NATBoth, "10.0.0.254:1000", "10.0.0.2:80"},
		{"ipv6", ProtoTCP, HasPorts, ends("[2001:db8::1]:5", "[2001:db8::2]:6"), ends("[2001:db8::2]:6", "[2001:db8::3]:5"), NATSource, "[2001:db8::3]:5", "[2001:db8::2]:6"},
		{"ports that are not there", 50, 0, ends("10.0.0.1:1", "10.0.0.2:2"), ends("10.0.0.2:7", "10.0.0.1:8"), NATNone, "", ""},
		{"esp", 50, 0, ends("10.0.0.1:1", "10.0.0.2:2"), ends("10.0.0.2:7", "10.0.0.3:8"), NATSource, "10.0.0.3:0", "10.0.0.2:0"},
		{"gre keys", ProtoGRE, HasPorts, ends("10.0.0.1:1", "10.0.0.2:2"), ends("10.0.0.2:2", "10.0.0.3:9"), NATSource, "10.0.0.3:9", "10.0.0.2:2"},
		{"gre without keys", ProtoGRE, HasPorts, ends("10.0.0.1:0", "10.0.0.2:0"), ends("10.0.0.2:0", "10.0.0.1:0"), NATNone, "", ""},
		{"icmp", ProtoICMP, HasICMP, ends("10.0.0.1:77", "10.0.0.2:0"), ends("10.0.0.2:77", "10.0.0.1:0"), NATNone, "", ""},
		{"icmp masquerade", ProtoICMP, HasICMP, ends("10.0.0.1:77", "10.0.0.2:0"), ends("10.0.0.2:77", "10.0.0.3:0"), NATSource, "10.0.0.3:0", "10.0.0.2:0"},
		{"icmp id", ProtoICMP, HasICMP, ends("10.0.0.1:77", "10.0.0.2:0"), ends("10.0.0.2:78", "10.0.0.1:0"), NATSource, "10.0.0.1:0", "10.0.0.2:0"},
		{"icmp dnat", ProtoICMP, HasICMP, ends("10.0.0.1:77", "10.0.0.2:0"), ends("10.0.0.4:77", "10.0.0.1:0"), NATDest, "10.0.0.1:0", "10.0.0.4:0"},
		{"icmp id that is not there", ProtoICMP, HasICMPType, ends("10.0.0.1:77", "10.0.0.2:0"), ends("10.0.0.2:78", "10.0.0.1:0"), NATNone, "", ""},
	}
	for _, c := range cases {
		e := natEvent(c.proto, c.bits, c.orig, c.reply)
		nat, ok := e.NAT()
		if kind := e.NATKind(); kind != c.kind || nat.Kind != c.kind || ok != (kind != NATNone) {
			t.Errorf("%s: %v, %v %v, want %v", c.name, kind, nat.Kind, ok, c.kind)
		}
		if c.kind == NATNone {
			continue
		}
		src, dst := netip.MustParseAddrPort(c.src), netip.MustParseAddrPort(c.dst)
		if nat.Src.In(e.Family) != src.Addr() || nat.Dst.In(e.Family) != dst.Addr() || nat.Ports != (c.bits == HasPorts) {
			t.Errorf("%s: %+v", c.name, nat)
		}
		if nat.Ports && (nat.SrcPort != src.Port() || nat.DstPort != dst.Port()) {
			t.Errorf("%s: ports %d %d", c.name, nat.SrcPort, nat.DstPort)
		}
	}
}

func TestNATNeedsBothTuples(t *testing.T) {
	for name, absent := range map[string]func(*Event){
		"orig":  func(e *Event) { e.Has &^= HasOrig },
		"reply": func(e *Event) { e.Has &^= HasReply },
		"src":   func(e *Event) { e.Orig.Has &^= HasSrc },
		"dst":   func(e *Event) { e.Reply.Has &^= HasDst },
	} {
		e := natEvent(ProtoTCP, HasPorts, ends("10.0.0.1:1", "10.0.0.2:2"), ends("10.0.0.9:2", "10.0.0.8:1"))
		absent(e)
		if nat, ok := e.NAT(); ok || nat != (NAT{}) || e.NATKind() != NATNone {
			t.Errorf("without %s: %+v", name, nat)
		}
	}
}

func TestNATEvent(t *testing.T) {
	v4 := natEvent(ProtoTCP, HasPorts, ends("10.0.0.1:1", "10.0.0.2:2"), ends("10.0.0.2:2", "10.0.0.8:1"))
	v6 := natEvent(ProtoTCP, HasPorts, ends("[::1]:1", "[::2]:2"), ends("[::2]:2", "[::8]:1"))
	for typ, want := range map[Type]uint8{TypeNew: 4, TypeUpdate: 0, TypeDestroy: 5, TypeDump: 0} {
		v4.Type, v6.Type = typ, typ
		if n, _ := v4.NAT(); n.IPFIXEvent != want {
			t.Errorf("%v: %d", typ, n.IPFIXEvent)
		}
		if n, _ := v6.NAT(); n.IPFIXEvent != 0 {
			t.Errorf("%v over IPv6: %d", typ, n.IPFIXEvent)
		}
	}
	for k, want := range map[NATKind]string{NATNone: "", NATSource: "snat", NATDest: "dnat", NATBoth: "both", 9: ""} {
		if k.String() != want {
			t.Errorf("%d: %q", k, k)
		}
	}
}

// TestNATTuple turns the reply round: what a sensor behind the translation sees.
func TestNATTuple(t *testing.T) {
	e := natEvent(ProtoTCP, HasPorts, ends("10.0.0.1:1", "10.0.0.2:2"), ends("10.0.0.9:8", "10.0.0.7:6"))
	got, want := e.NATTuple(), tupleOf(ProtoTCP, "10.0.0.7", "10.0.0.9", 6, 8)
	if !got.Equal(&want) {
		t.Errorf("%+v", got)
	}
	e.Orig.ICMPType, e.Orig.ICMPCode, e.Reply.ICMPType, e.Reply.ICMPCode = 8, 1, 0, 2
	if got := e.NATTuple(); got.ICMPType != 0 {
		t.Error("a type that is not there was read")
	}
	e.Reply.Has |= HasICMP
	if got := e.NATTuple(); got.ICMPType != 0 || got.ICMPCode != 2 {
		t.Error("the original type was taken though it is not there")
	}
	e.Orig.Has |= HasICMP
	if got := e.NATTuple(); got.ICMPType != 8 || got.ICMPCode != 1 {
		t.Errorf("type %d code %d", got.ICMPType, got.ICMPCode)
	}
	// What only one end has changes its end, and so must its bit.
	e.Reply.Has = HasProto | HasSrc | HasDstPort
	if got := e.NATTuple(); got.Has != HasProto|HasDst|HasSrcPort || got.Dst != e.Reply.Src || got.SrcPort != e.Reply.DstPort {
		t.Errorf("%+v", got)
	}
}

// A record whose tuples were cut down tells its translation itself, and is
// believed: with the addresses alone, say, a translated port does not show.
func TestToldNAT(t *testing.T) {
	e := fullEvent(ProtoTCP)
	e.Has |= HasNAT
	e.Extra.NAT = ToldNAT{Has: HasNATKind | HasNATSrc, Family: IPv4, NAT: NAT{Kind: NATSource, Src: Addr{203, 0, 113, 9}}}
	if n, ok := e.NAT(); !ok || n.Kind != NATSource || e.ToldNAT() == nil {
		t.Errorf("%+v", n)
	}
	e.Has &^= HasNAT
	if n, ok := e.NAT(); !ok || n.Kind != NATBoth || e.ToldNAT() != nil {
		t.Errorf("%+v", n)
	}
	e.Has |= HasNAT
	e.Orig.Has &^= HasDst
	if n, ok := e.NAT(); !ok || n.Kind != NATSource || n.Src != (Addr{203, 0, 113, 9}) || e.ToldNAT() == nil {
		t.Errorf("%+v", n)
	}
	if !mustFilter(t, m{"nat": "snat"}).Match(e) || mustFilter(t, m{"nat": "dnat"}).Match(e) {
		t.Error("the filter does not see it")
	}
	e.Extra = nil
	if _, ok := e.NAT(); ok || e.NATKind() != NATNone {
		t.Error("a slot without its side slot tells something")
	}
}

func TestInside(t *testing.T) {
	at := func(o1, o2, r1, r2 string) *Event {
		return &Event{Family: IPv4, Has: HasOrig | HasReply, Orig: tupleOf(ProtoTCP, o1, o2, 1, 2), Reply: tupleOf(ProtoTCP, r1, r2, 2, 1)}
	}
	for _, c := range []struct {
		name string
		e    *Event
		want string
	}{
		{"none", at("10.0.0.1", "192.0.2.1", "192.0.2.1", "10.0.0.1"), "10.0.0.1"},
		{"snat", at("10.0.0.1", "192.0.2.1", "192.0.2.1", "203.0.113.9"), "10.0.0.1"},
		{"dnat", at("192.0.2.1", "203.0.113.9", "10.0.0.7", "192.0.2.1"), "10.0.0.7"},
		{"both", at("10.0.0.1", "203.0.113.9", "10.0.0.7", "203.0.113.9"), "10.0.0.1"},
	} {
		if a, f, ok := c.e.Inside(); !ok || f != IPv4 || a.In(f).String() != c.want {
			t.Errorf("%s: %v %v", c.name, a.In(f), ok)
		}
	}
	if _, _, ok := (&Event{Type: TypeGap}).Inside(); ok {
		t.Error("a gap has an inside address")
	}
}
