package ctnetlink

import (
	"errors"
	"math"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Config says what a [Listener] is to listen to.
type Config struct {
	NetNS  string // file of the network namespace; "" is the process's own
	Groups Groups // none is allowed: SetGroups joins later

	Receive Receive // by what way events come

	// Buffer is the receive buffer in effective bytes, as the kernel tells
	// them, of which an event takes [EventCost]; 0 leaves the kernel's default.
	// Where the process may not have so much it gets what it may: see
	// [SocketStats].Buffer. MaxBuffer bounds [Listener.Grow]; 0 is Buffer.
	//
	// A socket's buffer is a bound, and memory only while events wait. A ring's
	// is memory from the start, but a quarter of the figure is enough for as many
	// events, so that is what it takes, rounded up to a power of two: 64 MiB are
	// 52,428 events, or a ring of 16 MiB; a page, 4096 bytes, is the least.
	Buffer, MaxBuffer int

	// Filter is what the kernel is to run before an event is queued or copied; nil
	// is nothing. It passes all that the whole filter passes, and more: whoever
	// reads matches again. Where the kernel refuses it, there is none: see
	// [Listener.Filters].
	Filter *KernelFilter

	// Reliable makes the kernel keep a DESTROY event until it is delivered
	// (NETLINK_BROADCAST_ERROR). Then duplicates are possible, and
	// [SocketStats].Drops counts every failed try: an upper bound of the loss.
	Reliable bool
}

// Validate reports what is wrong with the configuration.
func (c *Config) Validate() error {
	switch {
	case c.Groups&^allGroups != 0:
		return errors.New("listen: a group is not conntrack's")
	case c.Receive > ReceiveSocket:
		return errors.New("listen: receive: expected auto, ring or socket")
	case c.Buffer < 0 || c.Buffer > math.MaxInt32-1:
		return errors.New("listen: buffer: expected 0 to 2147483646 bytes")
	case c.MaxBuffer != 0 && c.MaxBuffer < c.Buffer || c.MaxBuffer > math.MaxInt32-1:
		return errors.New("listen: maximal buffer: expected at least the buffer and at most 2147483646 bytes")
	}
	return nil
}

// prepare sets the socket's options, makes room for events, then joins the
// groups, so that the first event finds all in place.
func (c *Config) prepare(conn *netlink.Conn, room func(fd int) error) error {
	// Without it one overflow makes the kernel drop every event until the queue
	// is empty. Loss is told by the drop counter.
	if err := conn.SetOption(netlink.NoENOBUFS, true); err != nil {
		return &Error{Op: "set", Subject: "NETLINK_NO_ENOBUFS", Err: err}
	}
	if c.Reliable {
		if err := conn.SetOption(netlink.BroadcastError, true); err != nil {
			return &Error{Op: "set", Subject: "NETLINK_BROADCAST_ERROR", Err: err}
		}
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return &Error{Op: "open", Subject: "socket", Err: err}
	}
	controlled := raw.Control(func(fd uintptr) {
		if err = room(int(fd)); err == nil {
			err = refuseProcesses(int(fd))
		}
	})
	if err := errors.Join(controlled, err); err != nil {
		return err
	}
	return c.Groups.each(func(group uint32) error {
		if err := conn.JoinGroup(group); err != nil {
			return &Error{Op: "join", Subject: "conntrack event group", Err: err}
		}
		return nil
	})
}

// prepareBuffer is the room of a socket whose events are queued.
func (c *Config) prepareBuffer(fd int) error {
	if c.Buffer == 0 {
		return nil
	}
	_, err := setBuffer(fd, 0, c.Buffer)
	return err
}

// refuseProcesses connects the socket to the kernel: then what a process sends
// to its port is refused (ECONNREFUSED, in netlink_getsockbyportid). What one
// sends to a group still arrives.
func refuseProcesses(fd int) error {
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return &Error{Op: "connect", Subject: "socket to the kernel", Err: err}
	}
	return nil
}
