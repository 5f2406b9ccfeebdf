package testnet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var (
	other4 = netip.MustParseAddr("10.77.0.2")
	other6 = netip.MustParseAddr("2001:db8:77::2")
)

func TestWithoutARuleNothingIsTracked(t *testing.T) {
	ns := New(t)
	if err := ns.Up(); err != nil {
		t.Fatal(err)
	}
	if _, err := (Traffic{NS: ns}).UDP(t.Context(), 3, true); err != nil {
		t.Fatal(err)
	}
	if n := ns.ConntrackCount(t); n != 0 {
		t.Errorf("%d entries before Track", n)
	}
	if err := ns.Lay(Track()); err != nil {
		t.Fatal(err)
	}
	if _, err := (Traffic{NS: ns}).UDP(t.Context(), 3, true); err != nil {
		t.Fatal(err)
	}
	if n := ns.ConntrackCount(t); n != 3 {
		t.Errorf("%d entries after Track, expected 3", n)
	}
}

// TestRules sends flows under each rule and looks at the entries.
func TestRules(t *testing.T) {
	const tcp = unix.IPPROTO_TCP
	for name, c := range map[string]struct {
		rule Rule
		way  Traffic
		want []string
		args []string
	}{
		"mark": {SetMark(Match{Proto: tcp, DstPort: 8080}, 0xbeef),
			Traffic{Src: addr4, Port: 8080}, []string{"mark=48879"}, nil},
		"mark of everything": {SetMark(Match{}, 3),
			Traffic{Src: addr6, Port: 8080}, []string{"mark=3"}, []string{"-f", "ipv6"}},
		"mark by source": {SetMark(Match{Src: addr6, Dst: other6}, 4),
			Traffic{Src: addr6, Dst: other6}, []string{"mark=4"}, []string{"-f", "ipv6"}},
		"zone": {SetZone(Match{Proto: tcp, DstPort: 8080}, 9),
			Traffic{Src: addr4, Dst: other4, Port: 8080}, []string{"zone=9", "TIME_WAIT"}, nil},
		"destination nat": {DestinationNAT(Match{Proto: tcp, Dst: other4, DstPort: 8080}, netip.AddrPortFrom(addr4, 9090)),
			Traffic{Src: addr4, Dst: other4, Port: 8080, Listen: netip.AddrPortFrom(addr4, 9090)},
			[]string{"dst=10.77.0.2", "dport=8080", "sport=9090", "TIME_WAIT"}, []string{"-g"}},
		"destination nat, port kept": {DestinationNAT(Match{Dst: other6}, netip.AddrPortFrom(addr6, 0)),
			Traffic{Src: addr6, Dst: other6, Port: 8080, Listen: netip.AddrPortFrom(addr6, 8080)},
			[]string{"dst=2001:db8:77::2", "src=2001:db8:77::1", "sport=8080"}, []string{"-g", "-f", "ipv6"}},
		"redirect": {Redirect(Match{Proto: tcp, DstPort: 8080}, 9090),
			Traffic{Src: addr4, Dst: other4, Port: 8080, Listen: netip.MustParseAddrPort("127.0.0.1:9090")},
			[]string{"dport=8080 packets", "src=127.0.0.1 dst=10.77.0.1 sport=9090"}, []string{"-g"}},
		"source nat": {SourceNAT(Match{Src: addr4, Dst: other4}, netip.MustParseAddr("127.0.0.9")),
			Traffic{Src: addr4, Dst: other4, Port: 8080},
			[]string{"src=10.77.0.1 dst=10.77.0.2", "src=10.77.0.2 dst=127.0.0.9"}, []string{"-n"}},
		"source nat, IPv6": {SourceNAT(Match{Src: addr6, Dst: other6}, netip.IPv6Loopback()),
			Traffic{Src: addr6, Dst: other6, Port: 8080},
			[]string{"src=2001:db8:77::1 dst=2001:db8:77::2", "src=2001:db8:77::2 dst=::1"}, []string{"-n", "-f", "ipv6"}},
	} {
		t.Run(name, func(t *testing.T) {
			ns := tracked(t, c.rule)
			c.way.NS = ns
			if n, err := c.way.TCP(t.Context(), 2); err != nil || n != 2 {
				t.Fatalf("%d flows: %v", n, err)
			}
			got := ns.Conntrack(t, append([]string{"-L"}, c.args...)...)
			if grep(got, c.want...) != 2 || ns.ConntrackCount(t) != 2 {
				t.Errorf("expected 2 entries with %q, found %q", c.want, got)
			}
		})
	}
}

