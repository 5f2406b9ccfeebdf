package conntrack

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// bound is a kind of number on the command line. The tool reads ports, ICMP
// fields, timeouts, tags and sizes in base 10, and the others as strtoul does
// in base 0: 0x is hexadecimal, a leading 0 octal.
type bound struct {
	base     int // 10 or 0
	min, max uint64
	what     string
}

// boundOf is the kind of number that an option takes.
func boundOf(k key, gre bool) bound {
	switch k {
	case kTimeout:
		return bound{10, 0, 1<<32 - 1, "seconds"}
	case kBuffer:
		return bound{10, 1, 1<<31 - 1, "bytes"}
	case kZone, kOrigZone, kReplyZone:
		return bound{0, 0, 1<<16 - 1, "a zone"}
	case kICMPType, kICMPCode:
		return bound{10, 0, 1<<8 - 1, "a number"}
	case kICMPID:
		return bound{10, 0, 1<<16 - 1, "a number"}
	case kVTagOrig, kVTagReply:
		return bound{10, 0, 1<<32 - 1, "a decimal number"}
	case kMark, kID, kSecmark:
		return bound{0, 0, 1<<32 - 1, "a number"}
	}
	if gre {
		return bound{0, 0, 1<<16 - 1, "a key"}
	}
	return bound{10, 0, 1<<16 - 1, "a port number"}
}

func (b bound) parse(s string) (uint64, bool) {
	base := 10
	if b.base == 0 {
		switch {
		case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0X"):
			base, s = 16, s[2:]
		case len(s) > 1 && s[0] == '0':
			base = 8
		}
	}
	n, err := strconv.ParseUint(s, base, 64)
	return n, err == nil && n >= b.min && n <= b.max
}

// String tells what is expected.
func (b bound) String() string { return fmt.Sprintf("%s from %d to %d", b.what, b.min, b.max) }

// number reads the value of a numeric option. The tool takes anything here:
// what it cannot read is 0, what is too large is cut.
func (l *line) number(o *option, s string) (uint64, error) {
	b := boundOf(o.key, l.cmd.Proto.Value == flow.ProtoGRE)
	n, ok := b.parse(s)
	if !ok {
		return 0, stricter("numbers", "Bad value `%s' for `--%s': expected %s", s, o.names[0], b)
	}
	return n, nil
}

// mark reads VALUE[/MASK].
func (l *line) mark(o *option, s string) error {
	value, mask, has := strings.Cut(s, "/")
	v, err := l.number(o, value)
	if err != nil {
		return err
	}
	m := uint64(1<<32 - 1)
	if has {
		if m, err = l.number(o, mask); err != nil {
			return err
		}
	}
	l.markMask = has
	l.cmd.Mark = Some(Mark{Value: uint32(v), Mask: uint32(m)})
	return nil
}
