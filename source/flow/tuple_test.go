package flow

import (
	"net/netip"
	"testing"
)

func TestAddr(t *testing.T) {
	cases := []struct {
		in   string
		f    Family
		want string
	}{
		{"192.0.2.1", IPv4, "192.0.2.1"},
		{"2001:db8::1", IPv6, "2001:db8::1"},
		{"::ffff:192.0.2.1", IPv6, "::ffff:192.0.2.1"},
		{"0.0.0.0", IPv4, "0.0.0.0"},
	}
	for _, c := range cases {
		a, f := AddrFrom(netip.MustParseAddr(c.in))
		if got := a.In(f); f != c.f || got.String() != c.want {
			t.Errorf("%s: %v %v", c.in, f, got)
		}
		if f == IPv4 && [12]byte(a[4:]) != [12]byte{} {
			t.Errorf("%s: the rest is not zero: %v", c.in, a)
		}
	}
	tuple := tupleOf(ProtoUDP, "10.0.0.1", "10.0.0.2", 1, 2)
	if tuple.SrcAddr().String() != "10.0.0.1" || tuple.DstAddr().String() != "10.0.0.2" {
		t.Error("SrcAddr or DstAddr")
	}
}

// TestTupleEqual changes each value in turn, present and absent.
func TestTupleEqual(t *testing.T) {
	full := func() Tuple {
		u := tupleOf(ProtoICMP, "10.0.0.1", "10.0.0.2", 1, 2)
		u.Has |= HasICMP | HasTupleZone
		return u
	}
	cases := []struct {
		name   string
		bit    TupleHas
		change func(*Tuple)
	}{
		{"src", HasSrc, func(u *Tuple) { u.Src[3]++ }},
		{"dst", HasDst, func(u *Tuple) { u.Dst[3]++ }},
		{"sport", HasSrcPort, func(u *Tuple) { u.SrcPort++ }},
		{"dport", HasDstPort, func(u *Tuple) { u.DstPort++ }},
		{"type", HasICMPType, func(u *Tuple) { u.ICMPType++ }},
		{"code", HasICMPCode, func(u *Tuple) { u.ICMPCode++ }},
		{"id", HasICMPID, func(u *Tuple) { u.ICMPID++ }},
		{"zone", HasTupleZone, func(u *Tuple) { u.Zone++ }},
		{"proto", HasProto, func(u *Tuple) { u.Proto++ }},
		{"family", HasAddrs, func(u *Tuple) { u.Family = IPv6 }},
	}
	for _, c := range cases {
		a, b := full(), full()
		c.change(&b)
		if a.Equal(&b) || b.Equal(&a) {
			t.Errorf("%s is not compared", c.name)
		}
		a.Has &^= c.bit
		if a.Equal(&b) || b.Equal(&a) {
			t.Errorf("%s: absent equals present", c.name)
		}
		b.Has &^= c.bit
		if !a.Equal(&b) {
			t.Errorf("%s is compared though neither has it", c.name)
		}
	}
	if a, b := full(), full(); !a.Equal(&b) {
		t.Error("equal tuples differ")
	}
}

func TestHasKeys(t *testing.T) {
	g := tupleOf(ProtoGRE, "10.0.0.1", "10.0.0.2", 1, 2)
	if !g.HasKeys() {
		t.Error("a GRE tuple has no keys")
	}
	if g.Has &^= HasProto; g.HasKeys() {
		t.Error("a tuple without a protocol has keys")
	}
	if u := tupleOf(ProtoTCP, "10.0.0.1", "10.0.0.2", 1, 2); u.HasKeys() {
		t.Error("a TCP tuple has keys")
	}
}
