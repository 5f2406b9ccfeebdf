package testnet

import (
	"context"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// GRE makes n flows of one packet of PPTP's GRE (RFC 2637), each with a call id of its
// own, which is the destination key of the entry.
func (t Traffic) GRE(ctx context.Context, n int) (int, error) {
	return t.run(ctx, "gre", n, func(ctx context.Context, t Traffic) (session, error) {
		pair, err := openRaw(ctx, t, unix.IPPROTO_GRE)
		return &rawSession{pair, t, pptpPacket}, err
	})
}

// ESP sends one packet of ESP. The kernel tracks such protocols by address alone, so a
// pair of addresses has one flow.
func (t Traffic) ESP(ctx context.Context) (int, error) {
	return t.run(ctx, "esp", 1, func(ctx context.Context, t Traffic) (session, error) {
		pair, err := openRaw(ctx, t, unix.IPPROTO_ESP)
		return &rawSession{pair, t, espPacket}, err
	})
}

// rawSession sends one packet a flow, which nobody answers.
type rawSession struct {
	rawPair
	t      Traffic
	packet func(id uint16) []byte
}

// flow sends one packet.
func (s *rawSession) flow(context.Context) error {
	return s.send(s.t, false, s.packet(s.t.NS.next()))
}

// pptpPacket is a version 1 GRE header with key and sequence number, and two bytes of PPP.
func pptpPacket(call uint16) []byte {
	b := []byte{0x30, 0x01, 0x88, 0x0b, 0, 2, 0, 0, 0, 0, 0, 1, 0xff, 0x03}
	binary.BigEndian.PutUint16(b[6:], call)
	return b
}

// espPacket is an SPI, a sequence number and a padded nothing.
func espPacket(id uint16) []byte {
	b := make([]byte, 24)
	binary.BigEndian.PutUint32(b, 0x100+uint32(id))
	binary.BigEndian.PutUint32(b[4:], 1)
	return b
}
