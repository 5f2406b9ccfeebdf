package ctnetlink

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// replySize is the receive buffer of requests and dumps. The kernel fills at
// most 32 KiB of a dump at once, so more would bring nothing.
const replySize = 32 << 10

// replyWait bounds one wait for the kernel. It answers within the system call
// that asks; only a fault makes this pass.
const replyWait = 10 * time.Second

// errSilent is told when the kernel did not answer.
var errSilent = errors.New("the kernel did not answer")

// DialConfig says whose tables a [Conn] works on.
type DialConfig struct {
	NetNS string // file of the network namespace; "" is the process's own
}

// Conn makes requests and dumps. Its methods may be called by several
// goroutines at once: requests take turns on one socket, and every dump opens
// one of its own, so that a dump that is given up leaves nothing behind.
type Conn struct {
	ns *os.File // nil: the process's own

	mu   sync.Mutex // guards sock and dec
	sock *requester
	dec  decoder
}

// Dial opens a connection to the tables of a namespace.
func Dial(c DialConfig) (*Conn, error) {
	ns, err := openNetNS(c.NetNS)
	if err != nil {
		return nil, err
	}
	sock, err := newRequester(ns)
	if err != nil {
		ns.Close()
		return nil, err
	}
	return &Conn{ns: ns, sock: sock}, nil
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

// requester is a socket for one request at a time.
type requester struct {
	recv   *mmsg
	portID uint32
	seq    uint32
	w      writer
	rest   []byte // messages of the last datagram that were not looked at yet
}

func newRequester(ns *os.File) (*requester, error) {
	s, err := dial(ns, func(conn *netlink.Conn) error {
		if err := conn.SetOption(netlink.ExtendedAcknowledge, true); err != nil {
			return &Error{Op: "set", Subject: "NETLINK_EXT_ACK", Err: err}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &requester{recv: newMmsg(s.fd, 1, replySize), portID: s.portID}, nil
}

func (r *requester) close() error { return r.recv.close() }

// request is one message to the kernel.
type request struct {
	op        string // for errors
	subject   string
	subsystem uint16
	operation uint16
	flags     uint16
	family    byte
	attrs     func(*writer) // may be nil
}

// fail makes the request's error.
func (q *request) fail(err error) error { return &Error{Op: q.op, Subject: q.subject, Err: err} }

// send sends the request under a sequence number of its own. Answers to former
// requests that are still waiting are passed over by receive.
func (r *requester) send(q *request) error {
	r.seq++
	r.w.b = r.w.b[:0]
	at := r.w.begin(q.subsystem, q.operation, q.flags, r.seq, 0)
	r.w.b[at+headerLen] = q.family
	if q.attrs != nil {
		q.attrs(&r.w)
	}
	r.w.finish(at)
	kernel := unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Sendto(r.recv.fd, r.w.b, 0, &kernel); err != nil {
		return q.fail(os.NewSyscallError("sendto", err))
	}
	return nil
}

// receive gives the next message that answers the request. It is valid until
// the next call.
func (r *requester) receive(ctx context.Context, q *request) (message, error) {
	for {
		for len(r.rest) > 0 {
			m, rest, err := cutMessage(r.rest)
			if err != nil {
				r.rest = nil
				return m, q.fail(err)
			}
			r.rest = rest
			if m.seq == r.seq && m.pid == r.portID {
				return m, nil
			}
		}
		if err := r.fill(ctx, q); err != nil {
			return message{}, err
		}
	}
}

// fill reads the next datagram. A dump's datagram is there as soon as it is
// asked for: the kernel makes it while it is read.
func (r *requester) fill(ctx context.Context, q *request) error {
	if err := ctx.Err(); err != nil {
		return q.fail(err)
	}
	got, err := r.recv.next()
	if err == nil && len(got) == 0 {
		if err = r.await(); err == nil {
			got, err = r.recv.next()
		}
	}
	switch {
	case err != nil:
		return q.fail(err)
	case len(got) == 0 || got[0].foreign:
		return nil
	case got[0].truncated:
		return q.fail(errTruncated)
	}
	r.rest = got[0].data
	return nil
}

func (r *requester) await() error {
	fds := [1]unix.PollFd{{Fd: int32(r.recv.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds[:], milliseconds(replyWait))
	switch {
	case errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return os.NewSyscallError("poll", err)
	case n == 0:
		return errSilent
	}
	return nil
}

// verdict reads an NLMSG_ERROR or NLMSG_DONE: its error number, 0 for success,
// and the kernel's words. It is nil if all went well.
func (q *request) verdict(m *message) error {
	if len(m.body) < 4 {
		return q.fail(errHeader)
	}
	errno := -int32(binary.NativeEndian.Uint32(m.body))
	if errno == 0 {
		return nil
	}
	return &Error{Op: q.op, Subject: q.subject, Message: extAck(m), Err: unix.Errno(errno)}
}

// extAck gives the kernel's words from an extended acknowledgement: attributes
// after the error number and, in an NLMSG_ERROR, the message it is about.
func extAck(m *message) string {
	if m.flags&unix.NLM_F_ACK_TLVS == 0 {
		return ""
	}
	p := m.body[4:]
	if m.kind == unix.NLMSG_ERROR {
		if len(p) < headerLen {
			return ""
		}
		skip := headerLen
		if m.flags&unix.NLM_F_CAPPED == 0 {
			skip = align(int(binary.NativeEndian.Uint32(p)))
		}
		if skip < headerLen || skip > len(p) {
			return ""
		}
		p = p[skip:]
	}
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return ""
		}
		if kind == unix.NLMSGERR_ATTR_MSG {
			return string(trimNUL(val))
		}
		p = rest
	}
	return ""
}

func trimNUL(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == 0 {
		return b[:n-1]
	}
	return b
}

// do makes a request that is acknowledged, and calls f, which may be nil, with
// every netfilter message that answers it.
func (c *Conn) do(ctx context.Context, q *request, f func(*message) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sock == nil {
		return q.fail(os.ErrClosed)
	}
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
