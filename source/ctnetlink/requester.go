package ctnetlink

import (
	"context"
	"errors"
	"os"
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

// requester is a socket for one request at a time.
type requester struct {
	recv   receiver
	portID uint32
	seq    uint32 // of the last request
	more   uint32 // requests before it that are under way too
	w      writer
	rest   []byte // messages of the last datagram that were not looked at yet
	wait   time.Duration
}

func newRequester(ns *os.File) (*requester, error) {
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
	recv := newMmsg(s.fd, 1, replySize)
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
