package ctnetlink

import (
	"errors"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The counters, by their offset in the map's only value.
const (
	countLost    = 0 // what the ring had no room for
	countRefused = 8 // what the filter refused
	countersSize = 16
)

// ringCounters counts what the program lets go, in a map that both sides see.
// Each is one counter that is added to atomically, not one a processor: a filter
// may be interrupted by another on its own processor, and an addition in two steps
// would then lose a loss.
type ringCounters struct {
	m    *ebpf.Map
	page []byte
}

func newRingCounters() (*ringCounters, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "ctferry_counts", Type: ebpf.Array, KeySize: 4, ValueSize: countersSize, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE,
	})
	if err != nil {
		return nil, &Error{Op: "make", Subject: "counter of lost events", Err: err}
	}
	page, err := unix.Mmap(m.FD(), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(&Error{Op: "map", Subject: "counter of lost events", Err: err}, m.Close())
	}
	return &ringCounters{m, page}, nil
}

func (c *ringCounters) load(counter int) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&c.page[counter])))
}

func (c *ringCounters) close() error {
	if c == nil {
		return nil
	}
	return errors.Join(c.m.Close(), unix.Munmap(c.page))
}
