package testnet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
)

// FTP makes n control connections on which the client asks for a passive data port: PASV
// over IPv4, EPSV over IPv6. Under [UseHelper] "ftp" for the control port, each makes a
// real expectation. With transfer the client then opens the data connection, which turns
// the expectation into a related entry, so that n control connections are 2n entries;
// without, the expectation waits in its table. The count is of control connections.
func (t Traffic) FTP(ctx context.Context, n int, transfer bool) (int, error) {
	return t.run(ctx, "ftp", n, func(ctx context.Context, t Traffic) (session, error) {
		l, err := t.listenTCP(ctx)
		if err != nil {
			return nil, err
		}
		return &ftpSession{t, l, transfer}, nil
	})
}

// ftpSession is a listener for control connections.
type ftpSession struct {
	t        Traffic
	listener *net.TCPListener
	transfer bool
}

// Close closes the listener.
func (s *ftpSession) Close() error { return s.listener.Close() }

// flow holds one dialogue. The helper looks at whole lines in separate packets, so each
// is read before the next is sent.
func (s *ftpSession) flow(ctx context.Context) (err error) {
	client, server, err := s.t.connect(ctx, s.listener)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close(), server.Close()) }()
	data, err := Traffic{Listen: netip.AddrPortFrom(s.t.Listen.Addr(), 0)}.listenTCP(ctx)
	if err != nil {
		return fmt.Errorf("data port: %w", err)
	}
	defer data.Close()
	ask, answer := s.passive(data.Addr().(*net.TCPAddr))
	err = converse(client, server, "220 ready\r\n", ask, answer)
	if err != nil || !s.transfer {
		return err
	}
	return s.fetch(ctx, data)
}

// passive is the client's question and the server's answer.
func (s *ftpSession) passive(data *net.TCPAddr) (ask, answer string) {
	if s.t.Dst.Is6() {
		return "EPSV\r\n", fmt.Sprintf("229 Entering Extended Passive Mode (|||%d|).\r\n", data.Port)
	}
	host := strings.ReplaceAll(s.t.Dst.String(), ".", ",")
	return "PASV\r\n", fmt.Sprintf("227 Entering Passive Mode (%s,%d,%d).\r\n", host, data.Port>>8, data.Port&0xff)
}

// converse says the greeting, the question and the answer.
func converse(client, server net.Conn, greeting, ask, answer string) error {
	fromServer, fromClient := bufio.NewReader(client), bufio.NewReader(server)
	for _, line := range []struct {
		to   io.Writer
		from *bufio.Reader
		text string
	}{{server, fromServer, greeting}, {client, fromClient, ask}, {server, fromServer, answer}} {
		if _, err := io.WriteString(line.to, line.text); err != nil {
			return err
		}
		got, err := line.from.ReadString('\n')
		if err != nil {
			return fmt.Errorf("ftp line %q: %w", line.text, err)
		}
		if got != line.text {
			return fmt.Errorf("ftp line %q: received %q", line.text, got)
		}
	}
	return nil
}

// fetch opens the data connection and reads a file from it.
func (s *ftpSession) fetch(ctx context.Context, data *net.TCPListener) error {
	t := s.t
	t.Port = uint16(data.Addr().(*net.TCPAddr).Port)
	client, server, err := t.connect(ctx, data)
	if err != nil {
		return fmt.Errorf("data connection: %w", err)
	}
	return errors.Join(pass(server, client, "a file\n"), server.Close(), client.Close())
}
