package testnet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// churnSocket is a ctnetlink socket, the templates of the messages and the buffers, all
// used again for each batch. It is not safe for concurrent use.
type churnSocket struct {
	fd        int
	templates [deleteEntry + 1][]template // by step, then by entry number modulo their count
	out       []byte
	in        [512]byte
}

// openChurn opens the socket inside the namespace. The kernel works through a send(2)
// before it returns, so that reading answers never has to wait.
func openChurn(c Churn) (*churnSocket, error) {
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Minute
	}
	s := &churnSocket{fd: -1}
	for step := range s.templates {
		s.templates[step] = c.templates(churnStep(step))
	}
	s.out = make([]byte, 0, churnBatch*512)
	err := c.NS.Do(func() (err error) {
		s.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
		return err
	})
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// An answer need not repeat the request.
	if err := unix.SetsockoptInt(s.fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1); err != nil {
		return nil, errors.Join(os.NewSyscallError("setsockopt NETLINK_CAP_ACK", err), unix.Close(s.fd))
	}
	return s, nil
}

// close closes the socket; what it did stays.
func (s *churnSocket) close() { unix.Close(s.fd) }

// request sends one step for the entries [from, to) and counts the answers that say yes.
func (s *churnSocket) request(step churnStep, from, to int) (ok int, err error) {
	s.out = s.out[:0]
	templates := s.templates[step]
	for n := from; n < to; n++ {
		s.out = templates[n%len(templates)].appendEntry(s.out, uint32(n))
	}
	if _, err := unix.Write(s.fd, s.out); err != nil {
		return 0, os.NewSyscallError("send", err)
	}
	for range to - from {
		yes, answer := s.answer()
		if yes {
			ok++
		} else if err == nil {
			err = answer
		}
	}
	return ok, err
}

// answer reads one NLMSG_ERROR, which is an acknowledgement if its number is zero.
func (s *churnSocket) answer() (bool, error) {
	n, err := unix.Read(s.fd, s.in[:])
	if err != nil {
		return false, os.NewSyscallError("receive", err)
	}
	if n < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(s.in[4:]) != unix.NLMSG_ERROR {
		return false, fmt.Errorf("answer of %d bytes: expected NLMSG_ERROR", n)
	}
	errno := -int32(binary.NativeEndian.Uint32(s.in[unix.NLMSG_HDRLEN:]))
	if errno == 0 {
		return true, nil
	}
	return false, fmt.Errorf("entry %d: %w", binary.NativeEndian.Uint32(s.in[8:]), unix.Errno(errno))
}
