package ctnetlink

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// replySize is a receive buffer of dumps. The kernel fills at most 32 KiB of a
// dump at once, so more would bring nothing.
const replySize = 32 << 10

// The slots for the answers to requests; a dump's own come into others. None is larger than NLMSG_GOODSIZE,
// which is at most 8 KiB, and of a dump the kernel fills no more than there is
// room for (netlink_dump); many come at once where many requests are refused.
const (
	answerSlots = 16
	answerSize  = 8 << 10
)

// replyWait bounds one wait for the kernel. It answers within the system call
// that asks; only a fault makes this pass.
const replyWait = 10 * time.Second

// errSilent is told when the kernel did not answer.
var errSilent = errors.New("the kernel did not answer")

// requester is a socket for one request at a time.
type requester struct {
	recv   receiver
	portID uint32
	seq    uint32 // of the last request
	more   uint32 // requests before it that are under way too
	w      writer
	got    []datagram // that were not looked at yet
	rest   []byte     // messages of the one that is looked at
	wait   time.Duration
}

func newRequester(ns *os.File, slots int) (*requester, error) {
	s, err := dial(ns, func(conn *netlink.Conn) error {
		if err := conn.SetOption(netlink.ExtendedAcknowledge, true); err != nil {
			return &Error{Op: "set", Subject: "NETLINK_EXT_ACK", Err: err}
		}
		// Else the kernel's answer to a refused request is as long as that was.
		if err := conn.SetOption(netlink.CapAcknowledge, true); err != nil {
			return &Error{Op: "set", Subject: "NETLINK_CAP_ACK", Err: err}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	recv := newMmsg(s.fd, slots, answerSize)
	recv.slow = true
	return &requester{recv: recv, portID: s.portID, wait: replyWait}, nil
}

func (r *requester) close() error { return r.recv.close() }

// send sends the request under a sequence number of its own. Answers to former
// requests that are still waiting are passed over by receive.
func (r *requester) send(q *request) error {
	r.seq++
	r.more = 0
	r.w.b = r.w.b[:0]
	r.w.request(q, r.seq)
	if err := r.transmit(r.w.b); err != nil {
		return q.fail(err)
	}
	return nil
}

// transmit sends encoded messages in one system call. The kernel has carried
// all of them out when it returns, or none if there is an error.
func (r *requester) transmit(p []byte) error {
	kernel := unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	return os.NewSyscallError("sendto", unix.Sendto(r.recv.descriptor(), p, 0, &kernel))
}

// receive gives the next message that answers the request, or one of the several
// under way. It is valid until
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
			if r.seq-m.seq <= r.more && m.pid == r.portID {
				return m, nil
			}
		}
		if err := r.fill(ctx, q); err != nil {
			return message{}, err
		}
	}
}

// fill takes the next datagram. A dump's is there as soon as it is asked for:
// the kernel makes it while it is read.
func (r *requester) fill(ctx context.Context, q *request) error {
	if len(r.got) == 0 {
		if err := r.read(ctx); err != nil {
			return q.fail(err)
		}
	}
	if len(r.got) == 0 {
		return nil
	}
	d := r.got[0]
	r.got = r.got[1:]
	switch {
	case d.foreign:
		return nil
	case d.truncated:
		return q.fail(errTruncated)
	}
	r.rest = d.data
	return nil
}

// read reads what waits, or what comes next.
func (r *requester) read(ctx context.Context) (err error) {
	if err = ctx.Err(); err != nil {
		return err
	}
	r.got, err = r.recv.next()
	if err == nil && len(r.got) == 0 {
		if err = r.await(); err == nil {
			r.got, err = r.recv.next()
		}
	}
	return err
}

// drain throws away what waits to be read: the kernel answers nothing more after
// an answer for which there was no room, until all is read.
func (r *requester) drain() {
	r.got, r.rest = nil, nil
	for {
		if got, err := r.recv.next(); err != nil || len(got) == 0 {
			return
		}
	}
}

func (r *requester) await() error {
	fds := [1]unix.PollFd{{Fd: int32(r.recv.descriptor()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds[:], milliseconds(r.wait))
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
