package ctnetlink

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// waker lets one goroutine end another's wait: an eventfd beside the socket.
type waker struct {
	mu     sync.Mutex // guards closed: wake must not write to a descriptor that was given away
	closed bool
	fd     int
}

func newWaker() (*waker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, &Error{Op: "open", Subject: "eventfd", Err: err}
	}
	return &waker{fd: fd}, nil
}

// wake ends the wait under way, or else the next one. It may be called by any
// goroutine at any time.
func (w *waker) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	// It fails only when the counter is full, and then a wake-up stands already.
	_, _ = unix.Write(w.fd, binary.NativeEndian.AppendUint64(nil, 1))
}

func (w *waker) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return os.ErrClosed
	}
	w.closed = true
	return unix.Close(w.fd)
}

// wait blocks until fd is readable (true), the waker was woken, or the timeout
// is over (false). A negative timeout is none.
func (w *waker) wait(fd int, timeout time.Duration) (bool, error) {
	end := time.Now().Add(timeout)
	for {
		fds := [2]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(w.fd), Events: unix.POLLIN}}
		_, err := unix.Poll(fds[:], milliseconds(timeout))
		if err == nil {
			if fds[1].Revents != 0 {
				w.drain()
			}
			if fds[0].Revents&unix.POLLNVAL != 0 {
				return false, &Error{Op: "wait", Err: unix.EBADF}
			}
			// An error on the socket (POLLERR) is told by the read that follows.
			return fds[0].Revents != 0, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return false, &Error{Op: "wait", Err: os.NewSyscallError("poll", err)}
		}
		if timeout >= 0 {
			timeout = max(time.Until(end), 0)
		}
	}
}

func (w *waker) drain() {
	var b [8]byte
	_, _ = unix.Read(w.fd, b[:])
}

// milliseconds rounds up, so that a short wait is not a spin.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int(min((d+time.Millisecond-1)/time.Millisecond, 1<<31-1))
}
