package ctnetlink

import (
	"errors"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// socket is a netlink socket outside the runtime's poller.
type socket struct {
	fd     int
	portID uint32 // our nl_pid, given by the kernel
}

// dial opens a NETLINK_NETFILTER socket, has prepare set it up, and takes the
// descriptor out of the runtime's poller: closing the Conn removes its own
// descriptor from the poller, and the duplicate keeps the socket with its
// options and groups.
func dial(netns *os.File, prepare func(*netlink.Conn) error) (socket, error) {
	var cfg netlink.Config
	if netns != nil {
		cfg.NetNS = int(netns.Fd())
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &cfg)
	if err != nil {
		return socket{}, &Error{Op: "open", Subject: "socket", Err: err}
	}
	s, err := takeOut(conn, prepare)
	if err := errors.Join(err, conn.Close()); err != nil {
		if s.fd > 0 {
			unix.Close(s.fd)
		}
		return socket{}, err
	}
	return s, nil
}

func takeOut(conn *netlink.Conn, prepare func(*netlink.Conn) error) (s socket, err error) {
	if err := prepare(conn); err != nil {
		return s, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return s, &Error{Op: "open", Subject: "socket", Err: err}
	}
	controlled := raw.Control(func(fd uintptr) { s, err = duplicate(int(fd)) })
	return s, errors.Join(controlled, err)
}

// duplicate gives a second descriptor of the socket, and the socket's port.
func duplicate(fd int) (socket, error) {
	addr, err := unix.Getsockname(fd)
	if err != nil {
		return socket{}, &Error{Op: "read", Subject: "socket's address", Err: err}
	}
	own, ok := addr.(*unix.SockaddrNetlink)
	if !ok {
		return socket{}, &Error{Op: "read", Subject: "socket's address", Err: unix.EAFNOSUPPORT}
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return socket{}, &Error{Op: "duplicate", Subject: "socket", Err: err}
	}
	return socket{fd: dup, portID: own.Pid}, nil
}

// openNetNS opens a network namespace's file; "" is the process's own, and no file.
func openNetNS(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &Error{Op: "open", Subject: "network namespace", Err: err}
	}
	return f, nil
}
