package encode

import (
	"math/rand/v2"
	"slices"

	"github.com/ctferry/ctferry/source/flow"
)

// fillRandom makes an event that a reader could have made: every value present
// or absent by chance, in combinations that no kernel sends.
func fillRandom(r *rand.Rand, b *flow.Batch, e *flow.Event) {
	e.Type = flow.Type(1 + r.IntN(8))
	e.Table = flow.Table(r.IntN(3))
	e.TimeSource = flow.TimeSource(r.IntN(4))
	e.Family = []flow.Family{0, flow.IPv4, flow.IPv6}[r.IntN(3)]
	e.Seq, e.Time = number(r), int64(number(r))
	e.Origin = randomOrigin(r)
	e.Has = flow.Has(r.Uint64()) & (1<<43 - 1)
	if r.IntN(2) == 0 {
		e.Has &^= inExtra // most events have no side slot
	}
	if e.Family == 0 && e.Any(flow.HasOrig) {
		e.Family = flow.IPv4
	}
	randomValues(r, e)
	if e.Any(flow.HasOrig) {
		e.Proto = randomProto(r)
		randomTuple(r, &e.Orig, e.Family)
		e.Orig.Proto = e.Proto
		e.Orig.Has |= flow.HasProto
	}
	if e.Any(flow.HasReply) {
		randomTuple(r, &e.Reply, e.Family)
		if e.Any(flow.HasOrig) {
			e.Reply.Proto = e.Proto
		}
		e.Reply.Has |= flow.HasProto
	}
	if e.Has&inExtra != 0 {
		randomExtra(r, b.ExtraFor(e), e)
	}
	if r.IntN(4) == 0 {
		e.Dump = &flow.DumpInfo{ID: number(r), Reason: dumpReasons[r.IntN(5)], CountersReset: r.IntN(2) == 0}
		if e.Type == flow.TypeDumpEnd {
			e.Dump.Count, e.Dump.Complete = number(r), r.IntN(2) == 0
		}
	}
	if r.IntN(8) == 0 {
		e.Gap = &flow.Gap{Scope: text(r), Source: text(r), Sink: text(r), Reason: text(r), Since: int64(number(r)), Until: int64(number(r))}
		e.Gap.Lost, e.Gap.LostMax = maybe(r), maybe(r)
	}
	if r.IntN(8) == 0 {
		e.Agent = randomAgent(r)
	}
}

// number is small, large or at an edge.
func number(r *rand.Rand) uint64 {
	switch r.IntN(4) {
	case 0:
		return r.Uint64N(200)
	case 1:
		return []uint64{0, 1, 1<<32 - 1, 1<<63 - 1, 1 << 63, 1<<64 - 1}[r.IntN(6)]
	case 2:
		return uint64(epoch) + r.Uint64N(1<<40)
	}
	return r.Uint64()
}

func maybe(r *rand.Rand) *uint64 {
	if r.IntN(2) == 0 {
		return nil
	}
	return new(number(r))
}

func maybeInt(r *rand.Rand) *int64 {
	if r.IntN(2) == 0 {
		return nil
	}
	return new(int64(number(r)))
}

func randomProto(r *rand.Rand) uint8 {
	known := []uint8{0, flow.ProtoICMP, flow.ProtoTCP, flow.ProtoUDP, flow.ProtoDCCP, flow.ProtoGRE, flow.ProtoICMPv6, flow.ProtoSCTP, flow.ProtoUDPLite}
	if r.IntN(8) == 0 {
		return uint8(r.Uint32())
	}
	return known[r.IntN(len(known))]
}

// text is a string that every format can hold.
func text(r *rand.Rand) string {
	const letters = "abc XYZ09_-.<>&'\"\\/]\t\n\r\u00e9\u2028\u2029\ufffd\ue000\U0001f6a2"
	runes := []rune(letters)
	var s []rune
	for range r.IntN(12) {
		s = append(s, runes[r.IntN(len(runes))])
	}
	return string(s)
}

