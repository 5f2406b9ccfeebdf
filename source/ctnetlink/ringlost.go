package ctnetlink

import (
	"errors"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// lostCounter counts what the filter found no room for, in a map that both sides
// see. It is one counter that is added to atomically, not one a processor: a
// filter may be interrupted by another on its own processor, and an addition in
// two steps would then lose a loss.
type lostCounter struct {
	m    *ebpf.Map
	page []byte
}

func newLostCounter() (*lostCounter, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "ctferry_lost", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE})
	if err != nil {
		return nil, &Error{Op: "make", Subject: "counter of lost events", Err: err}
	}
	page, err := unix.Mmap(m.FD(), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(&Error{Op: "map", Subject: "counter of lost events", Err: err}, m.Close())
	}
	return &lostCounter{m, page}, nil
}

func (c *lostCounter) load() uint64 { return atomic.LoadUint64((*uint64)(unsafe.Pointer(&c.page[0]))) }

func (c *lostCounter) close() error {
	if c == nil {
		return nil
	}
	return errors.Join(c.m.Close(), unix.Munmap(c.page))
}
