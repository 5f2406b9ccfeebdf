package ctnetlink

import (
	"errors"
	"math/bits"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// ringShare is how many bytes of socket buffer one byte of ring stands for: an
// event costs EventCost of the one and mostly less than EventCost/ringShare, its
// own length, of the other. Sizes cross the seam in bytes of socket buffer, so
// that they mean the same number of events for both receivers.
const ringShare = 4

// ringSlots is how many events are looked up at once: each is decoded soon after its
// length was read, while the processor is fetching what stands behind it.
const ringSlots = 16

// maxRing keeps a ring's size in MaxEntries, a power of two of 32 bits.
const maxRing = 1 << 30

// ring is the receiver that has a socket filter copy every event into memory
// that both sides map: no system call and no queue. It owns the socket.
//
// A bigger ring takes the place of a smaller one in the array that the filter
// looks into, and the smaller is read to its end first. While the kernel makes
// the exchange both are written to: by runs of the filter that began before, and
// after. An event of the new ring may be read only when all that were whole in
// the old one before it have been: so its end is noted before the old one is
// found empty. When the update returns, the kernel has waited for every run that
// may hold the old one (maybe_wait_bpf_programs), and that is complete.
type ring struct {
	fd    int
	rings *ebpf.Map // the array whose only place holds the ring that is written to
	count *ringCounters
	prog  *ebpf.Program
	ready int // epoll instance over the rings: poll(2) must see the next one too
	out   []datagram

	growing sync.Mutex // one at a time makes a bigger ring

	mu       sync.Mutex // guards the fields below
	bufs     []*ringBuffer
	complete int // so many of bufs, from the first on, are not written to any more
	drops    wideCounter
}

// newRing makes the ring, of a size that stands for so many effective bytes, and
// loads the program with what it may run of a filter; attach connects them to a
// socket.
func newRing(bytes int, reliable bool, filter *KernelFilter) (*ring, error) {
	r := &ring{fd: -1, ready: -1, out: make([]datagram, ringSlots)}
	if err := r.build(ringBytes(bytes), reliable, filter); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *ring) build(size int, reliable bool, filter *KernelFilter) (err error) {
	if r.ready, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return &Error{Op: "open", Subject: "epoll", Err: err}
	}
	spec := &ebpf.MapSpec{Name: "ctferry_rings", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: ringSpec(size)}
	if r.rings, err = ebpf.NewMap(spec); err != nil {
		return &Error{Op: "make", Subject: "array of ring buffers", Err: err}
	}
	if r.count, err = newRingCounters(); err != nil {
		return err
	}
	if err = r.add(size); err != nil {
		return err
	}
	r.prog, err = ebpf.NewProgramWithOptions(ringProgram(r.rings, r.count.m, reliable, filter), ebpf.ProgramOptions{LogDisabled: true})
	if err != nil {
		return &Error{Op: "load", Subject: "socket filter", Err: err}
	}
	return nil
}

// ringBytes is the size of the ring that stands for so many effective bytes:
// rounded up to a power of two, at least a page.
func ringBytes(bytes int) int {
	want := max((bytes+ringShare-1)/ringShare, os.Getpagesize())
	return min(1<<bits.Len(uint(want-1)), maxRing)
}

// add makes a ring of so many bytes and has the filter write to it.
func (r *ring) add(size int) error {
	b, err := newRingBuffer(size)
	if err != nil {
		return &Error{Op: "make", Subject: "ring buffer", Err: err}
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN}
	if err := unix.EpollCtl(r.ready, unix.EPOLL_CTL_ADD, b.m.FD(), &event); err != nil {
		return errors.Join(&Error{Op: "watch", Subject: "ring buffer", Err: os.NewSyscallError("epoll_ctl", err)}, b.close())
	}
	r.mu.Lock()
	r.bufs = append(r.bufs, b)
	r.mu.Unlock()
	err = r.rings.Put(uint32(0), b.m) // returns when no run of the filter has the one before
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.bufs) - 1
	if err != nil {
		r.bufs = r.bufs[:last]
		return errors.Join(&Error{Op: "exchange", Subject: "ring buffer", Err: err}, b.close())
	}
	r.complete = last
	return nil
}

// attach has the filter see what is sent to the socket, and takes the socket
// when that succeeds.
func (r *ring) attach(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, r.prog.FD()); err != nil {
		return &Error{Op: "attach", Subject: "socket filter", Err: err}
	}
	return nil
}

// next implements receiver.
func (r *ring) next() ([]datagram, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.bufs) > 1 {
		b := r.bufs[0]
		after := r.bufs[1].written() // noted before b is found empty: see ring
		if n := r.take(b, b.written()); n > 0 || b.queued() > 0 {
			return r.out[:n:n], nil // full, as it were: the next ring may have more
		}
		if r.complete == 0 {
			return r.out[:r.take(r.bufs[1], after)], nil
		}
		r.bufs = r.bufs[1:]
		r.complete--
		if err := b.close(); err != nil {
			return nil, &Error{Op: "close", Subject: "ring buffer", Err: err}
		}
	}
	b := r.bufs[0]
	return r.out[:r.take(b, b.written())], nil
}

// take gives back what b had handed out and reads on, up to end.
func (r *ring) take(b *ringBuffer, end uintptr) int {
	b.release()
	return b.read(r.out, end)
}

// descriptor implements receiver. What next has handed out must be given back
// first: the kernel would call the ring readable.
func (r *ring) descriptor() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.bufs {
		b.release()
	}
	return r.ready
}

// stats implements receiver. The socket's own counter still counts: the kernel
// raises it when it has no memory for a copy of the event, before any filter.
func (r *ring) stats() (SocketStats, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, err := meminfo(r.fd)
	if err != nil {
		return SocketStats{}, err
	}
	queued := 0
	for _, b := range r.bufs {
		queued += b.queued()
	}
	return SocketStats{
		Queued:  uint64(queued) * ringShare,
		Buffer:  uint64(r.size()) * ringShare,
		Drops:   r.drops.add(m[unix.SK_MEMINFO_DROPS]) + r.count.load(countLost),
		Refused: r.count.load(countRefused),
	}, nil
}

// size is the bytes of the ring that is written to; mu is held.
func (r *ring) size() int { return len(r.bufs[len(r.bufs)-1].data) }

// grow implements receiver.
func (r *ring) grow(bytes int) (int, error) {
	r.growing.Lock()
	defer r.growing.Unlock()
	r.mu.Lock()
	now := r.size()
	r.mu.Unlock()
	size := ringBytes(bytes)
	if size <= now {
		return now * ringShare, nil
	}
	if err := r.add(size); err != nil {
		return now * ringShare, err
	}
	return size * ringShare, nil
}

// close implements receiver: the socket first, so that nothing is written any more.
func (r *ring) close() error {
	var errs []error
	for _, fd := range []int{r.fd, r.ready} {
		if fd >= 0 {
			if err := unix.Close(fd); err != nil && !errors.Is(err, unix.EINTR) {
				errs = append(errs, &Error{Op: "close", Subject: "socket", Err: err})
			}
		}
	}
	errs = append(errs, r.prog.Close(), r.rings.Close(), r.count.close())
	for _, b := range r.bufs {
		errs = append(errs, b.close())
	}
	return errors.Join(errs...)
}
