package frontend

import (
	"errors"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/control"
)

// why tells an error as conntrack(8) does: the errors of the kernel in its
// words for the command, behind "Operation failed: ", all others as they are.
func why(c *conntrack.Command, err error) string {
	errno := errnoOf(err)
	if errno == 0 {
		if silent(err) {
			return err.Error()
		}
		return "Operation failed: " + err.Error()
	}
	return "Operation failed: " + words(c, errno)
}

// errnoOf finds the kernel's error number behind an error, here or as it
// travelled; 0 if it was not the kernel that refused.
func errnoOf(err error) syscall.Errno {
	var of *control.Error
	if errors.As(err, &of) {
		return errnoNamed(of.Errno)
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return 0
}

// lastErrno is where the search for a name ends.
const lastErrno = 133

func errnoNamed(name string) syscall.Errno {
	if name == "" {
		return 0
	}
	for n := syscall.Errno(1); n <= lastErrno; n++ {
		if unix.ErrnoName(n) == name {
			return n
		}
	}
	return 0
}

// words are conntrack's for an error number, and else the C library's, which
// begin with a capital.
func words(c *conntrack.Command, errno syscall.Errno) string {
	expect := c.Table == conntrack.TableExpect
	creates := c.Verb == conntrack.VerbCreate
	switch {
	case errno == syscall.EINVAL && c.Verb != conntrack.VerbAdd: // conntrack has no words for what became of -A
		return "invalid parameters"
	case errno == syscall.EPERM && c.Verb != conntrack.VerbUpdate: // of one entry, FIXED_TIMEOUT refuses it
		return "sorry, you must be root or get CAP_NET_ADMIN capability to do this"
	case errno == syscall.ENOENT && expect && creates:
		return "master conntrack not found"
	case expect:
	case errno == syscall.EEXIST && creates:
		return "Such conntrack exists, try -U to update"
	case errno == syscall.ENOENT && (creates || c.Verb == conntrack.VerbGet || c.Verb == conntrack.VerbDelete):
		return "such conntrack doesn't exist"
	case errno == syscall.ENOMEM && (creates || c.Verb == conntrack.VerbGet):
		return "not enough memory"
	case errno == syscall.EAFNOSUPPORT && c.Verb == conntrack.VerbGet:
		return "protocol not supported"
	case errno == syscall.ETIME && creates:
		return "conntrack has expired"
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
