package encode

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ctferry/ctferry/source/flow"
)

// pbExpectation writes an entry of the expect table, field 51.
func pbExpectation(dst []byte, v *view) []byte {
	x := &v.e.Extra.Expect
	dst, start := pbOpen(dst, 51)
	if v.expect&flow.HasExpectID != 0 {
		dst = pbUint(dst, 1, uint64(x.ID))
	}
	if v.expect&flow.HasExpectTuple != 0 {
		dst = pbTupleMember(dst, 2, &x.Tuple, tupleBits(&x.Tuple))
	}
	if v.expect&flow.HasExpectMask != 0 {
		dst = pbTupleMember(dst, 3, &x.Mask, tupleBits(&x.Mask))
	}
	if v.expect&flow.HasExpectMaster != 0 {
		dst = pbTupleMember(dst, 4, &x.Master, tupleBits(&x.Master))
	}
	if v.expect&flow.HasExpectTimeout != 0 {
		dst = pbUint(dst, 5, uint64(x.Timeout))
	}
	if v.expect&flow.HasExpectHelper != 0 {
		dst = pbString(dst, 6, x.Helper)
	}
	if v.expect&flow.HasExpectClass != 0 {
		dst = pbUint(dst, 7, uint64(x.Class))
	}
	return pbClose(pbExpectEnd(dst, v, x), start)
}

func pbExpectEnd(dst []byte, v *view, x *flow.Expectation) []byte {
	if v.expect&flow.HasExpectFlags != 0 && v.shows(partExpectFlags) {
		dst = pbBits(dst, 8, x.Flags, flow.ExpectFlagName)
	}
	if v.expect&flow.HasExpectFlags != 0 && v.shows(partExpectFlagsRaw) {
		dst = pbUint(dst, 9, uint64(x.Flags))
	}
	if v.expect&flow.HasExpectZone != 0 {
		dst = pbUint(dst, 10, uint64(x.Zone))
	}
	if v.expect&flow.HasExpectNAT != 0 {
		var start int
		dst, start = pbOpen(dst, 11)
		if direction(x.NATDir) != "" {
			dst = pbUint(dst, 1, uint64(x.NATDir)+1)
		}
		dst = pbClose(pbTupleMember(dst, 2, &x.NAT, tupleBits(&x.NAT)), start)
	}
	if v.expect&flow.HasExpectFn != 0 {
		dst = pbString(dst, 12, x.Fn)
	}
	return dst
}

// pbGap writes a loss, field 52.
func pbGap(dst []byte, g *flow.Gap) []byte {
	dst, start := pbOpen(dst, 52)
	dst = pbStringIf(dst, 1, g.Scope)
	dst = pbStringIf(dst, 2, g.Source)
	dst = pbStringIf(dst, 3, g.Sink)
	dst = pbStringIf(dst, 4, g.Reason)
	if g.Lost != nil {
		dst = pbUint(dst, 5, *g.Lost)
	}
	if g.LostMax != nil {
		dst = pbUint(dst, 6, *g.LostMax)
	}
	dst = pbFixedIf(dst, 7, uint64(g.Since))
	dst = pbFixedIf(dst, 8, uint64(g.Until))
	return pbClose(dst, start)
}

// pbAgent writes the agent's state and books, field 53.
func pbAgent(dst []byte, a *flow.Agent) []byte {
	dst, start := pbOpen(dst, 53)
	dst = pbStringIf(dst, 1, a.Reason)
	dst = pbStringIf(dst, 2, a.Version)
	dst = pbStringIf(dst, 3, a.Kernel)
	dst = pbUintIf(dst, 4, notNegative(a.Uptime))
	dst = pbInt(dst, 5, a.Acct)
	dst = pbInt(dst, 6, a.Stamps)
	dst = pbInt(dst, 7, a.Events)
	dst = pbClock(dst, &a.Clock)
	for i := range a.Tables {
		dst = pbTable(dst, &a.Tables[i])
	}
	for i := range a.Sockets {
		dst = pbSocket(dst, &a.Sockets[i])
	}
	if a.Sink != nil {
		dst = pbSink(dst, a.Sink)
	}
	dst = pbUintIf(dst, 12, a.LastSeq)
	for _, w := range a.Warnings {
		dst = pbString(dst, 13, w)
	}
	return pbClose(dst, start)
}

