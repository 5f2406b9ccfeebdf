package testnet

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Match tells which packets a rule is for. A zero field matches anything.
type Match struct {
	Proto    uint8      // IP protocol number, such as unix.IPPROTO_TCP
	Src, Dst netip.Addr // of one family if both are given
	SrcPort  uint16     // needs Proto
	DstPort  uint16     // needs Proto
}

// back matches the packets of the other direction.
func (m Match) back() Match {
	m.Src, m.Dst = m.Dst, m.Src
	m.SrcPort, m.DstPort = m.DstPort, m.SrcPort
	return m
}

// exprs is the match in nftables' words, using register 1.
func (m Match) exprs() ([]expr.Any, error) {
	if m.Proto == 0 && (m.SrcPort != 0 || m.DstPort != 0) {
		return nil, errors.New("match: a port needs a protocol")
	}
	if m.Src.IsValid() && m.Dst.IsValid() && m.Src.Is4() != m.Dst.Is4() {
		return nil, errors.New("match: source and destination are of different families")
	}
	var out []expr.Any
	if m.Proto != 0 {
		out = append(out, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{m.Proto}))
	}
	out = append(out, matchAddr(m.Src, 12, 8)...)
	out = append(out, matchAddr(m.Dst, 16, 24)...)
	out = append(out, matchPort(m.SrcPort, 0)...)
	return append(out, matchPort(m.DstPort, 2)...), nil
}

// matchAddr compares an address at its offset in the IPv4 or IPv6 header.
func matchAddr(addr netip.Addr, offset4, offset6 uint32) []expr.Any {
	if !addr.IsValid() {
		return nil
	}
	offset, raw := offset4, addr.AsSlice()
	if addr.Is6() {
		offset = offset6
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal([]byte{nfproto(addr)}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(len(raw))},
		equal(raw),
	}
}

// matchPort compares a port at its offset in the transport header.
func matchPort(port uint16, offset uint32) []expr.Any {
	if port == 0 {
		return nil
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		equal(binary.BigEndian.AppendUint16(nil, port)),
	}
}

// equal compares register 1.
func equal(data []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data}
}

// nfproto is netfilter's number (NFPROTO_*) for the family of addr.
func nfproto(addr netip.Addr) byte {
	if addr.Is4() {
		return unix.NFPROTO_IPV4
	}
	return unix.NFPROTO_IPV6
}
