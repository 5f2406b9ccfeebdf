package ctnetlink

import (
	"context"
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// DialConfig says whose tables a [Conn] works on.
type DialConfig struct {
	NetNS string // file of the network namespace; "" is the process's own

	// KeepMemory has a dump's memory, 540 KiB, kept for the next one, where many
	// small ones follow one another.
	KeepMemory bool
}

// Conn makes requests and dumps. Its methods may be called by several
// goroutines at once: requests take turns on one socket, and every dump opens
// one of its own, so that a dump that is given up leaves nothing behind.
type Conn struct {
	ns   *os.File // nil: the process's own
	keep bool     // KeepMemory

	mu    sync.Mutex // guards sock, dec and spare
	sock  *requester
	dec   decoder
	spare *dumpMemory // nil: there is none
}

// Dial opens a connection to the tables of a namespace.
func Dial(c DialConfig) (*Conn, error) {
	ns, err := openNetNS(c.NetNS)
	if err != nil {
		return nil, err
	}
	sock, err := newRequester(ns, answerSlots)
	if err != nil {
		ns.Close()
		return nil, err
	}
	return &Conn{ns: ns, keep: c.KeepMemory, sock: sock}, nil
}

// Cookie is what [Listener.Cookie] is, for rows that are to have the flow ids
// of events.
func (c *Conn) Cookie() (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sock == nil {
		return 0, os.ErrClosed
	}
	return readCookie(c.sock.recv.descriptor())
}

// Close gives the socket back; requests and dumps that come later fail. It
// waits for the request under way.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sock == nil {
		return os.ErrClosed
	}
	err := c.sock.close()
	if c.ns != nil {
		err = errors.Join(err, c.ns.Close())
	}
	c.sock = nil
	return err
}

// do makes a request that is acknowledged, and calls f, which may be nil, with
// every netfilter message that answers it. A request that was sent is waited
// for, whatever becomes of ctx: the kernel has done it by then.
func (c *Conn) do(ctx context.Context, q *request, f func(*message) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sock == nil {
		return q.fail(os.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return q.fail(err)
	}
	ctx = context.WithoutCancel(ctx)
	q.flags |= unix.NLM_F_ACK
	if err := c.sock.send(q); err != nil {
		return err
	}
	for {
		m, err := c.sock.receive(ctx, q)
		if err != nil {
			return err
		}
		switch m.kind {
		case unix.NLMSG_ERROR, unix.NLMSG_DONE:
			return q.verdict(&m)
		}
		if f == nil || m.subsystem() != q.subsystem {
			continue
		}
		if err := f(&m); err != nil {
			return q.fail(err)
		}
	}
}