func pbInt(dst []byte, num protowire.Number, v *int64) []byte {
	if v == nil {
		return dst
	}
	return pbUint(dst, num, uint64(*v))
}

func pbClock(dst []byte, c *flow.Clock) []byte {
	dst, start := pbOpen(dst, 8)
	if c.Synced != nil {
		dst = pbBool(dst, 1, *c.Synced)
	}
	dst = pbUintIf(dst, 2, c.Steps)
	dst = pbUintIf(dst, 3, protowire.EncodeZigZag(c.Last))
	return pbClose(dst, start)
}

func pbTable(dst []byte, t *flow.TableFill) []byte {
	dst, start := pbOpen(dst, 9)
	dst = pbStringIf(dst, 1, t.NetNS)
	dst = pbUintIf(dst, 2, uint64(t.Entries))
	dst = pbUintIf(dst, 3, uint64(t.Max))
	return pbClose(dst, start)
}

func pbSocket(dst []byte, b *flow.SocketBooks) []byte {
	dst, start := pbOpen(dst, 10)
	dst = pbStringIf(dst, 1, b.NetNS)
	dst = pbUintIf(dst, 2, b.Offered)
	dst = pbUintIf(dst, 3, b.Received)
	dst = pbUintIf(dst, 4, b.Lost)
	dst = pbUintIf(dst, 5, b.Emitted)
	dst = pbUintIf(dst, 6, b.Excluded)
	dst = pbUintIf(dst, 7, b.Malformed)
	dst = pbUintIf(dst, 8, b.Foreign)
	dst = pbUintIf(dst, 9, b.LastSeq)
	dst = pbUintIf(dst, 10, b.Buffer)
	dst = pbUintIf(dst, 11, b.Queued)
	dst = pbUintIf(dst, 12, b.Growths)
	if b.Reliable {
		dst = pbBool(dst, 16, true)
	}
	dst = pbUintIf(dst, 17, b.LetGo)
	if b.Track != (flow.TrackBooks{}) {
		dst = pbTrack(dst, &b.Track)
	}
	if b.KernelFilter {
		dst = pbBool(dst, 19, true)
	}
	if b.Refused != nil {
		dst = pbUint(dst, 20, *b.Refused)
	}
	return pbClose(dst, start)
}

func pbTrack(dst []byte, b *flow.TrackBooks) []byte {
	dst, start := pbOpen(dst, 18)
	dst = pbUintIf(dst, 1, b.Flows)
	dst = pbUintIf(dst, 2, b.Max)
	dst = pbUintIf(dst, 3, b.Added)
	dst = pbUintIf(dst, 4, b.Ended)
	dst = pbUintIf(dst, 5, b.Untracked)
	dst = pbUintIf(dst, 6, b.Synthetic)
	dst = pbUintIf(dst, 7, b.Interim)
	dst = pbUintIf(dst, 8, b.Suppressed)
	dst = pbUintIf(dst, 9, b.Contradicted)
	dst = pbUintIf(dst, 10, b.Reconciled)
	dst = pbUintIf(dst, 11, b.Failed)
	return pbClose(dst, start)
}

func pbSink(dst []byte, b *flow.SinkBooks) []byte {
	dst, start := pbOpen(dst, 11)
	dst = pbStringIf(dst, 1, b.Name)
	dst = pbUintIf(dst, 2, b.Offered)
	dst = pbUintIf(dst, 3, b.Recovered)
	dst = pbUintIf(dst, 4, b.Delivered)
	dst = pbTallies(dst, 5, b.Dropped)
	dst = pbUintIf(dst, 6, b.DeadLettered)
	dst = pbUintIf(dst, 7, b.Held)
	dst = pbUintIf(dst, 8, b.Bytes)
	dst = pbUintIf(dst, 9, b.Retries)
	dst = pbTallies(dst, 10, b.Errors)
	dst = pbUintIf(dst, 11, b.LastSeq)
	dst = pbUintIf(dst, 12, protowire.EncodeBool(b.Up))
	dst = pbStringIf(dst, 13, b.LastError)
	return pbClose(dst, start)
}

func pbTallies(dst []byte, num protowire.Number, list []flow.Drop) []byte {
	for i := range list {
		var start int
		dst, start = pbOpen(dst, num)
		dst = pbStringIf(dst, 1, list[i].Reason)
		dst = pbUintIf(dst, 2, list[i].Count)
		dst = pbClose(dst, start)
	}
	return dst
}
