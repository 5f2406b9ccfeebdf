package ctnetlink

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// writer appends messages to a buffer: headers in host byte order, integers in
// network byte order.
type writer struct {
	b []byte
}

// genVersion is nfgenmsg.version. The kernel regards the family of a flush only
// if it is not 0; with 0 a flush of one family empties both.
const genVersion = 1

// begin appends a netfilter message's headers; finish, given the position that
// begin returned, fills in its length.
func (w *writer) begin(subsystem, operation, flags uint16, seq uint32, family flow.Family) int {
	at := len(w.b)
	w.b = append(w.b, 0, 0, 0, 0)
	w.b = binary.NativeEndian.AppendUint16(w.b, subsystem<<8|operation)
	w.b = binary.NativeEndian.AppendUint16(w.b, flags|unix.NLM_F_REQUEST)
	w.b = binary.NativeEndian.AppendUint32(w.b, seq)
	w.b = binary.NativeEndian.AppendUint32(w.b, 0)
	w.b = append(w.b, byte(family), genVersion, 0, 0)
	return at
}

// request appends a whole message.
func (w *writer) request(q *request, seq uint32) {
	at := w.begin(q.subsystem, q.operation, q.flags, seq, flow.Family(q.family))
	if q.attrs != nil {
		q.attrs(w)
	}
	w.finish(at)
}

func (w *writer) finish(at int) {
	binary.NativeEndian.PutUint32(w.b[at:], uint32(len(w.b)-at))
}

// attr appends an attribute's header for a payload of n bytes.
func (w *writer) attr(kind uint16, n int) {
	w.b = binary.NativeEndian.AppendUint16(w.b, uint16(attrLen+n))
	w.b = binary.NativeEndian.AppendUint16(w.b, kind)
}

func (w *writer) pad() {
	for len(w.b)%4 != 0 {
		w.b = append(w.b, 0)
	}
}

func (w *writer) put8(kind uint16, v uint8) {
	w.attr(kind, 1)
	w.b = append(w.b, v, 0, 0, 0)
}

func (w *writer) put16(kind, v uint16) {
	w.attr(kind, 2)
	w.b = binary.BigEndian.AppendUint16(w.b, v)
	w.pad()
}

func (w *writer) put32(kind uint16, v uint32) {
	w.attr(kind, 4)
	w.b = binary.BigEndian.AppendUint32(w.b, v)
}

// putHost32 appends a number in host byte order, of which there are few.
func (w *writer) putHost32(kind uint16, v uint32) {
	w.attr(kind, 4)
	w.b = binary.NativeEndian.AppendUint32(w.b, v)
}

func (w *writer) put64(kind uint16, v uint64) {
	w.attr(kind, 8)
	w.b = binary.BigEndian.AppendUint64(w.b, v)
}

func (w *writer) putBytes(kind uint16, v []byte) {
	w.attr(kind, len(v))
	w.b = append(w.b, v...)
	w.pad()
}

// putName appends an NLA_NUL_STRING.
func (w *writer) putName(kind uint16, s string) {
	w.attr(kind, len(s)+1)
	w.b = append(w.b, s...)
	w.b = append(w.b, 0)
	w.pad()
}

// nest opens a nested attribute; close, given the position that nest returned,
// fills in its length.
func (w *writer) nest(kind uint16) int {
	at := len(w.b)
	w.attr(kind|nlaNested, 0)
	return at
}

func (w *writer) close(at int) {
	binary.NativeEndian.PutUint16(w.b[at:], uint16(len(w.b)-at))
}
