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

// request sends one step for the entries [from, to) and counts those done. Only the last
// request asks for an acknowledgement, since each costs as much as the request; but the
// kernel answers every failure unasked and in order, so whatever stands before the
// answer to the last one and has none of its own was done.
func (s *churnSocket) request(step churnStep, from, to int) (done int, err error) {
	s.out = s.out[:0]
	templates, last := s.templates[step], 0
	for n := from; n < to; n++ {
		last = len(s.out)
		s.out = templates[n%len(templates)].appendEntry(s.out, uint32(n))
	}
	binary.NativeEndian.PutUint16(s.out[last+6:], binary.NativeEndian.Uint16(s.out[last+6:])|unix.NLM_F_ACK)
	if _, err := unix.Write(s.fd, s.out); err != nil {
		return 0, os.NewSyscallError("send", err)
	}
	done = to - from
	for {
		entry, answer := s.answer()
		if entry < 0 {
			return 0, answer
		}
		if answer != nil {
			done--
			if err == nil {
				err = fmt.Errorf("entry %d: %w", entry, answer)
			}
		}
		if entry == to-1 {
			return done, err
		}
	}
}

// answer reads one NLMSG_ERROR: the entry that it is about and its errno, nil for an
// acknowledgement. A negative entry means that there was no such answer.
func (s *churnSocket) answer() (entry int, err error) {
	n, err := unix.Read(s.fd, s.in[:])
	if err != nil {
		return -1, os.NewSyscallError("receive", err)
	}
	if n < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(s.in[4:]) != unix.NLMSG_ERROR {
		return -1, fmt.Errorf("answer of %d bytes: expected NLMSG_ERROR", n)
	}
	entry = int(binary.NativeEndian.Uint32(s.in[8:])) // nlmsg_seq
	if errno := -int32(binary.NativeEndian.Uint32(s.in[unix.NLMSG_HDRLEN:])); errno != 0 {
		return entry, unix.Errno(errno)
	}
	return entry, nil
}
