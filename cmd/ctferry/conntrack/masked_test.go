package conntrack

import (
	"net/netip"
	"testing"
)

func TestMasked(t *testing.T) {
	for _, tt := range []struct{ addr, mask, prefix, in, out string }{
		{"10.1.2.3", "", "10.1.2.3/32", "10.1.2.3", "10.1.2.4"},
		{"10.1.2.3", "255.255.255.255", "10.1.2.3/32", "10.1.2.3", "::1"},
		{"10.1.2.3", "255.255.0.0", "10.1.0.0/16", "10.1.9.9", "10.2.2.3"},
		{"10.1.2.3", "255.254.0.0", "10.0.0.0/15", "10.1.9.9", "10.2.2.3"},
		{"10.1.2.3", "0.0.0.0", "0.0.0.0/0", "8.8.8.8", "::1"},
		{"10.1.2.3", "255.0.255.0", "", "10.9.2.9", "10.1.3.3"},
		{"10.1.2.3", "0.0.0.255", "", "9.9.9.3", "10.1.2.4"},
		{"10.1.2.3", "254.1.0.0", "", "11.3.0.0", "10.2.0.0"},
		{"2001:db8::1", "ffff:ffff::", "2001:db8::/32", "2001:db8:5::5", "2001:db9::1"},
		{"2001:db8::1", "", "2001:db8::1/128", "2001:db8::1", "1.1.1.1"},
	} {
		var mask netip.Addr
		if tt.mask != "" {
			mask = netip.MustParseAddr(tt.mask)
		}
		m := masked(netip.MustParseAddr(tt.addr), mask)
		p, ok := m.Prefix()
		if ok != (tt.prefix != "") || ok && p != netip.MustParsePrefix(tt.prefix) {
			t.Errorf("%s/%s: got %v %v, want %q", tt.addr, tt.mask, p, ok, tt.prefix)
		}
		if !m.Contains(netip.MustParseAddr(tt.in)) || m.Contains(netip.MustParseAddr(tt.out)) {
			t.Errorf("%s/%s: contains %s: %v; contains %s: %v", tt.addr, tt.mask, tt.in,
				m.Contains(netip.MustParseAddr(tt.in)), tt.out, m.Contains(netip.MustParseAddr(tt.out)))
		}
	}
	if _, ok := (Masked{}).Prefix(); ok || (Masked{}).Contains(netip.MustParseAddr("1.1.1.1")) {
		t.Error("no address is a prefix, or contains one")
	}
	for n := range 33 {
		a := netip.MustParseAddr("1.2.3.4")
		if got, ok := leadingOnes(maskOf(a, n)); !ok || got != n {
			t.Errorf("/%d: got %d %v", n, got, ok)
		}
	}
}
