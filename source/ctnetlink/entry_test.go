package ctnetlink

import (
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

func ptr[T any](v T) *T { return &v }

// entryOf is an entry that can be made: its reply is the original turned round.
func entryOf(orig flow.Tuple) *flow.Event {
	e := &flow.Event{Has: flow.HasOrig | flow.HasReply | flow.HasTimeout, Family: orig.Family, Proto: orig.Proto, Orig: orig, Timeout: 600}
	e.Reply = turned(orig)
	e.Extra = &flow.Extra{}
	return e
}

// turned is the tuple of the other direction, without NAT.
func turned(t flow.Tuple) flow.Tuple {
	t.Src, t.Dst, t.SrcPort, t.DstPort = t.Dst, t.Src, t.DstPort, t.SrcPort
	if t.Got(flow.HasICMPType) {
		t.ICMPType = map[uint8]uint8{8: 0, 13: 14, 128: 129}[t.ICMPType]
	}
	t.Has &^= flow.HasTupleZone
	return t
}

func icmpOf(proto uint8, src, dst string, kind uint8, id uint16) flow.Tuple {
	t := tupleOf(proto, src, dst, 0, 0)
	t.Has = flow.HasAddrs | flow.HasProto | flow.HasICMP
	t.ICMPType, t.ICMPID = kind, id
	return t
}

// made creates an entry that must be taken, and gives its key.
func made(tb testing.TB, c *Conn, e *flow.Event) flow.Key {
	tb.Helper()
	if err := c.Create(tb.Context(), flow.Creation{Event: e}); err != nil {
		tb.Fatal(err)
	}
	k := flow.Key{Tuple: e.Orig}
	if e.Got(flow.HasZone) {
		k.Zone = e.Zone
	}
	return k
}

// look reads an entry that must be there.
func look(tb testing.TB, c *Conn, k flow.Key) *flow.Event {
	tb.Helper()
	b := flow.NewBatch(1)
	if err := c.Get(tb.Context(), k, b); err != nil {
		tb.Fatal(err)
	}
	return &b.Events()[0]
}

// count is the number of entries by conntrack(8).
func count(tb testing.TB, ns *testnet.Namespace, want int) {
	tb.Helper()
	if n := ns.ConntrackCount(tb); n != want {
		tb.Errorf("%d entries, expected %d", n, want)
	}
}

func TestKeyOf(t *testing.T) {
	e := entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2))
	e.Zone, e.ID = 7, 8 // left over from another event
	if k := flow.KeyOf(e); k != (flow.Key{Tuple: e.Orig}) {
		t.Errorf("%+v", k)
	}
	e.Has |= flow.HasZone | flow.HasID
	k := flow.KeyOf(e)
	e.ID = 9
	if k.Zone != 7 || k.ID == nil || *k.ID != 8 {
		t.Errorf("%+v", k)
	}
}
