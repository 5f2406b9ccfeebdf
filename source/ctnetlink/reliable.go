package ctnetlink

import (
	"os"

	"golang.org/x/sys/unix"
)

// SetReliable turns [Config].Reliable on or off. When it is turned off the
// kernel tries what it has kept once more: what then finds no room is dropped.
// It may be called while another goroutine reads, and then takes effect at once.
func (l *Listener) SetReliable(on bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return os.ErrClosed
	}
	value := 0
	if on {
		value = 1
	}
	if err := unix.SetsockoptInt(l.fd, unix.SOL_NETLINK, unix.NETLINK_BROADCAST_ERROR, value); err != nil {
		return &Error{Op: "set", Subject: "NETLINK_BROADCAST_ERROR", Err: err}
	}
	return nil
}
