package sinks

import (
	"bytes"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// natsWire is the socket under a connection of nats.go, on which the sink writes
// its messages itself, between nats.go's own writes. Those are whole operations
// of the protocol each, and so are ours; all else, from the handshake to a
// subscription, stays nats.go's.
//
// It is worth that: nats.go makes a message's headers anew each time, from a map,
// which costs more than all the rest of publishing, and copies every body.
type natsWire struct {
	net.Conn
	link *natsLink

	mu       sync.Mutex // one writes at a time
	begun    bool
	deadline time.Time // of nats.go's writes
	parts    net.Buffers
}

// natsConnect is what nats.go first writes to a server with which it speaks neither
// TLS nor WebSocket, where nobody else can write in between.
const natsConnect = "CONNECT "

// Write is nats.go's.
func (w *natsWire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.begun {
		w.begun = true
		if bytes.HasPrefix(p, []byte(natsConnect)) {
			w.link.onWire(w)
		}
	}
	return w.Conn.Write(p)
}

// SetDeadline is nats.go's.
func (w *natsWire) SetDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = t
	return w.Conn.SetDeadline(t)
}

// SetWriteDeadline is nats.go's.
func (w *natsWire) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = t
	return w.Conn.SetWriteDeadline(t)
}

// send writes whole messages, in a time; what it wrote is gone from parts. After an error
// nobody knows how much arrived, so the connection is closed, and nats.go makes another.
func (w *natsWire) send(timeout time.Duration, parts net.Buffers) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.Conn.SetWriteDeadline(time.Now().Add(timeout))
	if err == nil {
		err = w.write(parts)
	}
	if err != nil {
		_ = w.Conn.Close()
		return err
	}
	return w.Conn.SetWriteDeadline(w.deadline)
}

func (w *natsWire) write(parts net.Buffers) error {
	if len(parts) == 1 {
		_, err := w.Conn.Write(parts[0])
		return err
	}
	w.parts = parts // a variable would be allocated each time
	_, err := w.parts.WriteTo(w.Conn)
	w.parts = nil
	return err
}

// tap has nats.go's sockets wrapped.
func (l *natsLink) tap(o *nats.Options) error {
	if d := o.CustomDialer; d != nil {
		o.CustomDialer = natsTap{l, func(network, address string) (net.Conn, error) { return d.Dial(network, address) }}
	}
	if s := o.InProcessServer; s != nil {
		o.InProcessServer = natsTap{l, func(string, string) (net.Conn, error) { return s.InProcessConn() }}
	}
	return nil
}

// natsTap dials for nats.go.
type natsTap struct {
	link *natsLink
	dial func(network, address string) (net.Conn, error)
}

// Dial connects over a network.
func (t natsTap) Dial(network, address string) (net.Conn, error) {
	conn, err := t.dial(network, address)
	if err != nil {
		return nil, err
	}
	t.link.onWire(nil)
	return &natsWire{Conn: conn, link: t.link}, nil
}

// InProcessConn connects to a server in this process.
func (t natsTap) InProcessConn() (net.Conn, error) { return t.Dial("", "") }

// onWire notes the socket of the connection that is being made, nil as long as it
// is not known to be plain.
func (l *natsLink) onWire(w *natsWire) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wire = w
}

func (l *natsLink) wireNow() *natsWire {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wire
}

// plain gives the socket of the connection that stands, or nil where nats.go has
// to publish, or to say why it cannot: with TLS, over WebSocket, to a server without
// headers, and where no connection stands. One that is being made is another, or the handshake has ended in between.
func (l *natsLink) plain() *natsWire {
	w := l.wireNow()
	if w == nil || !l.nc.IsConnected() || !l.nc.HeadersSupported() || l.wireNow() != w {
		return nil
	}
	return w
}
