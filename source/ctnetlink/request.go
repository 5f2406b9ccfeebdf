package ctnetlink

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// request is one message to the kernel.
type request struct {
	op        string // for errors
	subject   string
	subsystem uint16
	operation uint16
	flags     uint16
	family    byte
	attrs     func(*writer) // may be nil
}

// fail makes the request's error.
func (q *request) fail(err error) error { return &Error{Op: q.op, Subject: q.subject, Err: err} }

// verdict reads an NLMSG_ERROR or NLMSG_DONE: its error number, 0 for success,
// and the kernel's words. It is nil if all went well.
func (q *request) verdict(m *message) error {
	if len(m.body) < 4 {
		return q.fail(errHeader)
	}
	errno := -int32(binary.NativeEndian.Uint32(m.body))
	if errno == 0 {
		return nil
	}
	return &Error{Op: q.op, Subject: q.subject, Message: extAck(m), Err: unix.Errno(errno)}
}

// extAck gives the kernel's words from an extended acknowledgement: attributes
// after the error number and, in an NLMSG_ERROR, the message it is about.
func extAck(m *message) string {
	if m.flags&unix.NLM_F_ACK_TLVS == 0 {
		return ""
	}
	p := m.body[4:]
	if m.kind == unix.NLMSG_ERROR {
		if len(p) < headerLen {
			return ""
		}
		skip := headerLen
		if m.flags&unix.NLM_F_CAPPED == 0 {
			skip = align(int(binary.NativeEndian.Uint32(p)))
		}
		if skip < headerLen || skip > len(p) {
			return ""
		}
		p = p[skip:]
	}
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return ""
		}
		if kind == unix.NLMSGERR_ATTR_MSG {
			return string(trimNUL(val))
		}
		p = rest
	}
	return ""
}

func trimNUL(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == 0 {
		return b[:n-1]
	}
	return b
}
