package ctnetlink

import (
	"errors"

	"golang.org/x/sys/unix"
)

// plugSize is more than the smallest receive buffer (SOCK_MIN_RCVBUF, 2304 bytes).
const plugSize = 8 << 10

// errPlug is told when the kernel would still queue.
var errPlug = errors.New("the queue does not fill: expected one datagram to be more than the smallest buffer holds")

// plug fills a socket's queue for good: it makes the buffer as small as may be
// and sends the socket a datagram that nobody will ever read. What a filter
// accepts from then on is refused for want of room, and with
// NETLINK_BROADCAST_ERROR the sender hears of it and keeps the event: the
// kernel takes the return value of a filter for no such refusal.
func plug(fd int) error {
	own, err := unix.Getsockname(fd)
	if err != nil {
		return &Error{Op: "read", Subject: "socket's address", Err: err}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 0); err != nil {
		return &Error{Op: "set", Subject: "SO_RCVBUF to 0 bytes", Err: err}
	}
	if err := unix.Sendto(fd, make([]byte, plugSize), unix.MSG_DONTWAIT, own); err != nil {
		return &Error{Op: "fill", Subject: "socket's queue", Err: err}
	}
	m, err := meminfo(fd)
	if err == nil && m[unix.SK_MEMINFO_RMEM_ALLOC] <= m[unix.SK_MEMINFO_RCVBUF] {
		err = &Error{Op: "fill", Subject: "socket's queue", Err: errPlug}
	}
	return err
}
