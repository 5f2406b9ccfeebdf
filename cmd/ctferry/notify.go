package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// notifier tells the service manager what the service does: sd_notify(3), one
// datagram a message to the socket that NOTIFY_SOCKET names. A nil notifier
// says nothing: no service manager asked.
type notifier struct {
	conn  net.Conn
	guard time.Duration // the service manager's patience between two WATCHDOG=1; 0: it has no watchdog
}

// newNotifier reads the service manager's variables. None is no error.
func newNotifier(getenv func(string) string, pid int) (*notifier, error) {
	path := getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil, nil
	}
	if path[0] != '/' && path[0] != '@' { // @ is an abstract socket, as net has it too
		return nil, fmt.Errorf("NOTIFY_SOCKET: %q: expected a path or an abstract socket", path)
	}
	guard, err := watchdog(getenv, pid)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		return nil, fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	return &notifier{conn: conn, guard: guard}, nil
}

// watchdog reads WATCHDOG_USEC, microseconds, if it is meant for this process.
func watchdog(getenv func(string) string, pid int) (time.Duration, error) {
	text := getenv("WATCHDOG_USEC")
	if who := getenv("WATCHDOG_PID"); text == "" || who != "" && who != strconv.Itoa(pid) {
		return 0, nil
	}
	usec, err := strconv.ParseUint(text, 10, 53)
	if err != nil || usec == 0 {
		return 0, fmt.Errorf("WATCHDOG_USEC: %q: expected a number of microseconds", text)
	}
	return time.Duration(usec) * time.Microsecond, nil
}

// notifyPatience bounds how long a service manager that does not read may
// hold the service up.
const notifyPatience = time.Second

// tell sends assignments (READY=1) in one message.
func (n *notifier) tell(assignments ...string) error {
	if n == nil {
		return nil
	}
	err := n.conn.SetWriteDeadline(time.Now().Add(notifyPatience))
	if err == nil {
		_, err = n.conn.Write([]byte(strings.Join(assignments, "\n")))
	}
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	return nil
}

// reloading says that a reload begins; READY=1 ends it.
func (n *notifier) reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return os.NewSyscallError("clock_gettime", err)
	}
	return n.tell("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(now.Nano()/1000, 10))
}

// ready says that the service runs, or runs again after a reload.
func (n *notifier) ready() error { return n.tell("READY=1") }

// stopping says that the service ends, and asks for the time that its sinks
// may take to drain.
func (n *notifier) stopping(patience time.Duration) error {
	return n.tell("STOPPING=1", "STATUS=delivering what is queued",
		"EXTEND_TIMEOUT_USEC="+strconv.FormatInt(patience.Microseconds(), 10))
}

// close gives the socket back. A nil notifier has none.
func (n *notifier) close() error {
	if n == nil {
		return nil
	}
	if err := n.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("service manager: %w", err)
	}
	return nil
}
