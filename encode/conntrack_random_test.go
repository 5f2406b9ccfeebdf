package encode_test

import (
	"math/rand/v2"
	"net/netip"

	"github.com/ctferry/ctferry/source/flow"
)

// addresses are those that libraries write in different ways.
var addresses = [...]string{
	"::", "::1", "::2", "1::", "::ffff:1.2.3.4", "::1.2.3.4", "::ffff:0:0", "0:0:1::", "0:0:0:1::", "1:0:0:2:0:0:3:4",
	"1:0:2:3:4:5:6:7", "0:1:2:3:4:5:6:7", "1:2:3:4:5:6:7:0", "fe80::abcd:ef01", "2001:db8:0:1::2", "ff02::1:ff00:1",
	"::fffe:1.2.3.4", "64:ff9b::10.0.0.1", "::1:0:0:0:0", "0:0:0:0:0:1:1:1",
}

// randomEvent is an event such as some kernel could send: any protocol, any
// status, anything absent that may be. What [encode.TextDifferences] lists is
// not in it.
func randomEvent(r *rand.Rand, b *flow.Batch) *flow.Event {
	e := b.Next()
	e.Table = flow.TableConntrack
	e.Type = flow.TypeNew + flow.Type(r.IntN(3))
	e.Family = []flow.Family{flow.IPv4, flow.IPv6}[r.IntN(2)]
	e.Has = flow.HasOrig | flow.HasReply | flow.HasStatus | flow.HasID
	protos := []uint8{6, 6, 17, 17, 1, 58, 132, 33, 47, 136, 50, 0, 99, 255}
	e.Proto = protos[r.IntN(len(protos))]
	randomTuple(r, e, &e.Orig)
	randomTuple(r, e, &e.Reply)
	if r.IntN(2) == 0 {
		e.Reply.Src, e.Reply.Dst = e.Orig.Dst, e.Orig.Src
	}
	e.Status, e.ID = r.Uint32(), r.Uint32()
	if r.IntN(4) == 0 {
		e.Status &= 0x80f // what most entries have
	}
	randomValues(r, e)
	randomState(r, e)
	if r.IntN(4) == 0 {
		e.Has |= flow.HasHelper
		b.ExtraFor(e).Helper = []string{"ftp", "sip-5060", "RAS", ""}[r.IntN(4)]
	}
	if r.IntN(4) == 0 {
		e.Has |= flow.HasSecCtx
		b.ExtraFor(e).SecCtx = "system_u:object_r:unlabeled_t:s0-s0:c0.c1023"
	}
	return e
}

func randomTuple(r *rand.Rand, e *flow.Event, t *flow.Tuple) {
	t.Family, t.Proto, t.Has = e.Family, e.Proto, flow.HasAddrs|flow.HasProto
	for _, a := range []*flow.Addr{&t.Src, &t.Dst} {
		*a = flow.Addr{byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(3)), byte(r.IntN(256))}
		if e.Family == flow.IPv6 {
			*a, _ = flow.AddrFrom(netip.MustParseAddr(addresses[r.IntN(len(addresses))]))
		}
	}
	switch e.Proto {
	case flow.ProtoICMP, flow.ProtoICMPv6:
		t.Has |= flow.HasICMP
		t.ICMPType, t.ICMPCode, t.ICMPID = uint8(r.IntN(256)), uint8(r.IntN(256)), uint16(r.IntN(65536))
	case 6, 17, 132, 33, 47, 136:
		if r.IntN(8) > 0 { // DCCP comes without ports from kernels that do not know it
			t.Has |= flow.HasPorts
			t.SrcPort, t.DstPort = uint16(r.IntN(65536)), uint16(r.IntN(65536))
		}
	}
	if r.IntN(6) == 0 {
		t.Has |= flow.HasTupleZone
		t.Zone = uint16(r.IntN(65536))
	}
}

// randomValues sets some of the plain values.
func randomValues(r *rand.Rand, e *flow.Event) {
	options := []flow.Has{
		flow.HasTimeout, flow.HasMark, flow.HasUse, flow.HasZone, flow.HasOrigCounters | flow.HasReplyCounters, flow.HasPortID, flow.HasLabels,
		flow.HasStart | flow.HasStop, flow.HasStop,
	}
	for _, has := range options {
		if r.IntN(4) == 0 {
			e.Has |= has
		}
	}
	if r.IntN(4) == 0 {
		e.Has &^= flow.HasStatus
	}
	if r.IntN(4) == 0 {
		e.Has &^= flow.HasID
	}
	e.Timeout, e.Mark, e.Use, e.Zone = r.Uint32()>>r.IntN(32), r.Uint32()>>r.IntN(32), r.Uint32(), uint16(r.IntN(65536))
	e.PortID = 1<<31 | r.Uint32()
	e.OrigCounters = flow.Counters{Packets: r.Uint64() >> r.IntN(64), Bytes: r.Uint64()}
	e.ReplyCounters = flow.Counters{Packets: 0, Bytes: r.Uint64() >> r.IntN(64)}
	e.Labels[r.IntN(16)] = byte(r.IntN(256))
	const year = int64(365 * 24 * 3600 * 1e9)
	e.Start = r.Int64N(60 * year)
	e.Stop = e.Start + r.Int64N(5e9)
	if r.IntN(2) == 0 {
		e.Stop += r.Int64N(year)
	}
}

// randomState sets a state that conntrack has a word for in every format.
func randomState(r *rand.Rand, e *flow.Event) {
	if r.IntN(4) == 0 {
		return
	}
	switch e.Proto {
	case flow.ProtoTCP:
		e.Has |= flow.HasTCPState
		e.TCP.State = uint8(r.IntN(10))
	case flow.ProtoSCTP:
		e.Has |= flow.HasSCTPState | flow.HasSCTPVTagOrig | flow.HasSCTPVTagReply
		e.SCTP = flow.SCTP{State: uint8(r.IntN(8)), VTagOrig: r.Uint32(), VTagReply: r.Uint32()}
	case flow.ProtoDCCP:
		e.Has |= flow.HasDCCPState | flow.HasDCCPRole
		e.DCCP = flow.DCCP{State: uint8(r.IntN(10)), Role: uint8(r.IntN(2))}
	}
}
