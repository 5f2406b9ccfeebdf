package control

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
)

// asOurs makes an *Error of what the tables said.
func asOurs(err error) *Error {
	var ours *Error
	if errors.As(err, &ours) {
		return ours
	}
	e := &Error{Code: CodeKernel, Message: err.Error()}
	var errno unix.Errno
	switch {
	case errors.As(err, &errno):
		e.Errno = unix.ErrnoName(errno)
		switch errno {
		case unix.ENOENT:
			e.Code = CodeNotFound
		case unix.EEXIST:
			e.Code = CodeExists
		}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e.Code = CodeTimeout
	}
	return e
}

// gone reports whether the kernel said that there is no such entry.
func gone(err error) bool { return errors.Is(err, unix.ENOENT) }

// ended reports whether a change was not made because the time was over.
func ended(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
