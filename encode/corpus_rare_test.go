package encode

import "github.com/ctferry/ctferry/source/flow"

func fillExpect(b *flow.Batch, e *flow.Event) {
	e.Table, e.Family = flow.TableExpect, flow.IPv4
	e.Has |= flow.HasExpect | flow.HasFlowID
	e.FlowID = 1
	x := &b.ExtraFor(e).Expect
	x.Has = flow.HasExpectID | flow.HasExpectTuple | flow.HasExpectMask | flow.HasExpectMaster | flow.HasExpectTimeout |
		flow.HasExpectHelper | flow.HasExpectClass | flow.HasExpectFlags
	x.ID, x.Timeout, x.Class, x.Flags, x.Helper = 77, 299, 0, flow.ExpectPermanent|flow.ExpectUserspace|1<<31, "ftp"
	for i, t := range []*flow.Tuple{&x.Tuple, &x.Mask, &x.Master} {
		addrs(t, "127.0.0.1", "127.0.0.2")
		t.Has |= flow.HasPorts | flow.HasProto
		t.Proto, t.SrcPort, t.DstPort = flow.ProtoTCP, 0, uint16(10000+i)
	}
}

func fillExpectDestroy(b *flow.Batch, e *flow.Event) {
	fillExpect(b, e)
	e.Type, e.Family = flow.TypeDestroy, flow.IPv6
	x := &e.Extra.Expect
	x.Has |= flow.HasExpectZone | flow.HasExpectNAT | flow.HasExpectFn
	x.Zone, x.NATDir, x.Fn = 9, 1, "nat-follow-master"
	for _, t := range []*flow.Tuple{&x.Tuple, &x.Mask, &x.Master, &x.NAT} {
		t.Has = 0
		addrs(t, "2001:db8::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
	}
	x.Mask.Has = flow.HasProto | flow.HasDstPort
	x.Mask.Proto, x.Mask.Family = flow.ProtoGRE, flow.IPv6
}

func fillGap(_ *flow.Batch, e *flow.Event) {
	lost := uint64(270885)
	e.Type, e.TimeSource = flow.TypeGap, flow.TimeInferred
	e.Gap = &flow.Gap{Scope: "kernel", Source: "host", Reason: "receive_buffer", Lost: &lost, Since: epoch - tick, Until: epoch}
}

func fillSinkGap(_ *flow.Batch, e *flow.Event) {
	most := uint64(0)
	e.Type, e.Table = flow.TypeGap, flow.TableUnspecified
	e.Gap = &flow.Gap{Scope: "sink", Sink: "siem", Reason: "memory", LostMax: &most, Since: 0, Until: -1}
}

func fillStatus(_ *flow.Batch, e *flow.Event) {
	yes, acct, stamp, events := true, int64(1), int64(0), int64(-2)
	e.Type, e.Table = flow.TypeStatus, flow.TableUnspecified
	e.Agent = &flow.Agent{
		Reason: "interval", Version: "0.1.0", Kernel: "6.18.0", Uptime: 3600 * tick, Acct: &acct, Stamps: &stamp, Events: &events,
		Clock:  flow.Clock{Synced: &yes, Steps: 2, Last: -5 * tick},
		Tables: []flow.TableFill{{Entries: 12, Max: 65536}, {NetNS: "blue", Entries: 0, Max: 1}},
		Sockets: []flow.SocketBooks{{
			NetNS: "blue", Offered: 1 << 60, Received: 2, Lost: 3, Emitted: 4, Excluded: 5, Malformed: 6, Foreign: 7, LastSeq: 8,
			Buffer: 9, Queued: 10, Growths: 11, Reliable: true, LetGo: 12,
			KernelFilter: true, Refused: new(uint64(24)),
			Track: flow.TrackBooks{
				Flows: 13, Max: 14, Added: 15, Ended: 16, Untracked: 17, Synthetic: 18, Interim: 19, Suppressed: 20, Contradicted: 21, Reconciled: 22, Failed: 23,
			},
		}, {}},
		Sink: &flow.SinkBooks{
			Name: "siem", Offered: 1, Recovered: 2, Delivered: 3, Dropped: []flow.Drop{{Reason: "memory", Count: 4}, {Reason: "cap"}},
			DeadLettered: 5, Held: 6, Bytes: 7, Retries: 8, Errors: []flow.Drop{{Reason: "retry", Count: 9}}, LastSeq: 10, Up: true,
			LastError: "topic flows: <not> \"authorised\" & gone",
		},
		LastSeq:  40,
		Warnings: []string{"net.core.rmem_max is 212992", "clock is not synchronised"},
	}
}

func fillBareStatus(_ *flow.Batch, e *flow.Event) {
	e.Type, e.Table, e.Origin = flow.TypeStatus, flow.TableUnspecified, &flow.Origin{Node: "n"}
	e.Agent = &flow.Agent{Reason: "start", Sink: &flow.SinkBooks{}}
}

func fillDump(_ *flow.Batch, e *flow.Event) {
	fillTCP(nil, e)
	counters(e)
	e.Type = flow.TypeDump
	e.Has |= flow.HasUse | flow.HasStart
	e.Use, e.Start = 1, epoch-tick
	e.Dump = &flow.DumpInfo{ID: 0xfedcba9876543210, Reason: "request", CountersReset: true}
}

func fillDumpEnd(_ *flow.Batch, e *flow.Event) {
	e.Type = flow.TypeDumpEnd
	e.Dump = &flow.DumpInfo{ID: 1, Reason: "resync", Count: 1_000_000, Complete: false}
}

func fillInterim(_ *flow.Batch, e *flow.Event) {
	fillTCP(nil, e)
	counters(e)
	e.Type = flow.TypeInterim
	e.Has |= flow.HasOrigDeltas | flow.HasReplyDeltas | flow.HasInterval
	e.OrigDeltas, e.ReplyDeltas, e.Interval = flow.Counters{Packets: 1, Bytes: 2}, flow.Counters{}, 30*tick
}

func fillSynthetic(_ *flow.Batch, e *flow.Event) {
	fillICMP(nil, e)
	e.Type, e.TimeSource = flow.TypeDestroy, flow.TimeInferred
	e.Has |= flow.HasSynthetic | flow.HasBounds
	e.Synthetic, e.Since, e.Until = true, epoch-2*tick, epoch-tick
}

// fillHostile has strings as no well-meaning kernel sends them.
func fillHostile(b *flow.Batch, e *flow.Event) {
	fillTCP(nil, e)
	e.Has |= flow.HasSecCtx | flow.HasHelper | flow.HasProgName | flow.HasPortID | flow.HasLabelNames
	e.PortID = 4294967295
	x := b.ExtraFor(e)
	x.SecCtx = "a\x00b\x1f\x7f\"\\/<>&'\b\f\n\r\t"
	x.Helper = "\xff\xc3\x28 \xed\xa0\x80 \xf4\x90\x80\x80"
	x.ProgName = "\u2028\u2029\ufffd\uffff\ufffe \U0001f6a2 ]]> --"
	x.LabelNames = []string{"", " lead", "trail ", "é"}
}

// fillEverything sets every value that an event of the conntrack table can have at once.
func fillEverything(b *flow.Batch, e *flow.Event) {
	fillTCPDestroy(nil, e)
	e.Reply.Dst = flow.Addr{203, 0, 113, 9}
	e.Reply.DstPort = 61001
	e.Has = 1<<43 - 1
	e.Zone, e.Use, e.Timeout, e.Mark, e.PortID = 7, 2, 33, 0xdeadbeef, 4242
	e.Orig.Zone, e.Reply.Zone = 1, 2
	e.Orig.Has |= flow.HasTupleZone
	e.Reply.Has |= flow.HasTupleZone
	e.OrigDeltas, e.ReplyDeltas, e.Interval = flow.Counters{Packets: 3, Bytes: 4}, flow.Counters{Packets: 5, Bytes: 6}, tick
	e.SCTP = flow.SCTP{State: 9, VTagOrig: 1, VTagReply: 2}
	e.DCCP = flow.DCCP{State: 9, Role: 0, HandshakeSeq: 5}
	e.Labels = [16]byte{1, 15: 128}
	e.Synthetic, e.Since, e.Until = false, epoch-9, epoch+9
	x := b.ExtraFor(e)
	fillExpectDestroy(b, e)
	e.Table, e.Family = flow.TableConntrack, flow.IPv4
	e.Has = 1<<43 - 1
	e.FlowID = 0x00c0ffee12345678
	x.Helper, x.SecCtx, x.ProgName, x.LabelNames = "sip", "system_u:object_r:unlabeled_t:s0", "conntrackd", []string{"voip", "gold"}
	x.Master = e.Orig
	x.MasterFlowID = 0xffffffffffffffff
	x.OrigSeqAdj, x.ReplySeqAdj = flow.SeqAdj{CorrectionPos: 1, OffsetBefore: 2, OffsetAfter: 3}, flow.SeqAdj{OffsetAfter: 4294967295}
	x.SynProxy = flow.SynProxy{ISN: 1, ITS: 2, TSOff: 3}
	lost, most := uint64(3), uint64(4)
	e.Dump = &flow.DumpInfo{ID: 5, Reason: "interval", CountersReset: true}
	e.Gap = &flow.Gap{Scope: "restart", Source: "s", Sink: "k", Reason: "r", Lost: &lost, LostMax: &most, Since: 1, Until: 2}
	e.Agent = &flow.Agent{Reason: "stop"}
}
