package ctnetlink

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// asConntrack writes a row as conntrack(8) does with -o id.
func asConntrack(e *flow.Event) string {
	name, state := flow.ProtoName(e.Proto), ""
	if name == "" {
		name = "unknown"
	}
	if e.Got(flow.HasTCPState) {
		state = flow.TCPStateName(e.TCP.State)
	}
	if e.Got(flow.HasSCTPState) {
		state = flow.SCTPStateName(e.SCTP.State)
	}
	line := []string{name, fmt.Sprint(e.Proto), fmt.Sprint(e.Timeout), state}
	side := func(t *flow.Tuple, c flow.Counters, has flow.Has) {
		line = append(line, fmt.Sprintf("src=%s dst=%s", t.SrcAddr(), t.DstAddr()))
		if t.Got(flow.HasPorts) {
			line = append(line, fmt.Sprintf(ports(e.Proto), t.SrcPort, t.DstPort))
		}
		if t.Got(flow.HasICMP) {
			line = append(line, fmt.Sprintf("type=%d code=%d id=%d", t.ICMPType, t.ICMPCode, t.ICMPID))
		}
		if e.Got(has) {
			line = append(line, fmt.Sprintf("packets=%d bytes=%d", c.Packets, c.Bytes))
		}
	}
	side(&e.Orig, e.OrigCounters, flow.HasOrigCounters)
	if e.Status&flow.StatusSeenReply == 0 {
		line = append(line, "[UNREPLIED]")
	}
	side(&e.Reply, e.ReplyCounters, flow.HasReplyCounters)
	if e.Status&flow.StatusAssured != 0 {
		line = append(line, "[ASSURED]")
	}
	line = append(line, fmt.Sprintf("mark=%d", e.Mark))
	if e.Got(flow.HasZone) {
		line = append(line, fmt.Sprintf("zone=%d", e.Zone))
	}
	line = append(line, fmt.Sprintf("use=%d id=%d", e.Use, e.ID))
	return normal(strings.Join(line, " "))
}

func ports(proto uint8) string {
	if proto == flow.ProtoGRE {
		return "srckey=%#x dstkey=%#x"
	}
	return "sport=%d dport=%d"
}

var (
	timeout = regexp.MustCompile(`^(\w+ \d+) \d+`)
	age     = regexp.MustCompile(`delta-time=\d+ `)
)

// normal removes what changes from one second to the next, and double spaces.
func normal(line string) string {
	line = strings.Join(strings.Fields(line), " ")
	line = age.ReplaceAllString(line, "")
	return timeout.ReplaceAllString(line, "$1")
}

// TestOracle compares a dump of real traffic with conntrack(8)'s.
func TestOracle(t *testing.T) {
	ns := quiet(t)
	tr := testnet.Traffic{NS: ns}
	if _, err := (testnet.Mix{NS: ns, Flows: 60}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.GRE(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.ESP(t.Context()); err != nil {
		t.Fatal(err)
	}
	churn(t, testnet.Churn{NS: ns, Entries: 40, Keep: true, Mark: 7, Zone: 9})
	var want, got []string
	for _, family := range []string{"ipv4", "ipv6"} {
		for _, line := range ns.Conntrack(t, "-L", "-f", family, "-o", "id") {
			want = append(want, normal(line))
		}
	}
	_, err := dialNS(t, ns).Dump(t.Context(), flow.TableConntrack, flow.DumpOptions{}, func(b *flow.Batch) error {
		for i := range b.Events() {
			got = append(got, asConntrack(&b.Events()[i]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) < 100 || !slices.Equal(got, want) {
		t.Errorf("got %d rows, conntrack %d", len(got), len(want))
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("first difference:\ngot  %s\nwant %s", got[i], want[i])
			}
		}
	}
}
