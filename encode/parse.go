package encode

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// errSkip says that a value is of a later version (a word that is not known)
// and counts as absent.
var errSkip = errors.New("unknown word")

// parseText converts a value from its text, which is that of a JSON string or
// of XML.
func (m *member) parseText(s string) (v value, err error) {
	switch m.kind {
	case kindString:
		v.s = s
	case kindTime:
		v.u, err = parseTime(s)
	case kindID:
		v.u, err = parseID(s)
	case kindHex:
		err = parseHex(v.bytes[:], s)
	case kindUUID:
		err = parseUUID(&v.bytes, s)
	case kindAddr:
		v.bytes, v.family, err = parseAddr(s)
	case kindEnum, kindWords:
		var ok bool
		if v.u, ok = m.enum(s); !ok {
			err = errSkip
		}
	default:
		err = errors.New("is text, want " + m.kind.want())
	}
	return v, err
}

// parseNumber converts a value from its decimal number.
func (m *member) parseNumber(s string) (v value, err error) {
	switch m.kind {
	case kindUint8, kindUint16, kindUint32, kindUint64:
		v.u, err = strconv.ParseUint(s, 10, 64)
		if err != nil || v.u > m.kind.most() {
			err = fmt.Errorf("is %.40s, want %s", s, m.kind.want())
		}
	case kindInt64, kindZigZag:
		var i int64
		if i, err = strconv.ParseInt(s, 10, 64); err != nil {
			err = fmt.Errorf("is %.40s, want %s", s, m.kind.want())
		}
		v.u = uint64(i)
	default:
		err = errors.New("is a number, want " + m.kind.want())
	}
	return v, err
}

// numeric reports whether a kind is written as a number.
func (k kind) numeric() bool { return k >= kindUint8 && k <= kindZigZag }

// most is the largest number of a kind.
func (k kind) most() uint64 {
	switch k {
	case kindUint8:
		return math.MaxUint8
	case kindUint16:
		return math.MaxUint16
	case kindUint32:
		return math.MaxUint32
	}
	return math.MaxUint64
}

// want says what a kind's values look like.
func (k kind) want() string {
	switch k {
	case kindUint8, kindUint16, kindUint32, kindUint64:
		return "an integer from 0 to " + strconv.FormatUint(k.most(), 10)
	case kindInt64, kindZigZag:
		return "an integer"
	case kindBool:
		return "true or false"
	case kindTime:
		return "an RFC 3339 time"
	case kindID:
		return "16 hexadecimal digits"
	case kindHex:
		return "32 hexadecimal digits"
	case kindUUID:
		return "a UUID"
	case kindAddr:
		return "an IP address"
	case kindEnum:
		return "a word"
	case kindWords:
		return "a list of words"
	case kindMap, kindMessage:
		return "an object"
	}
	return "text"
}

func parseTime(s string) (uint64, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, fmt.Errorf("is %.40q, want an RFC 3339 time", s)
	}
	ns := t.UnixNano()
	if !time.Unix(0, ns).Equal(t) {
		return 0, fmt.Errorf("is %.40q, want a time from 1677-09-21 to 2262-04-11", s)
	}
	return uint64(ns), nil
}

func parseID(s string) (uint64, error) {
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 {
		return 0, fmt.Errorf("is %.40q, want 16 hexadecimal digits", s)
	}
	return v, nil
}

func parseHex(dst []byte, s string) error {
	if len(s) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("is %.40q, want %d hexadecimal digits", s, hex.EncodedLen(len(dst)))
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return fmt.Errorf("is %.40q, want %d hexadecimal digits", s, hex.EncodedLen(len(dst)))
	}
	return nil
}

func parseUUID(dst *[16]byte, s string) error {
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		if parseHex(dst[:], s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:]) == nil {
			return nil
		}
	}
	return fmt.Errorf("is %.40q, want a UUID", s)
}

func parseAddr(s string) ([16]byte, flow.Family, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return [16]byte{}, 0, fmt.Errorf("is %.60q, want an IP address without a zone", s)
	}
	addr, family := flow.AddrFrom(a)
	return addr, family, nil
}

// within puts a field's name before an error.
func within(name string, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := err.(*fieldError); ok {
		return &fieldError{name + "." + inner.path, inner.err}
	}
	return &fieldError{name, err}
}

// fieldError is an error with the path of the field that it is about.
type fieldError struct {
	path string
	err  error
}

func (e *fieldError) Error() string { return e.path + ": " + e.err.Error() }

func (e *fieldError) Unwrap() error { return e.err }
