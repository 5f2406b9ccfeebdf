package testnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// TCP makes n connections: connect, a few bytes each way, and an orderly close that the
// client begins. Each entry ends in TIME_WAIT.
func (t Traffic) TCP(ctx context.Context, n int) (int, error) {
	return t.run(ctx, "tcp", n, openTCP(false))
}

// TCPReset makes n connections that the client resets after the same exchange. Each
// entry ends in CLOSE.
func (t Traffic) TCPReset(ctx context.Context, n int) (int, error) {
	return t.run(ctx, "tcp reset", n, openTCP(true))
}

// tcpSession is a listener and the way its connections end.
type tcpSession struct {
	t        Traffic
	listener *net.TCPListener
	reset    bool
}

// openTCP opens a tcpSession.
func openTCP(reset bool) opener {
	return func(ctx context.Context, t Traffic) (session, error) {
		l, err := t.listenTCP(ctx)
		if err != nil {
			return nil, err
		}
		return &tcpSession{t, l, reset}, nil
	}
}

// listenTCP listens where the traffic's server is.
func (t Traffic) listenTCP(ctx context.Context) (*net.TCPListener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(ctx, "tcp", t.Listen.String())
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// Close closes the listener.
func (s *tcpSession) Close() error { return s.listener.Close() }

// flow makes one connection and ends it.
func (s *tcpSession) flow(ctx context.Context) error {
	client, server, err := s.t.connect(ctx, s.listener)
	if err != nil {
		return err
	}
	defer server.Close()
	err = errors.Join(pass(client, server, "ferry?"), pass(server, client, "ferry."))
	if s.reset {
		err = errors.Join(err, client.SetLinger(0))
	}
	err = errors.Join(err, client.Close())
	if s.reset || err != nil {
		return err
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("server: expected the end of the stream, got %v", err)
	}
	return nil
}

// connect makes a connection from the traffic's next source port and takes it from the
// listener. No goroutine is needed: the kernel completes it before it is accepted.
func (t Traffic) connect(ctx context.Context, l *net.TCPListener) (client, server *net.TCPConn, err error) {
	target := t.target(l.Addr().(*net.TCPAddr).AddrPort())
	err = t.bind(func(src netip.AddrPort) error {
		dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(src), Timeout: stepLimit}
		c, err := dialer.DialContext(ctx, "tcp", target.String())
		if err == nil {
			client = c.(*net.TCPConn)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if server, err = accept(ctx, l); err != nil {
		client.Close()
		return nil, nil, err
	}
	return client, server, errors.Join(limit(ctx, client), limit(ctx, server))
}

// accept takes one connection, in bounded time.
func accept(ctx context.Context, l *net.TCPListener) (*net.TCPConn, error) {
	if err := limit(ctx, l); err != nil {
		return nil, err
	}
	return l.AcceptTCP()
}

// pass writes text at one end and reads it at the other.
func pass(from io.Writer, to io.Reader, text string) error {
	if _, err := io.WriteString(from, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil {
		return err
	}
	if string(got) != text {
		return fmt.Errorf("sent %q, received %q", text, got)
	}
	return nil
}
