package ctnetlink

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// Counts is what a listener has read. Received = events handed out + Malformed
// + Foreign, whenever no Read is under way and none ended with a full batch.
type Counts struct {
	Received  uint64
	Malformed uint64 // datagrams that could not be decoded; each was one event
	Foreign   uint64 // messages that are no conntrack event, and datagrams that a process sent
}

// errFull is told when there is no slot to read into.
var errFull = errors.New("read events: the batch is full")

// Listener is an event socket. Read, Wait and Close belong to one goroutine;
// the other methods may be called by any.
type Listener struct {
	recv   receiver // it owns the socket
	fd     int      // the socket
	way    Receive
	why    error // that there is no ring where one was wished for
	wake   *waker
	dec    decoder
	limit  int
	portID uint32
	cookie uint64

	pending []datagram // read from the socket, not decoded
	ebbed   bool       // when they were read there were no more

	received, malformed, foreign atomic.Uint64

	mu     sync.Mutex // guards closed against Stats and Grow, and groups
	closed bool
	groups Groups

	reliable bool // as it was opened

	filters  bool
	noFilter error
}

// Listen opens an event socket, sets its options and joins its groups.
func Listen(c Config) (*Listener, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	ns, err := openNetNS(c.NetNS)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	o, err := c.open(ns)
	if err != nil {
		return nil, err
	}
	l, err := newListener(o, max(c.Buffer, c.MaxBuffer))
	if err != nil {
		return nil, errors.Join(err, o.recv.close())
	}
	l.groups, l.reliable = c.Groups, c.Reliable
	return l, nil
}

func newListener(o opened, limit int) (*Listener, error) {
	cookie, err := readCookie(o.fd)
	if err != nil {
		return nil, err
	}
	wake, err := newWaker()
	if err != nil {
		return nil, err
	}
	return &Listener{
		recv: o.recv, fd: o.fd, way: o.way, why: o.why, wake: wake,
		limit: limit, portID: o.portID, cookie: cookie,
		filters: o.filters, noFilter: o.noFilter,
	}, nil
}

// readCookie is 0 on kernels that have none; Linux 5.14 and later have it.
func readCookie(fd int) (uint64, error) {
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return 0, &Error{Op: "read", Subject: "SO_NETNS_COOKIE", Err: err}
	}
	return cookie, nil
}

// Read fills b with the events that are waiting and never waits for one. It
// gives the number of datagrams that it read from, at most so many, which are as
// many events; less means that nothing more was waiting, or that b is full. What
// finds no free slot in b is kept for the next call. A batch without any free
// slot is an error.
func (l *Listener) Read(b *flow.Batch, most int) (datagrams int, err error) {
	if b.Free() == 0 {
		return 0, errFull
	}
	var c Counts
	for datagrams < most {
		if len(l.pending) == 0 {
			if datagrams > 0 && l.ebbed {
				break
			}
			if l.pending, err = l.recv.next(); err != nil || len(l.pending) == 0 {
				break
			}
			l.ebbed = len(l.pending) < cap(l.pending)
		}
		before := c.Received
		if l.take(b, &l.pending[0], &c) {
			l.pending = l.pending[1:]
			datagrams++
			continue
		}
		if c.Received > before {
			datagrams++ // of the last one a part was read
		}
		break
	}
	l.received.Add(c.Received)
	l.malformed.Add(c.Malformed)
	l.foreign.Add(c.Foreign)
	if datagrams > 0 {
		return datagrams, nil // an error will come again
	}
	return 0, err
}

// take decodes one datagram and counts what became of it. It reports false when
// the batch was full before its end; then d holds what is left.
func (l *Listener) take(b *flow.Batch, d *datagram, c *Counts) bool {
	if d.foreign {
		c.Received++
		c.Foreign++
		return true
	}
	if d.truncated {
		c.Received++
		c.Malformed++
		return true
	}
	got, err := l.dec.datagram(b, d.data)
	if err != nil {
		c.Received++
		c.Malformed++
		return true
	}
	c.Received += uint64(got.events + got.foreign)
	c.Foreign += uint64(got.foreign)
	d.data = got.rest
	return got.rest == nil
}

// Wait blocks until an event is waiting (true), Interrupt was called, or the
// timeout is over (false). A negative timeout is none.
func (l *Listener) Wait(timeout time.Duration) (ready bool, err error) {
	if len(l.pending) > 0 {
		return true, nil
	}
	return l.wake.wait(l.recv.descriptor(), timeout)
}

// Interrupt ends the Wait under way, or else the next one.
func (l *Listener) Interrupt() { l.wake.wake() }

// Counts tells what has been read.
func (l *Listener) Counts() Counts {
	return Counts{Received: l.received.Load(), Malformed: l.malformed.Load(), Foreign: l.foreign.Load()}
}

// Stats asks the kernel how full the socket is and how much was dropped.
func (l *Listener) Stats() (SocketStats, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return SocketStats{}, os.ErrClosed
	}
	return l.recv.stats()
}

// Grow raises the receive buffer to so many effective bytes, at most
// Config.MaxBuffer, or as far as the process may, and gives the result.
func (l *Listener) Grow(bytes int) (effective int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, os.ErrClosed
	}
	return l.recv.grow(min(bytes, l.limit))
}

// SetGroups joins and leaves groups so that the socket is in those given and in
// no other. Without any the kernel offers nothing more, and what it had offered
// is still there to be read.
func (l *Listener) SetGroups(groups Groups) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return os.ErrClosed
	}
	if err := changeGroups(l.fd, groups&^l.groups, unix.NETLINK_ADD_MEMBERSHIP); err != nil {
		return err
	}
	err := changeGroups(l.fd, l.groups&^groups, unix.NETLINK_DROP_MEMBERSHIP)
	if err == nil {
		l.groups = groups
	}
	return err
}

// changeGroups joins or leaves each group.
func changeGroups(fd int, groups Groups, option int) error {
	return groups.each(func(group uint32) error {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, int(group)); err != nil {
			return &Error{Op: "change", Subject: "conntrack event group", Err: err}
		}
		return nil
	})
}

// Receives tells by what way events come, never ReceiveAuto. Where auto was
// asked and it is the socket, why tells what the ring lacks.
func (l *Listener) Receives() (way Receive, why error) { return l.way, l.why }

// Filters tells whether the kernel runs its part of the filter, and whether it
// counts what it refuses, which the ring alone does. Where there is such a part
// and the kernel would not have it, why tells.
func (l *Listener) Filters() (runs, counts bool, why error) {
	return l.filters, l.filters && l.way == ReceiveRing, l.noFilter
}

// Cookie names the socket's network namespace while the machine is up
// (SO_NETNS_COOKIE); 0 on kernels that have none.
func (l *Listener) Cookie() uint64 { return l.cookie }

// PortID is the socket's netlink port.
func (l *Listener) PortID() uint32 { return l.portID }

// Close gives the socket back. It must not be called while Read or Wait runs:
// Interrupt ends a Wait. A second Close is an error.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return os.ErrClosed
	}
	l.closed = true
	return errors.Join(l.recv.close(), l.wake.close())
}
