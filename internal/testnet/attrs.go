package testnet

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// attrs appends netlink attributes to a message and notes where values stand that are
// filled in later. Lengths and types are in the host's byte order, values in big endian.
type attrs struct {
	msg          []byte
	addrs, ports []int
}

// put appends an attribute, padded to a word, and returns where its value begins.
func (b *attrs) put(kind uint16, value []byte) int {
	b.msg = binary.NativeEndian.AppendUint16(b.msg, uint16(unix.NLA_HDRLEN+len(value)))
	b.msg = binary.NativeEndian.AppendUint16(b.msg, kind)
	at := len(b.msg)
	b.msg = append(b.msg, value...)
	for len(b.msg)%unix.NLA_ALIGNTO != 0 {
		b.msg = append(b.msg, 0)
	}
	return at
}

func (b *attrs) u8(kind uint16, v uint8) int { return b.put(kind, []byte{v}) }

func (b *attrs) u16(kind uint16, v uint16) int {
	return b.put(kind, binary.BigEndian.AppendUint16(nil, v))
}

func (b *attrs) u32(kind uint16, v uint32) int {
	return b.put(kind, binary.BigEndian.AppendUint32(nil, v))
}

// nest appends an attribute whose value is what f appends.
func (b *attrs) nest(kind uint16, f func()) {
	at := len(b.msg)
	b.put(kind|unix.NLA_F_NESTED, nil)
	f()
	binary.NativeEndian.PutUint16(b.msg[at:], uint16(len(b.msg)-at))
}
