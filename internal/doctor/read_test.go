package doctor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"

	"github.com/ctferry/ctferry/internal/testnet"
)

func TestMain(m *testing.M) { os.Exit(testnet.Main(m)) }

func fixture(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// TestRulesOfNftables reads rules as the kernel dumped them.
func TestRulesOfNftables(t *testing.T) {
	for name, want := range map[string]Rules{
		"1": {Track: 1, By: []string{"iptables connlabel"}, Labels: 1},
		"2": {},
		"3": {Track: 1, By: []string{"nftables ct"}},
		"4": {Track: 1, By: []string{"nftables ct"}, Labels: 1},
		"5": {Track: 1, By: []string{"nftables ct"}, Zones: 1},
		"6": {Track: 1, By: []string{"nftables ct"}, Mask: 1},
		"7": {NoTrack: 1},
		"8": {Track: 1, By: []string{"nftables ct"}},
		"9": {Track: 1, By: []string{"nftables masq"}},
	} {
		var r Rules
		if err := r.addRule(fixture(t, "nft-rule-"+name+".bin")); err != nil || !sameRules(r, want) {
			t.Errorf("rule %s: %+v, %v", name, r, err)
		}
	}
}

func sameRules(a, b Rules) bool {
	same := slices.Equal(a.By, b.By)
	a.By, b.By = nil, nil
	return same && a.Track == b.Track && a.NoTrack == b.NoTrack && a.Labels == b.Labels && a.Zones == b.Zones && a.Mask == b.Mask && a.Offload == b.Offload
}

// TestRulesOfOldTables reads tables as the kernel gave them.
func TestRulesOfOldTables(t *testing.T) {
	for name, want := range map[string]Rules{
		"plain":      {},
		"conntrack":  {Track: 1, By: []string{"iptables-legacy conntrack"}},
		"zone":       {Track: 1, By: []string{"iptables-legacy CT"}, Zones: 1},
		"masquerade": {Track: 1, By: []string{"iptables-legacy MASQUERADE"}},
	} {
		var r Rules
		if r.addBlob(fixture(t, "legacy-"+name+".bin")); !sameRules(r, want) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestExpressionsWithoutAKernel are those that no kernel here has.
func TestExpressionsWithoutAKernel(t *testing.T) {
	object := func(kind uint32) []byte { return attr(t, nftaObjectKind, binary.BigEndian.AppendUint32(nil, kind)) }
	for _, tt := range []struct {
		name string
		data []byte
		want Rules
	}{
		{"flow_offload", nil, Rules{Track: 1, By: []string{"nftables flow add"}, Offload: 1}},
		{"objref", object(3), Rules{Track: 1, By: []string{"nftables object of ct"}}},
		{"objref", object(1), Rules{}}, // a counter
		{"target", attr(t, nftaCompatName, []byte("FLOWOFFLOAD\x00")), Rules{Track: 1, By: []string{"iptables FLOWOFFLOAD"}, Offload: 1}},
		{"target", attr(t, nftaCompatName, []byte("NOTRACK\x00")), Rules{NoTrack: 1}},
		{"match", attr(t, nftaCompatName, []byte("tcp\x00")), Rules{}},
	} {
		var r Rules
		if r.addExpression(tt.name, tt.data); !sameRules(r, tt.want) {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
}

func attr(tb testing.TB, kind uint16, data []byte) []byte {
	tb.Helper()
	b, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: kind, Data: data}})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// TestHooks reads messages made by hand after nfnetlink_hook.c: the kernel that
// the tests were written on does not tell its hooks.
func TestHooks(t *testing.T) {
	for function, want := range map[string]bool{"ipv4_conntrack_in": true, "ipv6_conntrack_in": true, "ipv4_conntrack_defrag": false, "nft_do_chain_inet": false, "": false} {
		got, err := isTracker(append(attr(t, 2, make([]byte, 4)), attr(t, hookFunction, append([]byte(function), 0))...))
		if got != want || err != nil {
			t.Errorf("%s: %v, %v", function, got, err)
		}
	}
	if _, err := isTracker([]byte{1, 2, 3, 4, 5}); err == nil {
		t.Error("nonsense is no error")
	}
	if _, err := readHooks(t.Context()); err != nil && !errors.Is(err, errNoHooks) {
		testnet.Unavailable(t, "hooks cannot be read: %v", err)
	}
}

func TestSockets(t *testing.T) {
	all, err := parseSockets(bytes.NewReader(fixture(t, "netlink")))
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	if all[0] != (Socket{Port: 20273, Groups: 7, Inode: 3594832}) || all[1] != (Socket{Port: 3052516619, Groups: 1, Queued: 212480, Drops: 2834, Inode: 3598026}) {
		t.Errorf("%+v", all)
	}
	if _, err := parseSockets(strings.NewReader("0 12 x 0 0 0 0 0 0 0\n")); err == nil {
		t.Error("a port that is none is no error")
	}
}

// TestLookComesBack looks into another namespace and finds this thread where it was.
func TestLookComesBack(t *testing.T) {
	ns := testnet.New(t)
	if err := ns.Sysctl("net.netfilter.nf_conntrack_acct", "1"); err != nil {
		t.Fatal(err)
	}
	before, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, quick := range []bool{false, true} {
		h, err := Look(t.Context(), Wants{Name: "x", Path: ns.Path(), Quick: quick, Zones: []uint16{7}})
		if err != nil || h.Sysctls["acct"] != 1 || h.FillErr != nil || h.RulesErr != nil || h.SocketsErr != nil || h.Rules.Track != 0 || quick != errors.Is(h.OffloadedErr, errQuick) {
			t.Errorf("%+v, %v", h, err)
		}
	}
	if after, err := os.Readlink("/proc/thread-self/ns/net"); err != nil || after != before {
		t.Errorf("before %s, after %s, %v", before, after, err)
	}
	if _, err := Look(t.Context(), Wants{Path: "/proc/self/ns/uts"}); err == nil {
		t.Error("a namespace of another kind is no error")
	}
}

// FuzzRule reads nonsense: it may be refused, and must not be more.
func FuzzRule(f *testing.F) {
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		f.Add(fixture(f, filepath.Base(name)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Rules
		_ = r.addRule(data)
		r.addBlob(data)
		_, _ = isTracker(data)
		if r.Track < 0 || len(r.By) > r.Track {
			t.Errorf("%+v", r)
		}
	})
}

// FuzzSockets reads nonsense.
func FuzzSockets(f *testing.F) {
	f.Add(fixture(f, "netlink"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parseSockets(bytes.NewReader(data))
		for i := range all {
			if err == nil && all[i].Groups&conntrackGroups == 0 {
				t.Errorf("%+v", all[i])
			}
		}
	})
}
