package ctnetlink

import (
	"errors"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The slots of an event socket's receiver. An event is bounded by the kernel's
// ctnetlink_nlmsg_size to well under a slot.
const (
	eventSlots    = 256
	eventSlotSize = 2048
)

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// mmsg is the receiver that calls recvmmsg(2). It owns its descriptor, which
// must be outside the runtime's poller: there every event would wake the
// poller's thread.
type mmsg struct {
	fd    int
	size  int
	arena []byte // slots of size bytes, one after the other
	heads []mmsghdr
	iovs  []unix.Iovec
	from  []unix.RawSockaddrNetlink
	out   []datagram

	mu    sync.Mutex // guards drops
	drops wideCounter
}

// newMmsg makes a receiver of the given number of slots and their size in bytes.
func newMmsg(fd, slots, size int) *mmsg {
	r := &mmsg{
		fd: fd, size: size,
		arena: make([]byte, slots*size),
		heads: make([]mmsghdr, slots),
		iovs:  make([]unix.Iovec, slots),
		from:  make([]unix.RawSockaddrNetlink, slots),
		out:   make([]datagram, slots),
	}
	for i := range r.heads {
		r.iovs[i].Base = &r.arena[i*size]
		r.iovs[i].SetLen(size)
		h := &r.heads[i].hdr
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&r.from[i]))
		h.Namelen = unix.SizeofSockaddrNetlink
	}
	return r
}

// next implements receiver. The call is raw: it never blocks, so the scheduler
// need not hear of it.
func (r *mmsg) next() ([]datagram, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(r.fd),
			uintptr(unsafe.Pointer(&r.heads[0])), uintptr(len(r.heads)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return r.collect(int(n)), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return nil, nil
		default:
			return nil, &Error{Op: "receive", Err: os.NewSyscallError("recvmmsg", errno)}
		}
	}
}

// collect describes the first n slots.
func (r *mmsg) collect(n int) []datagram {
	for i := range n {
		h := &r.heads[i]
		at := i * r.size
		r.out[i] = datagram{
			data:      r.arena[at : at+min(int(h.len), r.size)],
			truncated: h.hdr.Flags&unix.MSG_TRUNC != 0,
			// Any process of the namespace's root may send to a socket whose
			// port it knows; the kernel's own port is 0.
			foreign: h.hdr.Namelen != unix.SizeofSockaddrNetlink || r.from[i].Pid != 0,
		}
		h.hdr.Namelen = unix.SizeofSockaddrNetlink
	}
	return r.out[:n]
}

// descriptor implements receiver.
func (r *mmsg) descriptor() int { return r.fd }

// stats implements receiver.
func (r *mmsg) stats() (SocketStats, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, err := meminfo(r.fd)
	if err != nil {
		return SocketStats{}, err
	}
	return SocketStats{
		Queued: uint64(m[unix.SK_MEMINFO_RMEM_ALLOC]),
		Buffer: uint64(m[unix.SK_MEMINFO_RCVBUF]),
		Drops:  r.drops.add(m[unix.SK_MEMINFO_DROPS]),
	}, nil
}

// grow implements receiver.
func (r *mmsg) grow(bytes int) (int, error) { return growBuffer(r.fd, bytes) }

// close implements receiver.
func (r *mmsg) close() error {
	if err := unix.Close(r.fd); err != nil && !errors.Is(err, unix.EINTR) {
		return &Error{Op: "close", Subject: "socket", Err: err}
	}
	return nil
}
