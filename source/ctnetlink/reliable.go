package ctnetlink

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// errUnprepared is why a ring cannot become reliable.
var errUnprepared = errors.New("a ring is prepared for it only where Config.Reliable was set when it was opened")

// SetReliable turns [Config].Reliable on or off; a ring takes it on only where it
// was on when the listener was opened. When it is turned off the
// kernel tries what it has kept once more: what then finds no room is dropped.
// It may be called while another goroutine reads, and then takes effect at once.
func (l *Listener) SetReliable(on bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return os.ErrClosed
	}
	if on && l.way == ReceiveRing && !l.reliable {
		return &Error{Op: "set", Subject: "NETLINK_BROADCAST_ERROR", Err: errUnprepared}
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
