package ctnetlink

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// waker waits for a descriptor, and lets another goroutine end the wait. The
// descriptor stands in an epoll instance of its own, armed for one event and only
// while somebody waits, and that instance in the runtime's poller: events that
// come while there is no wait wake nobody, and a wait holds no thread. (A wait
// in poll(2) would: the runtime's monitor wakes some fifty times before it has
// taken such a thread's processor away.)
type waker struct {
	mu     sync.Mutex // guards closed: wake must not write to a descriptor that was given away
	closed bool
	event  int      // eventfd
	poll   *os.File // epoll instance over event and armed
	raw    syscall.RawConn
	armed  int                // the descriptor that is waited for; -1 before the first wait
	look   func(uintptr) bool // method value of peek: made once

	// What peek has found.
	ready bool
	over  bool
	err   error
}

func newWaker() (*waker, error) {
	w := &waker{event: -1, armed: -1}
	w.look = w.peek
	if err := w.open(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *waker) open() (err error) {
	if w.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return &Error{Op: "open", Subject: "eventfd", Err: err}
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return &Error{Op: "open", Subject: "epoll", Err: err}
	}
	if err := unix.SetNonblock(fd, true); err != nil { // for the runtime: it takes no other
		return &Error{Op: "open", Subject: "epoll", Err: errors.Join(err, unix.Close(fd))}
	}
	w.poll = os.NewFile(uintptr(fd), "epoll")
	if w.raw, err = w.poll.SyscallConn(); err != nil {
		return &Error{Op: "open", Subject: "epoll", Err: err}
	}
	return w.watch(unix.EPOLL_CTL_ADD, w.event, unix.EPOLLIN)
}

// watch changes what the epoll instance watches.
func (w *waker) watch(op, fd int, events uint32) error {
	var err error
	controlled := w.raw.Control(func(poll uintptr) {
		err = unix.EpollCtl(int(poll), op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
	})
	if err := errors.Join(controlled, err); err != nil {
		return &Error{Op: "wait", Err: os.NewSyscallError("epoll_ctl", err)}
	}
	return nil
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
	_, _ = unix.Write(w.event, binary.NativeEndian.AppendUint64(nil, 1))
}

func (w *waker) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return os.ErrClosed
	}
	w.closed = true
	var errs []error
	if w.poll != nil {
		errs = append(errs, w.poll.Close())
	}
	if w.event >= 0 {
		errs = append(errs, unix.Close(w.event))
	}
	return errors.Join(errs...)
}

// wait blocks until fd is readable (true), the waker was woken, or the timeout
// is over (false). A negative timeout is none. It is always the same fd.
func (w *waker) wait(fd int, timeout time.Duration) (bool, error) {
	if err := w.arm(fd); err != nil {
		return false, err
	}
	deadline := time.Time{}
	if timeout >= 0 {
		deadline = time.Now().Add(max(timeout, 1))
	}
	if err := w.poll.SetReadDeadline(deadline); err != nil {
		return false, &Error{Op: "wait", Err: err}
	}
	w.ready, w.over, w.err = false, timeout == 0, nil
	err := w.raw.Read(w.look)
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		// A timeout of 0 may be over before the first look.
		err = w.raw.Control(func(poll uintptr) { w.peek(poll) })
	}
	if err := errors.Join(err, w.err); err != nil {
		return false, &Error{Op: "wait", Err: err}
	}
	return w.ready, nil
}

// arm has one event of fd end a wait.
func (w *waker) arm(fd int) error {
	const events = unix.EPOLLIN | unix.EPOLLONESHOT
	if w.armed == fd {
		return w.watch(unix.EPOLL_CTL_MOD, fd, events)
	}
	if err := w.watch(unix.EPOLL_CTL_ADD, fd, events); err != nil {
		return err
	}
	w.armed = fd
	return nil
}

// peek looks, without waiting, what there is, and reports whether the wait is over.
func (w *waker) peek(poll uintptr) bool {
	var events [2]unix.EpollEvent
	n, err := unix.EpollWait(int(poll), events[:], 0)
	if err != nil && !errors.Is(err, unix.EINTR) {
		w.err = os.NewSyscallError("epoll_wait", err)
		return true
	}
	for i := range max(n, 0) {
		if int(events[i].Fd) == w.event {
			w.drain()
		} else {
			w.ready = true // an error on the socket is told by the read that follows
		}
	}
	return w.over || n > 0
}

func (w *waker) drain() {
	var b [8]byte
	_, _ = unix.Read(w.event, b[:])
}

// milliseconds rounds up, so that a short wait is not a spin.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int(min((d+time.Millisecond-1)/time.Millisecond, 1<<31-1))
}
