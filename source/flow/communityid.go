package flow

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
)

// AppendCommunityID appends the Community ID v1 of a tuple
// (github.com/corelight/community-id-spec) to dst; it reports false, and
// appends nothing, for a tuple without addresses. The caller vouches for
// Tuple.Proto. An IPv4-mapped IPv6 address is hashed as the 16 bytes it is, as
// the reference implementation does.
func AppendCommunityID(dst []byte, seed uint16, t *Tuple) ([]byte, bool) {
	if !t.Got(HasAddrs) {
		return dst, false
	}
	src, dstAddr := t.Src[:t.Family.AddrLen()], t.Dst[:t.Family.AddrLen()]
	sport, dport, ports, oneWay := communityPorts(t)
	order := bytes.Compare(src, dstAddr)
	if !oneWay && (order > 0 || order == 0 && ports && sport > dport) {
		src, dstAddr, sport, dport = dstAddr, src, dport, sport
	}
	var b [40]byte
	binary.BigEndian.PutUint16(b[:], seed)
	n := 2 + copy(b[2:], src)
	n += copy(b[n:], dstAddr)
	b[n], b[n+1] = t.Proto, 0
	n += 2
	if ports {
		binary.BigEndian.PutUint16(b[n:], sport)
		binary.BigEndian.PutUint16(b[n+2:], dport)
		n += 4
	}
	sum := sha1.Sum(b[:n])
	dst = append(dst, "1:"...)
	return base64.StdEncoding.AppendEncode(dst, sum[:]), true
}

// communityPorts gives what the specification hashes in the ports' place.
// oneWay says that the direction is part of the identity, ports that there is anything to hash.
func communityPorts(t *Tuple) (sport, dport uint16, ports, oneWay bool) {
	switch t.Proto {
	case ProtoTCP, ProtoUDP, ProtoSCTP:
		return t.SrcPort, t.DstPort, t.Got(HasPorts), false
	case ProtoICMP, ProtoICMPv6:
		if !t.Got(HasICMPType | HasICMPCode) {
			return 0, 0, false, false
		}
		if counter, ok := icmpCounterpart(t.Proto, t.ICMPType); ok {
			return uint16(t.ICMPType), uint16(counter), true, false
		}
		return uint16(t.ICMPType), uint16(t.ICMPCode), true, true
	}
	return 0, 0, false, false
}

// icmpCounterpart is the type that answers a type, where one does.
func icmpCounterpart(proto, typ uint8) (uint8, bool) {
	if proto == ProtoICMP {
		switch typ {
		case 8, 0:
			return 8 - typ, true
		case 13, 14:
			return 27 - typ, true
		case 15, 16:
			return 31 - typ, true
		case 17, 18:
			return 35 - typ, true
		case 10, 9:
			return 19 - typ, true
		}
		return 0, false
	}
	switch typ {
	case 128, 129:
		return 129 - (typ - 128), true
	case 133, 134:
		return 134 - (typ - 133), true
	case 135, 136:
		return 136 - (typ - 135), true
	case 130, 131:
		return 131 - (typ - 130), true
	case 139, 140: // node information query, RFC 4620
		return 140 - (typ - 139), true
	case 144, 145:
		return 145 - (typ - 144), true
	}
	return 0, false
}
