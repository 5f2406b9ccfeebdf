package testnet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// UDPLite makes n flows of one unanswered UDP-Lite datagram (RFC 3828) each. Kernels
// without UDP-Lite sockets refuse with EPROTONOSUPPORT.
func (t Traffic) UDPLite(ctx context.Context, n int) (int, error) {
	return t.run(ctx, "udplite", n, openUDPLite)
}

// udpLiteSession is the server's socket, an ordinary descriptor: Go has no such network.
type udpLiteSession struct {
	t      Traffic
	server int
	target unix.Sockaddr
}

// openUDPLite opens a udpLiteSession.
func openUDPLite(_ context.Context, t Traffic) (session, error) {
	server, err := socketUDPLite(t.Listen)
	if err != nil {
		return nil, err
	}
	port, err := boundPort(server)
	if err != nil {
		return nil, errors.Join(err, unix.Close(server))
	}
	listening := netip.AddrPortFrom(t.Listen.Addr(), port)
	return &udpLiteSession{t, server, sockaddr(t.target(listening))}, nil
}

// Close closes the server's socket.
func (s *udpLiteSession) Close() error { return unix.Close(s.server) }

// flow sends one datagram from a fresh source port.
func (s *udpLiteSession) flow(context.Context) error {
	var client int
	err := s.t.bind(func(src netip.AddrPort) (err error) {
		client, err = socketUDPLite(src)
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(unix.Sendto(client, []byte("ferry?"), 0, s.target), unix.Close(client))
}

// socketUDPLite opens and binds a socket. It neither blocks nor is read from.
func socketUDPLite(addr netip.AddrPort) (int, error) {
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDPLITE)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, sockaddr(addr)); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// boundPort is the port that a socket is bound to.
func boundPort(fd int) (uint16, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port), nil
	case *unix.SockaddrInet6:
		return uint16(sa.Port), nil
	}
	return 0, fmt.Errorf("socket name %T: expected an internet address", sa)
}

// sockaddr is an address as system calls take it.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
