package ctnetlink

import (
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestTraffic reads the events of a known mixture of real flows: each flow is new
// once, and gone once when the table is emptied, with its counters and times.
func TestTraffic(t *testing.T) { both(t, testTraffic) }

func testTraffic(t *testing.T, via Receive) {
	ns := quiet(t)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew | ConntrackUpdate | ConntrackDestroy, Buffer: 8 << 20})
	tally, err := testnet.Mix{NS: ns, Flows: 200}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ns.Conntrack(t, "-F")
	type counts struct{ born, dead int }
	seen := map[testnet.Kind]counts{}
	ids := map[uint32]flow.Type{}
	drain(t, l, func(e *flow.Event) {
		kind := testnet.Kind{Proto: flow.ProtoName(e.Proto), Family: 4}
		if e.Family == flow.IPv6 {
			kind.Family = 6
		}
		c := seen[kind]
		const always = flow.HasOrig | flow.HasReply | flow.HasID | flow.HasStatus
		switch {
		case !e.Got(always) || e.TimeSource != flow.TimeKernel || e.Time == 0:
			t.Errorf("%s", describe(e))
		case e.Type == flow.TypeNew:
			c.born++
		case e.Type == flow.TypeDestroy:
			c.dead++
			if !e.Got(flow.HasOrigCounters|flow.HasReplyCounters|flow.HasStart|flow.HasStop) || e.OrigCounters.Packets == 0 || e.Stop < e.Start {
				t.Errorf("%s", describe(e))
			}
		}
		// Of one flow the events come in their order: new, updates, gone.
		if before, known := ids[e.ID]; e.Type == flow.TypeNew && known || before == flow.TypeDestroy || e.Type != flow.TypeNew && !known {
			t.Errorf("after %q came %s", before, describe(e))
		}
		ids[e.ID] = e.Type
		seen[kind] = c
	})
	for kind, n := range tally {
		if seen[kind] != (counts{n, n}) {
			t.Errorf("%v: %+v, made %d", kind, seen[kind], n)
		}
	}
	if s, err := l.Stats(); err != nil || s.Drops != 0 || s.Queued != 0 {
		t.Errorf("%+v: %v", s, err)
	}
}
