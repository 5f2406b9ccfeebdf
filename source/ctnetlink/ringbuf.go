package ctnetlink

import (
	"errors"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The layout of a BPF ring buffer as user space maps it (kernel/bpf/ringbuf.c):
// a page that begins with the reader's position, a page that begins with the
// writers', the data. Positions only rise; a record begins with its length, of
// which two bits are its state, and another word, and is padded to 8 bytes.
const (
	ringHeader    = 8       // BPF_RINGBUF_HDR_SZ
	ringBusy      = 1 << 31 // BPF_RINGBUF_BUSY_BIT: reserved, not yet filled
	ringDiscarded = 1 << 30 // BPF_RINGBUF_DISCARD_BIT: to be passed over
)

// ringBuffer is one ring and the place in it that is read next. Writers are the
// kernel's and may be many; on this side its owner sees to it that one goroutine
// at a time calls. The data is mapped once, not twice as usual, because every
// mapping counts as resident memory.
type ringBuffer struct {
	m        *ebpf.Map
	reader   []byte // the reader's page
	writers  []byte // the writers' page and the data
	consumed *uintptr
	produced *uintptr
	data     []byte
	scratch  [ringHeader + ringPrefix + eventSlotSize]byte // the record at the ring's end, whole

	head     uintptr // what was handed out ends here
	released uintptr // what *consumed holds
}

// newRingBuffer makes a ring of so many bytes, a power of two and whole pages.
func newRingBuffer(size int) (*ringBuffer, error) {
	m, err := ebpf.NewMap(ringSpec(size))
	if err != nil {
		return nil, err
	}
	b := &ringBuffer{m: m}
	if err := b.mmap(size); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func ringSpec(size int) *ebpf.MapSpec {
	return &ebpf.MapSpec{Name: "ctferry_ring", Type: ebpf.RingBuf, MaxEntries: uint32(size)}
}

func (b *ringBuffer) mmap(size int) (err error) {
	page := os.Getpagesize()
	if b.reader, err = unix.Mmap(b.m.FD(), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	if b.writers, err = unix.Mmap(b.m.FD(), int64(page), page+size, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	b.consumed = (*uintptr)(unsafe.Pointer(&b.reader[0]))
	b.produced = (*uintptr)(unsafe.Pointer(&b.writers[0]))
	b.data = b.writers[page:]
	return nil
}

// release gives back what was handed out. The store is a full barrier, and the
// next look at the writers' position comes after it: a writer that finds the
// reader behind will be found by it, and one that finds it abreast wakes it.
func (b *ringBuffer) release() {
	if b.released != b.head {
		atomic.StoreUintptr(b.consumed, b.head)
		b.released = b.head
	}
}

// written is where the writers are.
func (b *ringBuffer) written() uintptr { return atomic.LoadUintptr(b.produced) }

// read describes the records before end that are whole, up to the first that is
// not, and gives their number. What it describes is valid until release.
func (b *ringBuffer) read(out []datagram, end uintptr) (n int) {
	mask := uintptr(len(b.data) - 1)
	for n < len(out) && b.head != end {
		at := b.head & mask
		state := atomic.LoadUint32((*uint32)(unsafe.Pointer(&b.data[at])))
		if state&ringBusy != 0 {
			break
		}
		size := uintptr(state &^ (ringBusy | ringDiscarded))
		b.head += (ringHeader + size + 7) &^ 7
		if state&ringDiscarded == 0 {
			out[n] = asDatagram(b.record(at, size))
			n++
		}
	}
	return n
}

// record gives a record's bytes; one that goes on at the ring's begin is put together.
func (b *ringBuffer) record(at, size uintptr) []byte {
	from := at + ringHeader
	if from+size <= uintptr(len(b.data)) {
		return b.data[from : from+size]
	}
	whole := b.scratch[:size]
	n := copy(whole, b.data[from:])
	copy(whole[n:], b.data)
	return whole
}

// asDatagram reads what the filter has put into a record: the datagram's length
// in a word of its own, the datagram, and whatever stood in the ring's memory.
func asDatagram(record []byte) datagram {
	length := *(*uint64)(unsafe.Pointer(&record[0]))
	body := record[ringPrefix:]
	if length > uint64(len(body)) {
		return datagram{truncated: true} // too long for any record: its length alone was noted
	}
	return datagram{data: body[:length]}
}

// queued is how many bytes the writers have taken that read has not handed out.
func (b *ringBuffer) queued() int { return int(b.written() - b.head) }

// close unmaps the ring and lets go of it.
func (b *ringBuffer) close() error {
	errs := []error{b.m.Close()}
	for _, mapped := range [][]byte{b.reader, b.writers} {
		if mapped != nil {
			errs = append(errs, os.NewSyscallError("munmap", unix.Munmap(mapped)))
		}
	}
	return errors.Join(errs...)
}
