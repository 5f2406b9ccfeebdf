package ctnetlink

import (
	"encoding/binary"

	"github.com/ctferry/ctferry/source/flow"
)

// tuple decodes the payload of a CTA_TUPLE_* (enum ctattr_tuple).
func tuple(t *flow.Tuple, family flow.Family, p []byte) error {
	t.Has, t.Family, t.Proto = 0, family, 0
	if quickTuple(t, p) {
		return nil
	}
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		var err error
		switch kind {
		case ctaTupleIP:
			err = tupleIP(t, val)
		case ctaTupleProto:
			err = tupleProto(t, val)
		case ctaTupleZone:
			if !get16(val, &t.Zone) {
				return errLength
			}
			t.Has |= flow.HasTupleZone
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// The attribute headers of the tuples that nearly every event has, two of them:
// addresses, protocol number, and two ports or ICMP's three values. They are
// compared as little-endian words; on a big-endian host they never match, and
// the walk decodes the tuple.
const (
	quick4Len = 20 // CTA_TUPLE_IP in front of CTA_TUPLE_PROTO
	quick6Len = 44
	portsLen  = 28 // CTA_TUPLE_PROTO
	icmpLen   = 36

	quick4IP  = 20 | (ctaTupleIP|nlaNested)<<16 | (8|ctaIPv4Src<<16)<<32
	quick4Dst = 8 | ctaIPv4Dst<<16
	quick6IP  = 44 | (ctaTupleIP|nlaNested)<<16 | (20|ctaIPv6Src<<16)<<32
	quick6Dst = 20 | ctaIPv6Dst<<16

	quickNum   = (5 | ctaProtoNum<<16) << 32
	quickPorts = portsLen | (ctaTupleProto|nlaNested)<<16 | quickNum
	quickSPort = 6 | ctaProtoSrcPort<<16
	quickDPort = 6 | ctaProtoDstPort<<16

	quickICMP  = icmpLen | (ctaTupleProto|nlaNested)<<16 | quickNum
	quick4ID   = 6 | ctaProtoICMPID<<16
	quick4Type = 5 | ctaProtoICMPType<<16
	quick4Code = 5 | ctaProtoICMPCode<<16
	quick6ID   = 6 | ctaProtoICMPv6ID<<16
	quick6Type = 5 | ctaProtoICMPv6Type<<16
	quick6Code = 5 | ctaProtoICMPv6Code<<16
)

// quickTuple decodes a common tuple without a walk; false means that it is
// another one, and that nothing of t is present.
func quickTuple(t *flow.Tuple, p []byte) bool {
	switch {
	case t.Family == flow.IPv4 && len(p) > quick4Len:
		if le64(p[0:]) != quick4IP || le32(p[12:]) != quick4Dst || !quickProto(t, p[quick4Len:]) {
			return false
		}
		t.Src, t.Dst = flow.Addr{}, flow.Addr{}
		copy(t.Src[:4], p[8:])
		copy(t.Dst[:4], p[16:])
	case t.Family == flow.IPv6 && len(p) > quick6Len:
		if le64(p[0:]) != quick6IP || le32(p[24:]) != quick6Dst || !quickProto(t, p[quick6Len:]) {
			return false
		}
		t.Src, t.Dst = flow.Addr(p[8:24]), flow.Addr(p[28:44])
	default:
		return false
	}
	return true
}

// quickProto decodes a common CTA_TUPLE_PROTO.
func quickProto(t *flow.Tuple, p []byte) bool {
	switch len(p) {
	case portsLen:
		p := (*[portsLen]byte)(p)
		if le64(p[0:]) != quickPorts || le32(p[12:]) != quickSPort || le32(p[20:]) != quickDPort {
			return false
		}
		t.Proto = p[8]
		t.SrcPort = binary.BigEndian.Uint16(p[16:])
		t.DstPort = binary.BigEndian.Uint16(p[24:])
		t.Has = flow.HasAddrs | flow.HasProto | flow.HasPorts
		return true
	case icmpLen:
		return quickEcho(t, (*[icmpLen]byte)(p))
	}
	return false
}

// quickEcho decodes ICMP's and ICMPv6's CTA_TUPLE_PROTO.
func quickEcho(t *flow.Tuple, p *[icmpLen]byte) bool {
	id, kind, code := uint32(quick4ID), uint32(quick4Type), uint32(quick4Code)
	if t.Family == flow.IPv6 {
		id, kind, code = quick6ID, quick6Type, quick6Code
	}
	if le64(p[0:]) != quickICMP || le32(p[12:]) != id || le32(p[20:]) != kind || le32(p[28:]) != code {
		return false
	}
	t.Proto, t.ICMPType, t.ICMPCode = p[8], p[24], p[32]
	t.ICMPID = binary.BigEndian.Uint16(p[16:])
	t.Has = flow.HasAddrs | flow.HasProto | flow.HasICMP
	return true
}

func le32(p []byte) uint32 { return binary.LittleEndian.Uint32(p) }
func le64(p []byte) uint64 { return binary.LittleEndian.Uint64(p) }

// tupleIP decodes CTA_TUPLE_IP (enum ctattr_ip). Addresses of the other family
// are out of place: a tuple has one, and the message names it.
func tupleIP(t *flow.Tuple, p []byte) error {
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		var to *flow.Addr
		var has flow.TupleHas
		switch kind {
		case ctaIPv4Src, ctaIPv6Src:
			to, has = &t.Src, flow.HasSrc
		case ctaIPv4Dst, ctaIPv6Dst:
			to, has = &t.Dst, flow.HasDst
		default:
			continue
		}
		if (t.Family == flow.IPv4) != (kind <= ctaIPv4Dst) {
			return errNest
		}
		if len(val) != t.Family.AddrLen() {
			return errLength
		}
		*to = flow.Addr{}
		copy(to[:], val)
		t.Has |= has
	}
	return nil
}

// tupleProto decodes CTA_TUPLE_PROTO (enum ctattr_l4proto). GRE's keys travel
// as ports.
func tupleProto(t *flow.Tuple, p []byte) error {
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		var has flow.TupleHas
		switch kind {
		case ctaProtoNum:
			has, ok = flow.HasProto, get8(val, &t.Proto)
		case ctaProtoSrcPort:
			has, ok = flow.HasSrcPort, get16(val, &t.SrcPort)
		case ctaProtoDstPort:
			has, ok = flow.HasDstPort, get16(val, &t.DstPort)
		case ctaProtoICMPID, ctaProtoICMPv6ID:
			has, ok = flow.HasICMPID, get16(val, &t.ICMPID)
		case ctaProtoICMPType, ctaProtoICMPv6Type:
			has, ok = flow.HasICMPType, get8(val, &t.ICMPType)
		case ctaProtoICMPCode, ctaProtoICMPv6Code:
			has, ok = flow.HasICMPCode, get8(val, &t.ICMPCode)
		}
		if !ok {
			return errLength
		}
		t.Has |= has
	}
	return nil
}
