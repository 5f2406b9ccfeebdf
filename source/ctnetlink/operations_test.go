package ctnetlink

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// deed is an operation of ours beside the command lines that do the same. A
// flush of one family is not among them: conntrack(8) 1.4.7 empties both.
type deed struct {
	name string
	tool []string // command lines, split at spaces
	ours func(testing.TB, *Conn)
}

const entry4 = " -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 80 -t 600 "

// creating makes an entry, changed as asked.
func creating(t flow.Tuple, change func(*flow.Creation)) func(testing.TB, *Conn) {
	return func(tb testing.TB, c *Conn) {
		n := flow.Creation{Event: entryOf(t)}
		if change != nil {
			change(&n)
		}
		if err := c.Create(tb.Context(), n); err != nil {
			tb.Error(err)
		}
	}
}

// inState gives a TCP entry what conntrack(8) gives it: a state, and the flags
// that have it be liberal about windows.
func inState(state uint8) func(*flow.Creation) {
	return func(n *flow.Creation) {
		n.Event.Has |= flow.HasTCPState | flow.HasTCPFlagsOrig | flow.HasTCPFlagsReply
		n.Event.TCP = flow.TCP{State: state, FlagsOrig: 0x0a, FlagsReply: 0x0a} // SACK_PERM, BE_LIBERAL
		if state >= flow.TCPTimeWait {
			n.Event.TCP.FlagsOrig, n.Event.TCP.FlagsReply = 0x0e, 0x0e // and CLOSE_INIT
		}
	}
}

// updating makes an entry and changes it.
func updating(k flow.Key, u flow.Update, n func(*flow.Creation)) func(testing.TB, *Conn) {
	return func(tb testing.TB, c *Conn) {
		creating(k.Tuple, n)(tb, c)
		if err := c.Update(tb.Context(), k, u); err != nil {
			tb.Error(err)
		}
	}
}

func marked(v uint32) func(*flow.Creation) {
	return func(n *flow.Creation) { n.Event.Has |= flow.HasMark; n.Event.Mark = v }
}

func deeds() []deed {
	tcp, udp := tupleOf(6, "10.0.0.1", "10.0.0.2", 1000, 80), tupleOf(17, "10.0.0.1", "10.0.0.2", 1000, 80)
	return []deed{
		{"tcp", []string{"-I -p tcp" + entry4 + "--state ESTABLISHED"}, creating(tcp, inState(3))},
		{"tcp assured", []string{"-I -p tcp" + entry4 + "--state ESTABLISHED -u ASSURED,SEEN_REPLY"}, creating(tcp, func(n *flow.Creation) {
			inState(3)(n)
			n.Event.Has |= flow.HasStatus
			n.Event.Status = flow.StatusAssured | flow.StatusSeenReply
		})},
		{"tcp6", []string{"-I -p tcp -s 2001:db8::1 -d 2001:db8::2 --sport 1 --dport 2 -t 600 --state SYN_SENT"},
			creating(tupleOf(6, "2001:db8::1", "2001:db8::2", 1, 2), inState(1))},
		{"udp", []string{"-I -p udp" + entry4 + "-m 7"}, creating(udp, marked(7))},
		{"udplite", []string{"-I -p udplite" + entry4}, creating(tupleOf(136, "10.0.0.1", "10.0.0.2", 1000, 80), nil)},
		{"gre", []string{"-I -p gre -s 10.0.0.1 -d 10.0.0.2 --srckey 16 --dstkey 17 -t 600"}, creating(tupleOf(47, "10.0.0.1", "10.0.0.2", 16, 17), nil)},
		{"dccp", []string{"-I -p dccp" + entry4 + "--state OPEN --role client"}, creating(tupleOf(33, "10.0.0.1", "10.0.0.2", 1000, 80), func(n *flow.Creation) {
			n.Event.Has |= hasDCCP
			n.Event.DCCP = flow.DCCP{State: 4}
		})},
		{"sctp", []string{"-I -p sctp" + entry4 + "--state ESTABLISHED --orig-vtag 83886085 --reply-vtag 100663302"}, creating(tupleOf(132, "10.0.0.1", "10.0.0.2", 1000, 80), func(n *flow.Creation) {
			n.Event.Has |= hasSCTP
			n.Event.SCTP = flow.SCTP{State: 4, VTagOrig: 0x05000005, VTagReply: 0x06000006} // conntrack(8) 1.4.7 turns the bytes round
		})},
		{"icmp", []string{"-I -p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 --icmp-id 77 -t 600"}, creating(icmpOf(1, "10.0.0.1", "10.0.0.2", 8, 77), nil)},
		{"icmpv6", []string{"-I -p icmpv6 -s 2001:db8::1 -d 2001:db8::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 77 -t 600"},
			creating(icmpOf(58, "2001:db8::1", "2001:db8::2", 128, 77), nil)},
		{"another protocol", []string{"-I -p 99 -s 10.0.0.1 -d 10.0.0.2 -t 600"}, creating(tupleOf(99, "10.0.0.1", "10.0.0.2", 0, 0), func(n *flow.Creation) {
			n.Event.Orig.Has &^= flow.HasPorts
			n.Event.Reply.Has &^= flow.HasPorts
		})},
		{"zone", []string{"-I -p udp" + entry4 + "-w 9"}, creating(udp, func(n *flow.Creation) { n.Event.Has |= flow.HasZone; n.Event.Zone = 9 })},
		{"orig-zone", []string{"-I -p udp" + entry4 + "--orig-zone 9"}, creating(udp, func(n *flow.Creation) { n.Event.Orig.Has |= flow.HasTupleZone; n.Event.Orig.Zone = 9 })},
		{"reply-zone", []string{"-I -p udp" + entry4 + "--reply-zone 9"}, creating(udp, func(n *flow.Creation) { n.Event.Reply.Has |= flow.HasTupleZone; n.Event.Reply.Zone = 9 })},
	}
}