func randomOrigin(r *rand.Rand) *flow.Origin {
	o := &flow.Origin{Node: text(r), NetNS: text(r)}
	for range r.IntN(4) {
		o.Meta = append(o.Meta, flow.Pair{Key: text(r), Value: text(r)})
	}
	slices.SortFunc(o.Meta, func(a, b flow.Pair) int {
		switch {
		case a.Key < b.Key:
			return -1
		case a.Key > b.Key:
			return 1
		}
		return 0
	})
	o.Meta = slices.CompactFunc(o.Meta, func(a, b flow.Pair) bool { return a.Key == b.Key })
	for i := range o.Run {
		o.Run[i] = byte(r.Uint32())
		if r.IntN(3) > 0 {
			o.BootID[i] = byte(r.Uint32())
		}
	}
	return o
}

func randomValues(r *rand.Rand, e *flow.Event) {
	e.Zone, e.Status, e.Timeout, e.Mark = uint16(number(r)), uint32(number(r)), uint32(number(r)), uint32(number(r))
	e.Use, e.ID, e.PortID = uint32(number(r)), uint32(number(r)), uint32(number(r))
	e.OrigCounters = flow.Counters{Packets: number(r), Bytes: number(r)}
	e.ReplyCounters = flow.Counters{Packets: number(r), Bytes: number(r)}
	e.OrigDeltas = flow.Counters{Packets: number(r), Bytes: number(r)}
	e.ReplyDeltas = flow.Counters{Packets: number(r), Bytes: number(r)}
	small := func() uint8 { return uint8(r.UintN(13)) }
	e.TCP = flow.TCP{State: small(), WScaleOrig: small(), WScaleReply: small(), FlagsOrig: uint8(number(r)), FlagsReply: small()}
	e.SCTP = flow.SCTP{State: small(), VTagOrig: uint32(number(r)), VTagReply: uint32(number(r))}
	e.DCCP = flow.DCCP{State: small(), Role: uint8(r.UintN(3)), HandshakeSeq: number(r)}
	for i := range e.Labels {
		e.Labels[i] = byte(r.Uint32())
	}
	e.FlowID, e.Received, e.Start, e.Stop = number(r), int64(number(r)), int64(number(r)), int64(number(r))
	e.Interval, e.Since, e.Until = int64(number(r)&(1<<63-1)), int64(number(r)), int64(number(r))
	e.Synthetic = r.IntN(2) == 0
}

// randomTuple fills a tuple; one without addresses is of the record's family.
func randomTuple(r *rand.Rand, t *flow.Tuple, record flow.Family) {
	t.Family, t.Has = record, flow.TupleHas(r.Uint32())&(flow.HasPorts|flow.HasICMP|flow.HasTupleZone|flow.HasProto)
	t.Proto, t.ICMPType, t.ICMPCode = randomProto(r), uint8(number(r)), uint8(number(r))
	t.SrcPort, t.DstPort, t.ICMPID, t.Zone = uint16(number(r)), uint16(number(r)), uint16(number(r)), uint16(number(r))
	if r.IntN(8) > 0 {
		if t.Family == 0 || r.IntN(16) == 0 {
			t.Family = []flow.Family{flow.IPv4, flow.IPv6}[r.IntN(2)]
		}
		t.Has |= []flow.TupleHas{flow.HasSrc, flow.HasDst, flow.HasAddrs, flow.HasAddrs}[r.IntN(4)]
		t.Src, t.Dst = randomAddr(r, t.Family), randomAddr(r, t.Family)
	}
}

func randomAddr(r *rand.Rand, f flow.Family) (a flow.Addr) {
	for i := range f.AddrLen() {
		if r.IntN(2) == 0 {
			a[i] = byte(number(r))
		}
	}
	if f == flow.IPv6 && r.IntN(4) == 0 {
		copy(a[:], "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff")
	}
	return a
}

