package encode_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestStatsPrintAsConntrackDoes asks the kernel for its counters and prints them.
func TestStatsPrintAsConntrackDoes(t *testing.T) {
	tool(t)
	ns := quiet(t, manyRules()...)
	fill(t, ns)
	for table, request := range map[flow.Table]uint16{
		flow.TableConntrack: unix.NFNL_SUBSYS_CTNETLINK<<8 | 4,     // IPCTNL_MSG_CT_GET_STATS_CPU
		flow.TableExpect:    unix.NFNL_SUBSYS_CTNETLINK_EXP<<8 | 3, // IPCTNL_MSG_EXP_GET_STATS_CPU
	} {
		want := ns.Conntrack(t, "-S", table.String())
		if got := statLines(t, ns, table, request); !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("%s\n got %q\nwant %q", table, got, want)
		}
	}
}

func statLines(t *testing.T, ns *testnet.Namespace, table flow.Table, request uint16) (lines []string) {
	t.Helper()
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: int(ns.File().Fd())})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	replies, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(request), Flags: netlink.Request | netlink.Dump},
		Data:   []byte{unix.AF_UNSPEC, 0, 0, 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range replies {
		a, err := netlink.NewAttributeDecoder(m.Data[4:])
		if err != nil {
			t.Fatal(err)
		}
		a.ByteOrder = binary.BigEndian
		var stats []encode.Stat
		for a.Next() {
			stats = append(stats, encode.Stat{Name: encode.StatName(table, a.Type()), Value: a.Uint32()})
		}
		lines = append(lines, string(encode.AppendStats(nil, binary.BigEndian.Uint16(m.Data[2:]), stats)))
	}
	return lines
}

func TestStats(t *testing.T) {
	for _, c := range []struct {
		cpu   uint16
		stats []encode.Stat
		want  string
	}{
		{0, nil, "cpu=0   \t"},
		{12, []encode.Stat{{"found", 0}, {"", 7}, {"insert", 4294967295}}, "cpu=12  \tfound=0 insert=4294967295 "},
		{1023, []encode.Stat{{"drop", 1}}, "cpu=1023\tdrop=1 "},
		{65535, nil, "cpu=65535\t"},
	} {
		if got := string(encode.AppendStats(nil, c.cpu, c.stats)); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	for _, c := range []struct {
		table flow.Table
		attr  uint16
		want  string
	}{
		{flow.TableConntrack, 0, ""}, {flow.TableConntrack, 1, "searched"}, {flow.TableConntrack, 15, "chaintoolong"}, {flow.TableConntrack, 16, ""},
		{flow.TableExpect, 0, ""}, {flow.TableExpect, 3, "expect_delete"}, {flow.TableExpect, 4, ""}, {flow.TableUnspecified, 2, ""},
	} {
		if got := encode.StatName(c.table, c.attr); got != c.want {
			t.Errorf("%s %d: %q, want %q", c.table, c.attr, got, c.want)
		}
	}
}
