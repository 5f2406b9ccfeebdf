package encode

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ctferry/ctferry/source/flow"
)

// kind is how a value stands in the formats: as text in JSON and XML, and with
// which wire type in protobuf.
type kind uint8

const (
	kindString  kind = iota // text; bytes on the wire
	kindUint8               // number; varint
	kindUint16              // number; varint
	kindUint32              // number; varint
	kindUint64              // number; varint
	kindInt64               // number; varint
	kindZigZag              // number; zigzag varint
	kindBool                // true or false; varint
	kindTime                // RFC 3339; fixed64 ns
	kindID                  // 16 hexadecimal digits; fixed64
	kindHex                 // 32 hexadecimal digits; 16 bytes
	kindUUID                // dashed UUID; 16 bytes
	kindAddr                // address; 4 or 16 bytes
	kindEnum                // word; varint
	kindWords               // list of words; packed varints
	kindMap                 // object of strings; entries
	kindMessage             // object; message
)

// member describes one field of the record or of one of its messages to the
// decoders. The encoders are written out by hand, for speed; tests hold both
// against record.proto.
type member struct {
	name  string
	num   protowire.Number
	kind  kind
	many  bool                             // a list
	enum  func(word string) (uint64, bool) // number of a word, for enums
	inner []member                         // of a message
	set   func(d *draft, v *value)         // keeps the value, or enters the message; nil for what is derived
}

// value is one value, converted from its format. Which of its fields counts
// follows from the kind.
type value struct {
	s      string
	u      uint64
	bytes  [16]byte
	family flow.Family
}

// byName finds a member by its name.
func byName(members []member, name string) *member {
	for i := range members {
		if members[i].name == name {
			return &members[i]
		}
	}
	return nil
}

// byNumber finds a member by its number.
func byNumber(members []member, num protowire.Number) *member {
	for i := range members {
		if members[i].num == num {
			return &members[i]
		}
	}
	return nil
}

// keep hands a value on, unless it is one that is derived again. The error is
// about a value that does not go with those before it.
func (m *member) keep(d *draft, v *value) error {
	if m.set != nil {
		m.set(d, v)
	}
	err := d.fault
	d.fault = nil
	return err
}

// wordIn gives a parser for words that stand in a list at their enum's number.
func wordIn(words []string) func(string) (uint64, bool) {
	return func(word string) (uint64, bool) {
		for i, w := range words {
			if w != "" && w == word {
				return uint64(i), true
			}
		}
		return 0, false
	}
}

// plus gives an enum's number to a word of which the kernel's number is known.
func plus[T ~uint8](parse func(string) (T, bool), more uint64) func(string) (uint64, bool) {
	return func(word string) (uint64, bool) {
		v, ok := parse(word)
		return uint64(v) + more, ok
	}
}

// bitName gives a parser for the names of bits, by the function that names them.
func bitName(nameOf func(int) string) func(string) (uint64, bool) {
	return func(word string) (uint64, bool) {
		for n := range 32 {
			if name := nameOf(n); name != "" && name == word {
				return uint64(n) + 1, true
			}
		}
		return 0, false
	}
}

// familyWord gives a family its number in the enum.
func familyWord(word string) (uint64, bool) {
	f, ok := flow.ParseFamily(word)
	return uint64(familyNumber(f)), ok
}
