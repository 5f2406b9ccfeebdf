package conntrack

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// address reads an IP address, and binds the line to its family.
func (l *line) address(o *option, s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil && oldIPv4(s):
		return a, stricter("addresses", "Invalid IP address `%s' for `--%s': expected four decimal numbers or an IPv6 address", s, o.names[0])
	case err != nil || a.Zone() != "":
		return a, wrong("Invalid IP address `%s'", s)
	}
	return a, l.bind(familyOf(a))
}

// oldIPv4 reports whether s may be one of the forms of inet_aton: fewer than
// four numbers, octal or hexadecimal ones, or something after a blank.
func oldIPv4(s string) bool {
	s, _, _ = strings.Cut(s, " ")
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 0, 32); err != nil {
			if _, err := strconv.ParseUint(p, 10, 32); err != nil {
				return false
			}
		}
	}
	return len(parts) <= 4
}

func (l *line) bind(f flow.Family) error {
	if l.family != flow.FamilyUnspecified && l.family != f {
		return wrong("mismatched address family")
	}
	l.family = f
	return nil
}

// whole reads an address that takes no prefix length.
func (l *line) whole(o *option, s string) (netip.Addr, error) {
	a, _, found := strings.Cut(s, "/")
	if !found {
		return l.address(o, s)
	}
	if _, err := l.address(o, a); err != nil {
		return netip.Addr{}, err
	}
	return netip.Addr{}, wrong("CIDR notation unavailable for `--%s'", o.names[0])
}

// prefix reads ADDRESS[/BITS]. Without bits, mask is the zero Addr.
func (l *line) prefix(o *option, s string) (a, mask netip.Addr, err error) {
	addr, length, found := strings.Cut(s, "/")
	if a, err = l.address(o, addr); err != nil || !found {
		return a, mask, err
	}
	n, err := strconv.ParseUint(length, 10, 16)
	switch {
	case length == "" || err != nil && oldLength(length):
		return a, mask, stricter("prefix-lengths", "Invalid netmask `%s' for `--%s': expected a number from 0 to %d", length, o.names[0], a.BitLen())
	case err != nil || int(n) > a.BitLen():
		return a, mask, wrong("Invalid netmask")
	}
	return a, maskOf(a, int(n)), nil
}

// oldLength reports whether strtol takes s where ParseUint does not.
func oldLength(s string) bool {
	n, err := strconv.Atoi(strings.TrimLeft(s, " \t\n\v\f\r"))
	return err == nil && n >= 0
}

// nat reads the optional address of -n, -g and -j: IPv4[:PORT], IPv6 or
// [IPv6]:PORT.
func (l *line) nat(o *option, s string, has bool) (NAT, error) {
	if !has {
		return NAT{Set: true}, nil
	}
	addr, port, hasPort, err := splitPort(s)
	if err != nil {
		return NAT{}, err
	}
	n := NAT{Set: true}
	if n.Addr, err = l.whole(o, addr); err != nil || !hasPort {
		return n, err
	}
	v, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return n, wrong("Invalid port `%s'", port)
	}
	n.Port = Some(uint16(v))
	return n, nil
}

// splitPort finds the port after an address, if there is one. As in the tool,
// brackets without a port stay on the address, which is then invalid.
func splitPort(s string) (addr, port string, has bool, err error) {
	switch {
	case strings.HasPrefix(s, "["):
		inner, after, closed := strings.Cut(s[1:], "]")
		switch {
		case !closed:
			return "", "", false, wrong("No closing ']' around IPv6 address")
		case inner == "":
			return "", "", false, wrong("No IPv6 address specified")
		case !strings.HasPrefix(after, ":"):
			return s, "", false, nil
		}
		addr, port, has = inner, after[1:], true
	case strings.Count(s, ":") == 1:
		addr, port, has = strings.Cut(s, ":")
	default:
		return s, "", false, nil
	}
	if port == "" {
		return "", "", false, wrong("No port specified after `:'")
	}
	return addr, port, has, nil
}
