package ctnetlink

import (
	"errors"
	"math"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// rmemMaxPath bounds what a process without CAP_NET_ADMIN in the initial user
// namespace may ask for; the effective buffer is twice that.
const rmemMaxPath = "/proc/sys/net/core/rmem_max"

// growBuffer raises a socket's receive buffer to so many effective bytes, or as
// far as it may, and gives the result. It never makes it smaller.
func growBuffer(fd, bytes int) (int, error) {
	now, err := bufferSize(fd)
	if err != nil || bytes <= now {
		return now, err
	}
	return setBuffer(fd, now, bytes)
}

// setBuffer asks for so many effective bytes, given those that the socket has
// now. The kernel doubles what is asked and tells the double.
func setBuffer(fd, now, bytes int) (int, error) {
	ask := min(bytes/2+bytes%2, math.MaxInt32/2)
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, ask)
	if errors.Is(err, unix.EPERM) {
		if wouldShrink(now, ask) {
			return now, nil
		}
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, ask)
	}
	if err != nil {
		return now, &Error{Op: "set", Subject: "SO_RCVBUF to " + strconv.Itoa(bytes) + " bytes", Err: err}
	}
	return bufferSize(fd)
}

// bufferSize reads the effective receive buffer.
func bufferSize(fd int) (int, error) {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return 0, &Error{Op: "read", Subject: "SO_RCVBUF", Err: err}
	}
	return n, nil
}

// wouldShrink reports whether asking for more would give less: the kernel
// silently cuts SO_RCVBUF to rmem_max, and the socket may have more already.
func wouldShrink(now, ask int) bool {
	text, err := os.ReadFile(rmemMaxPath)
	if err != nil {
		return false
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return err == nil && ask > now/2 && limit < now/2
}
