package ctnetlink

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// meminfo reads SO_MEMINFO: the socket's account of its memory, indexed by
// SK_MEMINFO_*.
func meminfo(fd int) ([unix.SK_MEMINFO_VARS]uint32, error) {
	var m [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(m))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&m)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return m, &Error{Op: "read", Subject: "SO_MEMINFO", Err: os.NewSyscallError("getsockopt", errno)}
	}
	return m, nil
}

// wideCounter makes a 64-bit count of a counter that wraps at 32 bits. It is
// right as long as it is read once in every 2³² steps.
type wideCounter struct {
	last  uint32
	total uint64
}

// add takes a reading and gives the count.
func (c *wideCounter) add(now uint32) uint64 {
	c.total += uint64(now - c.last)
	c.last = now
	return c.total
}
