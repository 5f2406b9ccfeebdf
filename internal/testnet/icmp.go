package testnet

import (
	"context"
	"encoding/binary"
	"net"

	"golang.org/x/sys/unix"
)

// Echo request and reply (RFC 792, RFC 4443).
const (
	echoRequest4 = 8
	echoReply4   = 0
	echoRequest6 = 128
	echoReply6   = 129
)

// ICMP makes n flows of one echo request, each with an identifier of its own, that the
// kernel answers.
func (t Traffic) ICMP(ctx context.Context, n int) (int, error) {
	return t.run(ctx, "icmp", n, openICMP)
}

// icmpSession is a raw socket that asks and hears the answers.
type icmpSession struct {
	t              Traffic
	conn           *net.IPConn
	request, reply byte
}

// openICMP opens an icmpSession.
func openICMP(ctx context.Context, t Traffic) (session, error) {
	s := &icmpSession{t: t, request: echoRequest4, reply: echoReply4}
	proto := uint8(unix.IPPROTO_ICMP)
	if t.Src.Is6() {
		s.request, s.reply, proto = echoRequest6, echoReply6, unix.IPPROTO_ICMPV6
	}
	var err error
	s.conn, err = listenRaw(ctx, t.Src, proto)
	return s, err
}

// Close closes the socket.
func (s *icmpSession) Close() error { return s.conn.Close() }

// flow sends a request and waits for its answer; requests that loop back are passed over.
func (s *icmpSession) flow(ctx context.Context) error {
	if err := limit(ctx, s.conn); err != nil {
		return err
	}
	id := s.t.NS.next()
	if _, err := s.conn.WriteToIP(s.echo(id), &net.IPAddr{IP: s.t.Dst.AsSlice()}); err != nil {
		return err
	}
	buf := make([]byte, 128)
	for {
		n, _, err := s.conn.ReadFromIP(buf)
		if err != nil {
			return err
		}
		if n >= 8 && buf[0] == s.reply && binary.BigEndian.Uint16(buf[4:]) == id {
			return nil
		}
	}
}

// echo builds a request. The kernel fills in the ICMPv6 checksum itself.
func (s *icmpSession) echo(id uint16) []byte {
	b := []byte{s.request, 0, 0, 0, 0, 0, 0, 1}
	binary.BigEndian.PutUint16(b[4:], id)
	if s.request == echoRequest4 {
		binary.BigEndian.PutUint16(b[2:], internetChecksum(b))
	}
	return b
}
