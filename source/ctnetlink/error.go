package ctnetlink

import "strings"

// Error is a failure of the kernel's side: an operation, what it was for, the
// error number, and the kernel's own words where it gave any.
type Error struct {
	Op      string // listen, dump, get, delete, stats, …
	Subject string // what it was done to: a table, a socket option, a namespace's path; may be empty
	Message string // NLMSGERR_ATTR_MSG, often empty
	Err     error  // mostly a unix.Errno
}

// Error joins what is known.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Subject != "" {
		b.WriteString(" ")
		b.WriteString(e.Subject)
	}
	if e.Message != "" {
		b.WriteString(": ")
		b.WriteString(e.Message)
	}
	b.WriteString(": ")
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap gives the error number, so that errors.Is(err, unix.ENOENT) answers.
func (e *Error) Unwrap() error { return e.Err }
