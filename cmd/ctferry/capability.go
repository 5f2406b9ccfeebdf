package main

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// raiseNetAdmin makes CAP_NET_ADMIN effective where the process may have it and
// does not use it: in the image the binary's file has it as permitted only, so
// that it also starts in a container that does not grant it. Every thread has
// its own set; where there is nothing to raise, nothing is done.
func raiseNetAdmin() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // capabilities 0 to 31, and 32 to 63
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	const bit = 1 << unix.CAP_NET_ADMIN
	if sets[0].Permitted&bit == 0 || sets[0].Effective&bit != 0 {
		return nil
	}
	sets[0].Effective |= bit
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets)), 0)
	if errno != 0 {
		return os.NewSyscallError("capset", errno)
	}
	return nil
}