func randomExtra(r *rand.Rand, x *flow.Extra, e *flow.Event) {
	x.Helper, x.SecCtx, x.ProgName = text(r), text(r), text(r)
	x.LabelNames = []string{text(r), text(r)}[:1+r.IntN(2)]
	x.MasterFlowID = number(r)
	x.OrigSeqAdj = flow.SeqAdj{CorrectionPos: uint32(number(r)), OffsetBefore: uint32(number(r)), OffsetAfter: uint32(number(r))}
	x.ReplySeqAdj = flow.SeqAdj{CorrectionPos: uint32(number(r))}
	x.SynProxy = flow.SynProxy{ISN: uint32(number(r)), ITS: uint32(number(r)), TSOff: uint32(number(r))}
	if e.Any(flow.HasMaster) {
		randomTuple(r, &x.Master, e.Family)
	}
	if !e.Any(flow.HasExpect) {
		return
	}
	p := &x.Expect
	p.Has = flow.ExpectHas(r.Uint32()) & (1<<11 - 1)
	p.NATDir, p.Zone, p.ID, p.Timeout = uint8(r.UintN(2)), uint16(number(r)), uint32(number(r)), uint32(number(r))
	p.Class, p.Flags, p.Helper, p.Fn = uint32(number(r)), uint32(number(r)), text(r), text(r)
	for _, part := range expectParts {
		if p.Got(part.bit) {
			randomTuple(r, part.of(p), e.Family)
		}
	}
}

func randomTrack(r *rand.Rand) flow.TrackBooks {
	if r.IntN(2) == 0 {
		return flow.TrackBooks{}
	}
	return flow.TrackBooks{
		Flows: number(r), Max: number(r), Added: number(r), Ended: number(r), Untracked: number(r), Synthetic: number(r), Interim: number(r), Suppressed: number(r), Contradicted: number(r), Reconciled: number(r), Failed: number(r),
	}
}

func randomAgent(r *rand.Rand) *flow.Agent {
	a := &flow.Agent{
		Reason: text(r), Version: text(r), Kernel: text(r), Uptime: int64(number(r) & (1<<63 - 1)),
		Acct: maybeInt(r), Stamps: maybeInt(r), Events: maybeInt(r), LastSeq: number(r),
		Clock: flow.Clock{Steps: number(r), Last: int64(number(r))},
	}
	if r.IntN(2) == 0 {
		a.Clock.Synced = new(r.IntN(2) == 0)
	}
	for range r.IntN(3) {
		a.Tables = append(a.Tables, flow.TableFill{NetNS: text(r), Entries: uint32(number(r)), Max: uint32(number(r))})
		a.Warnings = append(a.Warnings, text(r))
		a.Sockets = append(a.Sockets, flow.SocketBooks{
			NetNS: text(r), Offered: number(r), Received: number(r), Lost: number(r), Emitted: number(r), Excluded: number(r),
			Malformed: number(r), Foreign: number(r), LastSeq: number(r), Buffer: number(r), Queued: number(r), Growths: number(r),
			Reliable: r.IntN(2) == 0, LetGo: number(r), Track: randomTrack(r), KernelFilter: r.IntN(2) == 0,
		})
		if r.IntN(2) == 0 {
			a.Sockets[len(a.Sockets)-1].Refused = new(number(r))
		}
	}
	if r.IntN(2) == 0 {
		a.Sink = &flow.SinkBooks{
			Name: text(r), Offered: number(r), Recovered: number(r), Delivered: number(r), DeadLettered: number(r), Held: number(r),
			Bytes: number(r), Retries: number(r), LastSeq: number(r), Up: r.IntN(2) == 0, LastError: text(r),
		}
		for range r.IntN(3) {
			a.Sink.Dropped = append(a.Sink.Dropped, flow.Drop{Reason: text(r), Count: number(r)})
			a.Sink.Errors = append(a.Sink.Errors, flow.Drop{Reason: text(r), Count: number(r)})
		}
	}
	return a
}
