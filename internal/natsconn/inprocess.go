package natsconn

import (
	"bytes"
	"net"
	"sync"
)

// handshakeWrites is how many writes nats.go makes before it first reads again:
// CONNECT and PING.
const handshakeWrites = 2

// eagerConn is the client's end of nats-server's net.Pipe, which has no buffer.
// The server may answer CONNECT with an error before it reads PING; then both
// sides write and none reads, until a timeout hides that the password was
// wrong. So the writes of the handshake are done in the background, in order;
// later ones go straight through, for by then nats.go has its read loop.
type eagerConn struct {
	net.Conn

	mu   sync.Mutex
	left int           // writes still to be done in the background
	last chan struct{} // closed when the latest of them is done; nil if there is none
}

func newEagerConn(conn net.Conn) *eagerConn {
	return &eagerConn{Conn: conn, left: handshakeWrites}
}

// Write returns at once during the handshake. An error of a write in the
// background is met again by the next one: the pipe is closed or past its time.
func (c *eagerConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		if c.last != nil {
			<-c.last
			c.last = nil
		}
		return c.Conn.Write(p)
	}
	c.left--
	previous, done := c.last, make(chan struct{})
	c.last = done
	go c.write(bytes.Clone(p), previous, done)
	return len(p), nil
}

// write writes p once previous is closed, and then closes done.
func (c *eagerConn) write(p []byte, previous, done chan struct{}) {
	defer close(done)
	if previous != nil {
		<-previous
	}
	_, _ = c.Conn.Write(p)
}
