package testnet

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Attributes of include/uapi/linux/netfilter/nfnetlink_conntrack.h.
const (
	ctaTupleOrig  = 1
	ctaTupleReply = 2
	ctaStatus     = 3
	ctaProtoinfo  = 4
	ctaTimeout    = 7
	ctaMark       = 8
	ctaZone       = 18

	ctaTupleIP    = 1
	ctaTupleProto = 2

	ctaIPv4Src = 1 // and 2 the destination; 3 and 4 for IPv6
	ctaIPv6Src = 3

	ctaProtoNum      = 1
	ctaProtoSrcPort  = 2
	ctaProtoDstPort  = 3
	ctaProtoICMPID   = 4 // then type and code; the same from 7 on for ICMPv6
	ctaProtoICMPv6ID = 7

	ctaProtoinfoTCP      = 1
	ctaProtoinfoTCPState = 1
	ctaProtoinfoSCTP     = 3
	ctaSCTPState         = 1
	ctaSCTPVtagOrig      = 2
	ctaSCTPVtagReply     = 3
)

// Values in those attributes.
const (
	ctNew    = 0      // IPCTNL_MSG_CT_NEW
	ctDelete = 2      // IPCTNL_MSG_CT_DELETE
	ctStatus = 8 | 14 // CONFIRMED, SEEN_REPLY, ASSURED: the entry outlives a full table

	tcpEstablished  = 3 // TCP_CONNTRACK_ESTABLISHED
	sctpEstablished = 4 // SCTP_CONNTRACK_ESTABLISHED

	churnSrcPort = 1024 // plus the entry's number modulo churnPorts
	churnPorts   = 60000
	churnDstPort = 4739
)

// template is a message of one kind with the places where an entry's number goes.
type template struct {
	msg   []byte
	addrs []int // low 24 bits of an address, big endian
	ports []int // a port or ICMP identifier, big endian
}

// appendEntry appends the message for an entry.
func (t *template) appendEntry(to []byte, entry uint32) []byte {
	at := len(to)
	to = append(to, t.msg...)
	m := to[at:]
	binary.NativeEndian.PutUint32(m[8:], entry) // nlmsg_seq
	for _, i := range t.addrs {
		m[i], m[i+1], m[i+2] = byte(entry>>16), byte(entry>>8), byte(entry)
	}
	port := uint16(churnSrcPort + entry%churnPorts)
	for _, i := range t.ports {
		binary.BigEndian.PutUint16(m[i:], port)
	}
	return to
}

// templates are the messages of a step for each kind.
func (c Churn) templates(step churnStep) (out []template) {
	protos := map[string]uint8{
		"udp": unix.IPPROTO_UDP, "tcp": unix.IPPROTO_TCP, "sctp": unix.IPPROTO_SCTP,
		"icmp": unix.IPPROTO_ICMP, "icmpv6": unix.IPPROTO_ICMPV6,
	}
	sources := map[int]netip.Addr{4: netip.MustParseAddr("10.0.0.0"), 6: netip.MustParseAddr("2001:db8:77::")}
	for _, k := range c.Kinds {
		out = append(out, c.template(step, protos[k.Proto], sources[k.Family]))
	}
	return out
}

// template builds the message of a step: nlmsghdr, nfgenmsg, attributes.
func (c Churn) template(step churnStep, proto uint8, src netip.Addr) template {
	kind, flags := uint16(ctNew), uint16(unix.NLM_F_REQUEST)
	switch step {
	case createEntry:
		flags |= unix.NLM_F_CREATE | unix.NLM_F_EXCL
	case deleteEntry:
		kind = ctDelete
	}
	b := &attrs{msg: make([]byte, unix.NLMSG_HDRLEN+4, 512)}
	binary.NativeEndian.PutUint16(b.msg[4:], unix.NFNL_SUBSYS_CTNETLINK<<8|kind)
	binary.NativeEndian.PutUint16(b.msg[6:], flags)
	b.msg[unix.NLMSG_HDRLEN] = nfproto(src)
	b.tuple(ctaTupleOrig, proto, src)
	switch step {
	case createEntry:
		b.tuple(ctaTupleReply, proto, src)
		b.u32(ctaStatus, ctStatus)
		b.u32(ctaTimeout, uint32(c.Timeout/time.Second))
		b.protoinfo(proto)
		b.u32(ctaMark, c.Mark)
	case updateEntry:
		b.u32(ctaMark, ^c.Mark)
	}
	if c.Zone != 0 {
		b.u16(ctaZone, c.Zone)
	}
	binary.NativeEndian.PutUint32(b.msg, uint32(len(b.msg)))
	return template{b.msg, b.addrs, b.ports}
}

// tuple appends a direction's addresses and ports.
func (b *attrs) tuple(direction uint16, proto uint8, src netip.Addr) {
	reply := direction == ctaTupleReply
	b.nest(direction, func() {
		b.nest(ctaTupleIP, func() { b.addresses(src, reply) })
		b.nest(ctaTupleProto, func() {
			b.u8(ctaProtoNum, proto)
			switch proto {
			case unix.IPPROTO_ICMP:
				b.echo(ctaProtoICMPID, pick(reply, byte(echoReply4), echoRequest4))
			case unix.IPPROTO_ICMPV6:
				b.echo(ctaProtoICMPv6ID, pick(reply, byte(echoReply6), echoRequest6))
			default:
				b.ports = append(b.ports, b.u16(pick[uint16](reply, ctaProtoDstPort, ctaProtoSrcPort), 0))
				b.u16(pick[uint16](reply, ctaProtoSrcPort, ctaProtoDstPort), churnDstPort)
			}
		})
	})
}

// addresses appends an entry's own address and the common one.
func (b *attrs) addresses(own netip.Addr, reply bool) {
	first, common := uint16(ctaIPv4Src), netip.AddrFrom4([4]byte{198, 51, 100, 1})
	if own.Is6() {
		first, common = ctaIPv6Src, netip.MustParseAddr("2001:db8:78::1")
	}
	at := b.put(pick(reply, first+1, first), own.AsSlice())
	b.addrs = append(b.addrs, at+own.BitLen()/8-3)
	b.put(pick(reply, first, first+1), common.AsSlice())
}

// echo appends an ICMP identifier, type and code.
func (b *attrs) echo(first uint16, kind byte) {
	b.ports = append(b.ports, b.u16(first, 0))
	b.u8(first+1, kind)
	b.u8(first+2, 0)
}

// protoinfo appends the state of an established connection.
func (b *attrs) protoinfo(proto uint8) {
	switch proto {
	case unix.IPPROTO_TCP:
		b.nest(ctaProtoinfo, func() {
			b.nest(ctaProtoinfoTCP, func() { b.u8(ctaProtoinfoTCPState, tcpEstablished) })
		})
	case unix.IPPROTO_SCTP:
		b.nest(ctaProtoinfo, func() {
			b.nest(ctaProtoinfoSCTP, func() {
				b.u8(ctaSCTPState, sctpEstablished)
				b.u32(ctaSCTPVtagOrig, 1)
				b.u32(ctaSCTPVtagReply, 2)
			})
		})
	}
}

// pick is yes if cond, else no.
func pick[T any](cond bool, yes, no T) T {
	if cond {
		return yes
	}
	return no
}
