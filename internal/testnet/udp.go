package testnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// UDP makes n flows of one datagram each from a fresh source port. With echo the server
// answers; without, the flow stays UNREPLIED.
func (t Traffic) UDP(ctx context.Context, n int, echo bool) (int, error) {
	return t.run(ctx, "udp", n, openUDP(echo))
}

// udpSession is the server's socket.
type udpSession struct {
	t      Traffic
	server *net.UDPConn
	echo   bool
}

// openUDP opens a udpSession.
func openUDP(echo bool) opener {
	return func(_ context.Context, t Traffic) (session, error) {
		server, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(t.Listen))
		if err != nil {
			return nil, err
		}
		return &udpSession{t, server, echo}, nil
	}
}

// Close closes the server's socket.
func (s *udpSession) Close() error { return s.server.Close() }

// flow sends one datagram, and has it echoed if asked.
func (s *udpSession) flow(ctx context.Context) error {
	client, err := s.dial()
	if err != nil {
		return err
	}
	defer client.Close()
	if err := errors.Join(limit(ctx, client), limit(ctx, s.server)); err != nil {
		return err
	}
	if _, err := client.Write([]byte("ferry?")); err != nil {
		return err
	}
	buf := make([]byte, 64)
	n, from, err := s.server.ReadFromUDPAddrPort(buf)
	if err != nil || !s.echo {
		return err
	}
	if _, err := s.server.WriteToUDPAddrPort(buf[:n], from); err != nil {
		return err
	}
	_, err = client.Read(buf)
	return err
}

// dial connects a client from the traffic's next source port.
func (s *udpSession) dial() (client *net.UDPConn, err error) {
	target := s.t.target(s.server.LocalAddr().(*net.UDPAddr).AddrPort())
	err = s.t.bind(func(src netip.AddrPort) (err error) {
		client, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(src), net.UDPAddrFromAddrPort(target))
		return err
	})
	return client, err
}