// moreDeeds are those with NAT, and on entries that exist.
func moreDeeds() []deed {
	tcp, udp := tupleOf(6, "10.0.0.1", "10.0.0.2", 1000, 80), tupleOf(17, "10.0.0.1", "10.0.0.2", 1000, 80)
	addr := netip.MustParseAddr
	return []deed{
		{"src-nat", []string{"-I -p udp" + entry4 + "--src-nat 192.0.2.7"}, creating(udp, func(n *flow.Creation) { n.SrcNAT = &flow.NATRange{Min: addr("192.0.2.7")} })},
		{"src-nat port", []string{"-I -p udp" + entry4 + "--src-nat 192.0.2.7:99"}, creating(udp, func(n *flow.Creation) { n.SrcNAT = &flow.NATRange{Min: addr("192.0.2.7"), MinPort: 99} })},
		{"dst-nat", []string{"-I -p udp" + entry4 + "--dst-nat 192.0.2.8:99"}, creating(udp, func(n *flow.Creation) { n.DstNAT = &flow.NATRange{Min: addr("192.0.2.8"), MinPort: 99} })},
		{"both nat", []string{"-I -p udp" + entry4 + "--src-nat 192.0.2.7:9 --dst-nat 192.0.2.8:99"}, creating(udp, func(n *flow.Creation) {
			n.SrcNAT = &flow.NATRange{Min: addr("192.0.2.7"), MinPort: 9}
			n.DstNAT = &flow.NATRange{Min: addr("192.0.2.8"), Max: addr("192.0.2.8"), MinPort: 99, MaxPort: 99}
		})},
		{"nat6", []string{"-I -p udp -s 2001:db8::1 -d 2001:db8::2 --sport 1 --dport 2 -t 600 --src-nat 2001:db8::9"},
			creating(tupleOf(17, "2001:db8::1", "2001:db8::2", 1, 2), func(n *flow.Creation) { n.SrcNAT = &flow.NATRange{Min: addr("2001:db8::9")} })},
		{"mark", []string{"-I -p udp" + entry4 + "-m 5", "-U -p udp -s 10.0.0.1 -m 0x10/0xf0"}, updating(flow.Key{Tuple: udp}, flow.Update{Mark: &flow.Masked{Value: 0x10, Mask: 0xf0}}, marked(5))},
		{"mark toggles", []string{"-I -p udp" + entry4 + "-m 0xf0", "-U -p udp -s 10.0.0.1 -m 0xff/0x10"}, updating(flow.Key{Tuple: udp}, flow.Update{Mark: &flow.Masked{Value: 0xff, Mask: 0x10}}, marked(0xf0))},
		{"timeout and state", []string{"-I -p tcp" + entry4 + "--state ESTABLISHED", "-U -p tcp -s 10.0.0.1 -t 99 -u ASSURED,SEEN_REPLY"},
			updating(flow.Key{Tuple: tcp}, flow.Update{Timeout: ptr(uint32(99)), Status: ptr(flow.StatusAssured | flow.StatusSeenReply)}, inState(3))},
		{"delete", []string{"-I -p udp" + entry4, "-I -p tcp" + entry4 + "--state CLOSE", "-D -p udp -s 10.0.0.1"}, func(tb testing.TB, c *Conn) {
			creating(udp, nil)(tb, c)
			creating(tcp, inState(8))(tb, c)
			if err := c.Delete(tb.Context(), flow.Key{Tuple: udp}); err != nil {
				tb.Error(err)
			}
		}},
	}
}

var idLine = regexp.MustCompile(`(?m)^id \d+$|^timeout \d+$`)

// table is what stands in a namespace, told by conntrack(8) and by a dump with all
// that it does not show.
func table(tb testing.TB, ns *testnet.Namespace) []string {
	tb.Helper()
	var lines []string
	for _, family := range []string{"ipv4", "ipv6"} {
		for _, line := range ns.Conntrack(tb, "-L", "-f", family, "-o", "extended") {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	for i, line := range lines {
		lines[i] = regexp.MustCompile(`^(ipv. \d+ \w+ \d+) \d+`).ReplaceAllString(line, "$1")
	}
	for _, r := range rows(tb, dialNS(tb, ns), flow.TableConntrack, flow.DumpOptions{}) {
		lines = append(lines, idLine.ReplaceAllString(r, ""))
	}
	slices.Sort(lines)
	return lines
}

// TestOperations does each deed by conntrack(8) and by ours, each in a namespace
// of its own: the tables must be equal.
func TestOperations(t *testing.T) {
	for _, d := range append(deeds(), moreDeeds()...) {
		t.Run(d.name, func(t *testing.T) {
			theirs, ours := testnet.New(t), testnet.New(t)
			for _, line := range d.tool {
				theirs.Conntrack(t, strings.Fields(line)...)
			}
			d.ours(t, dialNS(t, ours))
			want, got := table(t, theirs), table(t, ours)
			if len(got) == 0 || !slices.Equal(got, want) {
				t.Errorf("got\n%s\nconntrack\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}
