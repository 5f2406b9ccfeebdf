package flow

import "net/netip"

// TupleHas is the set of the values that a Tuple carries.
type TupleHas uint16

// The presence bits of a tuple.
const (
	HasSrc       TupleHas = 1 << iota // Tuple.Src
	HasDst                            // Tuple.Dst
	HasSrcPort                        // Tuple.SrcPort
	HasDstPort                        // Tuple.DstPort
	HasICMPType                       // Tuple.ICMPType
	HasICMPCode                       // Tuple.ICMPCode
	HasICMPID                         // Tuple.ICMPID
	HasTupleZone                      // Tuple.Zone
	HasProto                          // Tuple.Proto
)

// HasAddrs are both addresses, HasPorts both ports (or GRE keys), HasICMP all of ICMP's three.
const (
	HasAddrs = HasSrc | HasDst
	HasPorts = HasSrcPort | HasDstPort
	HasICMP  = HasICMPType | HasICMPCode | HasICMPID
)

// Tuple is one direction of a flow (CTA_TUPLE_*), or an expectation's tuple or mask.
type Tuple struct {
	Has      TupleHas
	Family   Family
	Proto    uint8 // IP protocol number
	ICMPType uint8
	ICMPCode uint8
	SrcPort  uint16 // port, or the GRE key that travels in its place
	DstPort  uint16
	ICMPID   uint16
	Zone     uint16 // CTA_TUPLE_ZONE: only sent when the zone holds in one direction
	Src, Dst Addr
}

// Addr is an address in network byte order. IPv4 stands in the first four
// bytes and the rest is zero; the family stands beside it.
type Addr [16]byte

// AddrFrom gives a's bytes and family. An IPv4-mapped IPv6 address stays IPv6.
func AddrFrom(a netip.Addr) (Addr, Family) {
	var out Addr
	if a.Is4() {
		v4 := a.As4()
		copy(out[:], v4[:])
		return out, IPv4
	}
	return a.As16(), IPv6
}

// In gives the address as net/netip writes it.
func (a *Addr) In(f Family) netip.Addr {
	if f == IPv4 {
		return netip.AddrFrom4([4]byte(a[:4]))
	}
	return netip.AddrFrom16(*a)
}

// Got reports whether all of bits are present.
func (t *Tuple) Got(bits TupleHas) bool { return t.Has&bits == bits }

// SrcAddr is the source address; ask for it only with HasSrc.
func (t *Tuple) SrcAddr() netip.Addr { return t.Src.In(t.Family) }

// DstAddr is the destination address; ask for it only with HasDst.
func (t *Tuple) DstAddr() netip.Addr { return t.Dst.In(t.Family) }

// HasKeys reports whether the ports are GRE keys.
func (t *Tuple) HasKeys() bool { return t.Got(HasProto) && t.Proto == ProtoGRE }

// Equal compares what is present in both tuples; presence itself must agree too.
func (t *Tuple) Equal(o *Tuple) bool {
	if t.Has != o.Has {
		return false
	}
	return (t.Has&HasAddrs == 0 || t.Family == o.Family) &&
		(!t.Got(HasProto) || t.Proto == o.Proto) &&
		(!t.Got(HasSrc) || t.Src == o.Src) &&
		(!t.Got(HasDst) || t.Dst == o.Dst) &&
		(!t.Got(HasSrcPort) || t.SrcPort == o.SrcPort) &&
		(!t.Got(HasDstPort) || t.DstPort == o.DstPort) &&
		(!t.Got(HasICMPType) || t.ICMPType == o.ICMPType) &&
		(!t.Got(HasICMPCode) || t.ICMPCode == o.ICMPCode) &&
		(!t.Got(HasICMPID) || t.ICMPID == o.ICMPID) &&
		(!t.Got(HasTupleZone) || t.Zone == o.Zone)
}
