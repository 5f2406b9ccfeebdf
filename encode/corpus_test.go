package encode

import (
	"net/netip"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// sample is one event of the corpus.
type sample struct {
	name string
	fill func(b *flow.Batch, e *flow.Event)
}

// Times of the corpus: 2026-11-22T19:13:40.000000007Z and on from there.
const (
	tick  = int64(1_000_000_000)
	epoch = 1795374820*tick + 7
)

func corpusOrigin() *flow.Origin {
	return &flow.Origin{
		Node:   "edge-1",
		NetNS:  "blue",
		Meta:   []flow.Pair{{Key: "role", Value: "cgnat"}, {Key: "site", Value: "Orléans \"<&>'\t"}},
		BootID: [16]byte{0x8d, 0x1f, 0x2a, 0, 1, 2, 0x4f, 3, 0x9a, 0xbc, 4, 5, 6, 7, 8, 9},
		Run:    [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255},
		Cookie: 1,
	}
}

// corpus is one event for each kind of record, and one that holds every value.
func corpus() []sample {
	return []sample{
		{"tcp_new", fillTCP}, {"tcp_destroy", fillTCPDestroy}, {"tcp_snat", fillSNAT}, {"udp_dnat", fillDNAT},
		{"both_nat_destroy", fillBothNAT}, {"icmp", fillICMP}, {"icmpv6", fillICMPv6}, {"gre", fillGRE}, {"sctp", fillSCTP},
		{"dccp", fillDCCP}, {"udplite", fillUDPLite}, {"nameless", fillNameless}, {"mapped", fillMapped},
		{"expect", fillExpect}, {"expect_destroy", fillExpectDestroy}, {"gap_kernel", fillGap}, {"gap_sink", fillSinkGap},
		{"status", fillStatus}, {"status_bare", fillBareStatus}, {"dump", fillDump}, {"dump_end", fillDumpEnd},
		{"interim", fillInterim}, {"synthetic", fillSynthetic}, {"hostile", fillHostile}, {"everything", fillEverything},
	}
}

// soil fills a batch's slots and side slots with what an earlier event could
// have left there, so that every unguarded read shows.
func soil(b *flow.Batch) {
	for b.Free() > 0 {
		e := b.Next()
		fillEverything(b, e)
		e.Orig.ICMPType, e.Orig.ICMPCode, e.Orig.ICMPID, e.Orig.Zone = 199, 198, 19797, 19696
		e.Reply = e.Orig
		e.Extra.Master = e.Orig
		e.Extra.NAT = flow.ToldNAT{Has: 1<<6 - 1, Family: flow.IPv6, NAT: flow.NAT{Kind: flow.NATBoth, Ports: true, IPFIXEvent: 9}}
		e.Extra.Told = flow.Told{Has: 1<<4 - 1, Close: flow.CloseReset, Duration: 11, Community: "1:soiled", NATCommunity: "1:soiled"}
	}
	b.Reset()
}

// newEvent gives a soiled slot with what every event has.
func newEvent(b *flow.Batch, fill func(*flow.Batch, *flow.Event)) *flow.Event {
	e := b.Next()
	e.Origin = corpusOriginShared
	e.Type, e.Table, e.Time, e.TimeSource = flow.TypeNew, flow.TableConntrack, epoch, flow.TimeReceived
	e.Seq = 41
	fill(b, e)
	return e
}

var corpusOriginShared = corpusOrigin()

// oneOf gives a sample's event in a soiled slot.
func oneOf(tb testing.TB, name string) *flow.Event {
	tb.Helper()
	for _, s := range corpus() {
		if s.name == name {
			b := flow.NewBatch(1)
			soil(b)
			return newEvent(b, s.fill)
		}
	}
	tb.Fatalf("no sample %q", name)
	return nil
}

func addrs(t *flow.Tuple, src, dst string) {
	t.Src, t.Family = flow.AddrFrom(netip.MustParseAddr(src))
	t.Dst, _ = flow.AddrFrom(netip.MustParseAddr(dst))
	t.Has |= flow.HasAddrs
}

// tuples sets both directions: src to dst, answered by dst2 to src2.
func tuples(e *flow.Event, proto uint8, src, dst, dst2, src2 string) {
	addrs(&e.Orig, src, dst)
	addrs(&e.Reply, dst2, src2)
	e.Family, e.Proto = e.Orig.Family, proto
	e.Orig.Proto, e.Reply.Proto = proto, proto
	e.Orig.Has |= flow.HasProto
	e.Reply.Has |= flow.HasProto
	e.Has |= flow.HasOrig | flow.HasReply | flow.HasID | flow.HasFlowID
	e.ID, e.FlowID = 857037765, 0x00c0ffee12345678
}

func ports(e *flow.Event, sport, dport, dport2, sport2 uint16) {
	e.Orig.SrcPort, e.Orig.DstPort = sport, dport
	e.Reply.SrcPort, e.Reply.DstPort = dport2, sport2
	e.Orig.Has |= flow.HasPorts
	e.Reply.Has |= flow.HasPorts
}

func counters(e *flow.Event) {
	e.Has |= flow.HasOrigCounters | flow.HasReplyCounters
	e.OrigCounters = flow.Counters{Packets: 12, Bytes: 1853}
	e.ReplyCounters = flow.Counters{Packets: 10, Bytes: 1 << 63}
}

func fillTCP(_ *flow.Batch, e *flow.Event) {
	tuples(e, flow.ProtoTCP, "10.0.0.1", "192.0.2.80", "192.0.2.80", "10.0.0.1")
	ports(e, 40000, 443, 443, 40000)
	e.Has |= flow.HasStatus | flow.HasTimeout | flow.HasMark | flow.HasTCPState | flow.HasTCPWScaleOrig |
		flow.HasTCPFlagsOrig | flow.HasTCPFlagsReply | flow.HasTCPWScaleReply
	e.Status, e.Timeout, e.Mark = flow.StatusConfirmed, 120, 0
	e.TCP = flow.TCP{State: 1, WScaleOrig: 7, FlagsOrig: 3}
}

func fillTCPDestroy(_ *flow.Batch, e *flow.Event) {
	fillTCP(nil, e)
	counters(e)
	e.Type, e.TimeSource = flow.TypeDestroy, flow.TimeKernel
	e.Status = flow.StatusSeenReply | flow.StatusAssured | flow.StatusConfirmed | flow.StatusDying
	e.Has |= flow.HasStart | flow.HasStop | flow.HasReceived
	e.Has &^= flow.HasTimeout
	e.Start, e.Stop, e.Received = epoch-61*tick, epoch, epoch+250_000
	e.TCP.State = flow.TCPTimeWait
}

func fillSNAT(_ *flow.Batch, e *flow.Event) {
	tuples(e, flow.ProtoTCP, "10.0.0.1", "192.0.2.80", "192.0.2.80", "203.0.113.9")
	ports(e, 40000, 443, 443, 61001)
	e.Has |= flow.HasStatus
	e.Status = flow.StatusConfirmed | flow.StatusSrcNAT | flow.StatusSrcNATDone
}

func fillDNAT(_ *flow.Batch, e *flow.Event) {
	tuples(e, flow.ProtoUDP, "2001:db8::1", "2001:db8:0:1::53", "fd00::5", "2001:db8::1")
	ports(e, 5353, 53, 5300, 5353)
	e.Type = flow.TypeUpdate
}

func fillBothNAT(_ *flow.Batch, e *flow.Event) {
	tuples(e, flow.ProtoUDP, "10.1.2.3", "198.51.100.1", "10.9.9.9", "10.9.0.1")
	ports(e, 1, 2, 3, 4)
	e.Type = flow.TypeDestroy
	e.Has |= flow.HasStatus | flow.HasZone
	e.Status, e.Zone = flow.StatusConfirmed, 65535
	e.Orig.Zone = 4
	e.Orig.Has |= flow.HasTupleZone
}

func fillICMP(_ *flow.Batch, e *flow.Event) {
	tuples(e, flow.ProtoICMP, "10.0.0.1", "8.8.8.8", "8.8.8.8", "10.0.0.1")
	icmp(e, 8, 0)
}

func icmp(e *flow.Event, typ, answer uint8) {
	e.Orig.Has |= flow.HasICMP
	e.Reply.Has |= flow.HasICMP
	e.Orig.ICMPType, e.Orig.ICMPCode, e.Orig.ICMPID = typ, 0, 4660
	e.Reply.ICMPType, e.Reply.ICMPCode, e.Reply.ICMPID = answer, 0, 4660
}

func fillICMPv6(_ *flow.Batch, e *flow.Event) {
	tuples(e, flow.ProtoICMPv6, "fe80::1", "fe80::2", "fe80::2", "fe80::1")
	icmp(e, 128, 129)
}

func fillGRE(_ *flow.Batch, e *flow.Event) {
	tuples(e, flow.ProtoGRE, "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.1")
	ports(e, 16, 17, 17, 16)
}

func fillSCTP(_ *flow.Batch, e *flow.Event) {
	tuples(e, flow.ProtoSCTP, "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.1")
	ports(e, 3868, 3869, 3869, 3868)
	e.Has |= flow.HasSCTPState | flow.HasSCTPVTagOrig | flow.HasSCTPVTagReply
	e.SCTP = flow.SCTP{State: 4, VTagOrig: 0xdeadbeef, VTagReply: 0}
}

func fillDCCP(_ *flow.Batch, e *flow.Event) {
	tuples(e, flow.ProtoDCCP, "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.1")
	ports(e, 5004, 5005, 5005, 5004)
	e.Has |= flow.HasDCCPState | flow.HasDCCPRole | flow.HasDCCPSeq
	e.DCCP = flow.DCCP{State: 3, Role: 1, HandshakeSeq: 1<<48 - 1}
}

func fillUDPLite(_ *flow.Batch, e *flow.Event) {
	tuples(e, flow.ProtoUDPLite, "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.1")
	ports(e, 9, 10, 10, 9)
	e.Type = flow.TypeDestroy
	e.Has |= flow.HasStatus
	e.Status = flow.StatusSeenReply | 1<<30 // a bit without a name
}

func fillNameless(_ *flow.Batch, e *flow.Event) {
	tuples(e, 99, "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.1")
	e.Has |= flow.HasTCPState
	e.TCP.State = 77 // a state without a name
}

func fillMapped(_ *flow.Batch, e *flow.Event) {
	tuples(e, 6, "::ffff:10.0.0.1", "::", "::", "::ffff:10.0.0.1")
}
