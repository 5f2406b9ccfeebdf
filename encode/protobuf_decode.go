package encode

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ctferry/ctferry/source/flow"
)

// protobufDecoder reads any encoder's Record: fields in any order, messages in
// several pieces, fields that it does not know.
type protobufDecoder struct {
	draft draft
}

// Decode implements Decoder.
func (p *protobufDecoder) Decode(b *flow.Batch, record []byte) error {
	return p.draft.decode(b, record, func(record []byte) error { return p.message(recordMembers, record) })
}

// message reads the fields of a message. It nests no deeper than the tables do.
func (p *protobufDecoder) message(members []member, b []byte) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return within("record", protowire.ParseError(n))
		}
		b = b[n:]
		m := byNumber(members, num)
		if m == nil {
			n = protowire.ConsumeFieldValue(num, typ, b)
			if n < 0 {
				return within("record", protowire.ParseError(n))
			}
			b = b[n:]
			continue
		}
		n, err := p.field(m, typ, b)
		if err != nil {
			return within(m.name, err)
		}
		b = b[n:]
	}
	return nil
}

// field reads a known field's value and tells how long it is.
func (p *protobufDecoder) field(m *member, typ protowire.Type, b []byte) (int, error) {
	var u uint64
	var raw []byte
	var n int
	switch typ {
	case protowire.VarintType:
		u, n = protowire.ConsumeVarint(b)
	case protowire.Fixed64Type:
		u, n = protowire.ConsumeFixed64(b)
	case protowire.BytesType:
		raw, n = protowire.ConsumeBytes(b)
	default:
		return 0, fmt.Errorf("has wire type %d, want %d", typ, m.kind.wireType())
	}
	if n < 0 {
		return 0, protowire.ParseError(n)
	}
	switch {
	case typ == m.kind.wireType() && typ == protowire.BytesType:
		return n, p.bytes(m, raw)
	case typ == m.kind.wireType(), m.kind == kindWords && typ == protowire.VarintType:
		return n, p.number(m, u)
	}
	return 0, fmt.Errorf("has wire type %d, want %d", typ, m.kind.wireType())
}

// wireType is how a kind stands on the wire.
func (k kind) wireType() protowire.Type {
	switch k {
	case kindUint8, kindUint16, kindUint32, kindUint64, kindInt64, kindZigZag, kindBool, kindEnum:
		return protowire.VarintType
	case kindTime, kindID:
		return protowire.Fixed64Type
	}
	return protowire.BytesType
}

// number takes a value that is a number on the wire.
func (p *protobufDecoder) number(m *member, u uint64) error {
	switch m.kind {
	case kindUint8, kindUint16, kindUint32:
		if u > m.kind.most() {
			return fmt.Errorf("is %d, want %s", u, m.kind.want())
		}
	case kindZigZag:
		u = uint64(protowire.DecodeZigZag(u))
	case kindEnum, kindWords:
		if u > 255 {
			return nil // a word of a later version
		}
	}
	m.keep(&p.draft, &value{u: u})
	return nil
}

// bytes takes a value that is a run of bytes on the wire.
func (p *protobufDecoder) bytes(m *member, raw []byte) error {
	var v value
	switch m.kind {
	case kindMessage:
		m.keep(&p.draft, &v)
		return p.message(m.inner, raw)
	case kindMap:
		return p.entry(raw)
	case kindWords:
		return p.packed(m, raw)
	case kindString:
		if !utf8.Valid(raw) {
			return errors.New("is not UTF-8")
		}
		v.s = string(raw)
	case kindAddr:
		switch len(raw) {
		case 0:
			return nil // an absent address, written out
		case 4:
			v.family = flow.IPv4
		case 16:
			v.family = flow.IPv6
		default:
			return fmt.Errorf("has %d bytes, want 4 or 16", len(raw))
		}
		copy(v.bytes[:], raw)
	default:
		if len(raw) == 0 {
			return nil
		}
		if len(raw) != len(v.bytes) {
			return fmt.Errorf("has %d bytes, want %d", len(raw), len(v.bytes))
		}
		copy(v.bytes[:], raw)
	}
	m.keep(&p.draft, &v)
	return nil
}

// packed reads the numbers of a list.
func (p *protobufDecoder) packed(m *member, raw []byte) error {
	for len(raw) > 0 {
		u, n := protowire.ConsumeVarint(raw)
		if n < 0 {
			return protowire.ParseError(n)
		}
		raw = raw[n:]
		if err := p.number(m, u); err != nil {
			return err
		}
	}
	return nil
}

// entry reads one of the static strings.
func (p *protobufDecoder) entry(raw []byte) error {
	var key, text string
	for len(raw) > 0 {
		num, typ, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return protowire.ParseError(n)
		}
		raw = raw[n:]
		if num != 1 && num != 2 || typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(num, typ, raw); n < 0 {
				return protowire.ParseError(n)
			}
			raw = raw[n:]
			continue
		}
		b, n := protowire.ConsumeBytes(raw)
		if n < 0 {
			return protowire.ParseError(n)
		}
		raw = raw[n:]
		if !utf8.Valid(b) {
			return errors.New("is not UTF-8")
		}
		if num == 1 {
			key = string(b)
		} else {
			text = string(b)
		}
	}
	p.draft.addMeta(key, text)
	return nil
}
