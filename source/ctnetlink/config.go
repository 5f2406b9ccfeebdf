package ctnetlink

import (
	"errors"
	"math"

	"github.com/mdlayher/netlink"
)

// Config says what a [Listener] is to listen to.
type Config struct {
	NetNS  string // file of the network namespace; "" is the process's own
	Groups Groups // none is allowed: SetGroups joins later

	// Buffer is the receive buffer in effective bytes, as the kernel tells
	// them, of which an event takes [EventCost]; 0 leaves the kernel's default.
	// Where the process may not have so much it gets what it may: see
	// [SocketStats].Buffer. MaxBuffer bounds [Listener.Grow]; 0 is Buffer.
	Buffer, MaxBuffer int

	// Reliable makes the kernel keep a DESTROY event until it is delivered
	// (NETLINK_BROADCAST_ERROR). Then duplicates are possible, and
	// [SocketStats].Drops counts every failed try: an upper bound of the loss.
	Reliable bool
}

// Validate reports what is wrong with the configuration.
func (c *Config) Validate() error {
	switch {
	case c.Groups == 0:
		return errors.New("listen: no group: expected at least one")
	case c.Groups&^allGroups != 0:
		return errors.New("listen: a group is not conntrack's")
	case c.Buffer < 0 || c.Buffer > math.MaxInt32-1:
		return errors.New("listen: buffer: expected 0 to 2147483646 bytes")
	case c.MaxBuffer != 0 && c.MaxBuffer < c.Buffer || c.MaxBuffer > math.MaxInt32-1:
		return errors.New("listen: maximal buffer: expected at least the buffer and at most 2147483646 bytes")
	}
	return nil
}

// prepare sets the socket's options, then its buffer, then joins the groups, so
// that the first event finds all in place.
func (c *Config) prepare(conn *netlink.Conn) error {
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
	if err := c.prepareBuffer(conn); err != nil {
		return err
	}
	return c.Groups.each(func(group uint32) error {
		if err := conn.JoinGroup(group); err != nil {
			return &Error{Op: "join", Subject: "conntrack event group", Err: err}
		}
		return nil
	})
}

func (c *Config) prepareBuffer(conn *netlink.Conn) error {
	if c.Buffer == 0 {
		return nil
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return &Error{Op: "open", Subject: "socket", Err: err}
	}
	controlled := raw.Control(func(fd uintptr) { _, err = setBuffer(int(fd), 0, c.Buffer) })
	return errors.Join(controlled, err)
}