// TestLabel asks a dump, because conntrack(8) shows only labels that a file of the
// machine's names.
func TestLabel(t *testing.T) {
	ns := tracked(t, SetLabel(Match{Proto: unix.IPPROTO_TCP, DstPort: 8080}, 37))
	if _, err := (Traffic{NS: ns, Src: addr4, Port: 8080}).TCP(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	var flows []*netlink.ConntrackFlow
	err := ns.Do(func() (err error) {
		flows, err = netlink.ConntrackTableList(netlink.ConntrackTable, netlink.FAMILY_V4)
		return err
	})
	if err != nil || len(flows) != 2 {
		t.Fatalf("%d flows: %v", len(flows), err)
	}
	for _, f := range flows {
		if want := labelMask(37); !bytes.Equal(f.Labels, want) {
			t.Errorf("labels %x, expected %x", f.Labels, want)
		}
	}
}

func TestLabelMask(t *testing.T) {
	for bit, want := range map[int]uint32{0: 0, 37: 1, 95: 2, 127: 3} {
		words := labelMask(bit)
		if len(words) != 16 || binary.NativeEndian.Uint32(words[4*want:]) != 1<<(bit%32) {
			t.Errorf("bit %d: %x", bit, words)
		}
	}
}

func TestRulesMatchOnlyWhatTheySay(t *testing.T) {
	ns := tracked(t, SetMark(Match{Proto: unix.IPPROTO_UDP, Src: addr4, SrcPort: firstPort + 1, DstPort: 53}, 5))
	if _, err := (Traffic{NS: ns, Src: addr4, Port: 53}).UDP(t.Context(), 3, false); err != nil {
		t.Fatal(err)
	}
	if got := ns.Conntrack(t, "-L"); grep(got, "mark=5") != 1 || grep(got, "mark=5", "sport=20001 ") != 1 {
		t.Errorf("expected the second of three to be marked: %q", got)
	}
}

func TestZonesHoldTheSameTupleTwice(t *testing.T) {
	ns := tracked(t)
	for zone := range 2 {
		if _, err := (Churn{NS: ns, Entries: 8, Keep: true, Zone: uint16(zone)}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := ns.ConntrackCount(t); n != 16 {
		t.Errorf("%d entries, expected 16", n)
	}
}

func TestFTPExpectations(t *testing.T) {
	rule := UseHelper(Match{Proto: unix.IPPROTO_TCP, DstPort: 21}, "ftp")
	for family, src := range map[string]netip.Addr{"ipv4": addr4, "ipv6": addr6} {
		t.Run(family, func(t *testing.T) {
			ns := tracked(t, rule)
			way := Traffic{NS: ns, Src: src, Port: 21}
			if n, err := way.FTP(t.Context(), 3, false); err != nil || n != 3 {
				t.Fatalf("%d dialogues: %v", n, err)
			}
			expected := ns.Conntrack(t, "-L", "expect", "-f", family)
			if grep(expected, "proto=6", "src="+src.String(), "helper=ftp") != 3 {
				t.Errorf("expected 3 expectations, found %q", expected)
			}
			if n, err := way.FTP(t.Context(), 2, true); err != nil || n != 2 {
				t.Fatalf("%d transfers: %v", n, err)
			}
			entries := ns.Conntrack(t, "-L", "-f", family)
			if grep(entries, "dport=21 ", "helper=ftp") != 5 || len(entries) != 7 {
				t.Errorf("expected 5 control and 2 data connections, found %q", entries)
			}
			if xml := strings.Join(ns.Conntrack(t, "-L", "-f", family, "--status", "EXPECTED"), "\n"); strings.Count(xml, "tcp ") != 2 {
				t.Errorf("expected 2 related entries, found %q", xml)
			}
		})
	}
}

func TestLayRefuses(t *testing.T) {
	ns := New(t)
	to6 := netip.AddrPortFrom(addr6, 1)
	for name, rule := range map[string]Rule{
		"port without protocol":   SetMark(Match{DstPort: 1}, 1),
		"families mixed":          SetZone(Match{Src: addr4, Dst: addr6}, 1),
		"label out of range":      SetLabel(Match{}, 128),
		"negative label":          SetLabel(Match{}, -1),
		"nat to other family":     DestinationNAT(Match{Dst: addr4}, to6),
		"snat to other family":    SourceNAT(Match{Src: addr6}, addr4),
		"nat of unknown family":   SourceNAT(Match{}, addr4),
		"helper without protocol": UseHelper(Match{}, "ftp"),
	} {
		if err := ns.Lay(Track(), rule); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	err := ns.Lay(UseHelper(Match{Proto: unix.IPPROTO_TCP, DstPort: 21}, "nosuch"))
	if !errors.Is(err, unix.ENOENT) {
		t.Errorf("a helper that does not exist: %v, expected ENOENT", err)
	}
}
