package ctnetlink

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// malformed is why a message could not be decoded.
type malformed string

// Error gives the reason.
func (m malformed) Error() string { return string(m) }

// The reasons. They name no values, so that refusing a message allocates nothing.
const (
	errHeader    malformed = "netlink message is shorter than its header or longer than its datagram"
	errGen       malformed = "netfilter message is shorter than struct nfgenmsg"
	errFamily    malformed = "netfilter message is of a family that conntrack does not track"
	errAttr      malformed = "attribute is shorter than its header or longer than what holds it"
	errLength    malformed = "attribute's payload has not the length that its type has"
	errNest      malformed = "attribute stands where it does not belong"
	errString    malformed = "string attribute has a NUL before its end"
	errTruncated malformed = "datagram is larger than its receive slot"
)

// message is one netlink message in a receive buffer (struct nlmsghdr, nfgenmsg).
type message struct {
	kind  uint16 // nlmsg_type: for netfilter, subsystem in the upper byte, message in the lower
	flags uint16
	seq   uint32
	pid   uint32 // nlmsg_pid
	body  []byte // what follows the header
}

// cutMessage splits the first message off a datagram. The last message need
// not be padded to NLMSG_ALIGNTO.
func cutMessage(p []byte) (m message, rest []byte, err error) {
	rest, err = m.cut(p)
	return m, rest, err
}

// cut is cutMessage in place: a message is larger than what is handed over in
// registers, and to copy what was just written costs more than to read it.
func (m *message) cut(p []byte) (rest []byte, err error) {
	if len(p) < headerLen {
		return nil, errHeader
	}
	n := uint64(binary.NativeEndian.Uint32(p))
	if n < headerLen || n > uint64(len(p)) {
		return nil, errHeader
	}
	m.kind = binary.NativeEndian.Uint16(p[4:])
	m.flags = binary.NativeEndian.Uint16(p[6:])
	m.seq = binary.NativeEndian.Uint32(p[8:])
	m.pid = binary.NativeEndian.Uint32(p[12:])
	m.body = p[headerLen:n]
	return p[min(align(int(n)), len(p)):], nil
}

// subsystem and operation are the two halves of a netfilter message's type.
func (m *message) subsystem() uint16 { return m.kind >> 8 }
func (m *message) operation() uint16 { return m.kind & 0xff }

// created reports whether an event says that its entry is new; the kernel sets
// both flags or none.
func (m *message) created() bool {
	const both = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	return m.flags&both == both
}

// align rounds up to NLMSG_ALIGNTO, which is NLA_ALIGNTO too.
func align(n int) int { return (n + 3) &^ 3 }

// cutAttr splits the first attribute off a run of them: its type without the
// flag bits, and its payload.
func cutAttr(p []byte) (kind uint16, val, rest []byte, ok bool) {
	if len(p) < attrLen {
		return 0, nil, nil, false
	}
	n := int(binary.NativeEndian.Uint16(p))
	if n < attrLen || n > len(p) {
		return 0, nil, nil, false
	}
	kind = binary.NativeEndian.Uint16(p[2:]) & nlaTypeMask
	return kind, p[attrLen:n], p[min((n+3)&^3, len(p)):], true
}

func get8(v []byte, to *uint8) bool {
	if len(v) != 1 {
		return false
	}
	*to = v[0]
	return true
}

func get16(v []byte, to *uint16) bool {
	if len(v) != 2 {
		return false
	}
	*to = binary.BigEndian.Uint16(v)
	return true
}

func get32(v []byte, to *uint32) bool {
	if len(v) != 4 {
		return false
	}
	*to = binary.BigEndian.Uint32(v)
	return true
}

func get64(v []byte, to *uint64) bool {
	if len(v) != 8 {
		return false
	}
	*to = binary.BigEndian.Uint64(v)
	return true
}

// getTime reads nanoseconds since the epoch.
func getTime(v []byte, to *int64) bool {
	if len(v) != 8 {
		return false
	}
	*to = int64(binary.BigEndian.Uint64(v))
	return true
}
