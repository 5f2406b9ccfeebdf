package source

import (
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

func filterOf(t *testing.T, v map[string]any) *flow.Filter {
	t.Helper()
	f, err := flow.ParseFilter(v)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestKernelRefuses has the kernel run the whole of a filter: nothing is left to
// exclude here, the books balance without what was refused, and with the ring
// refused and offered add up to what was made.
func TestKernelRefuses(t *testing.T) { both(t, testKernelRefuses) }

func testKernelRefuses(t *testing.T, receive string) {
	ns := tracked(t)
	cfg := small(receive)
	cfg.Filter = filterOf(t, map[string]any{"include": []any{map[string]any{"family": "ipv6"}, map[string]any{"mark": 7}}})
	out := &keeper{}
	s := start(t, ns, cfg, out)
	events := 0
	for _, c := range []testnet.Churn{{NS: ns, Entries: 400}, {NS: ns, First: 1000, Entries: 100, Mark: 7}} {
		done, err := c.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		events += done.Events()
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	const want = 400 + 200 // half of the first, all of the second
	b := checkBalanced(t, s.Source)
	if !b.KernelFilter || b.Excluded != 0 || b.Offered != want || len(out.of(kernelTypes()...)) != want {
		t.Errorf("%d records; books %+v", len(out.of(kernelTypes()...)), b)
	}
	if ring := receive == "ring"; (b.Refused != nil) != ring || ring && *b.Refused+b.Offered != uint64(events) {
		t.Errorf("%d events made; refused %v", events, b.Refused)
	}
	last := out.of(flow.TypeStatus)
	told := last[len(last)-1].agent.Sockets[0]
	if !told.KernelFilter || told.Refused != nil && *told.Refused != *b.Refused {
		t.Errorf("a status record tells %+v", told)
	}
	checkSequence(t, out)
}

// TestTrackedFlowsEnd has a filter by mark, which changes in a flow's life, in
// front of the tracker: it must see the end of a flow that the filter leaves out
// by then, so the kernel may refuse nothing for it.
func TestTrackedFlowsEnd(t *testing.T) { both(t, testTrackedFlowsEnd) }

func testTrackedFlowsEnd(t *testing.T, receive string) {
	ns := tracked(t)
	cfg := tracking()
	cfg.Receive = receive
	cfg.Filter = filterOf(t, map[string]any{"include": []any{map[string]any{"mark": 7}}, "exclude": []any{map[string]any{"family": "ipv6"}}})
	out := &keeper{}
	s := start(t, ns, cfg, out)
	s.primed(t)
	done, err := testnet.Churn{NS: ns, Entries: 100, Update: true, Mark: 7}.Run(t.Context()) // then ^7
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all that the kernel passes", func() bool { return s.Books()[0].Received == uint64(done.Events()/2) })
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	b := checkBalanced(t, s.Source)
	if !b.KernelFilter || b.Track.Added != 50 || b.Track.Ended != 50 || b.Track.Flows != 0 || len(out.of(flow.TypeNew)) != 50 {
		t.Errorf("%+v", b)
	}
	if b.Refused != nil && *b.Refused != uint64(done.Events()/2) {
		t.Errorf("%d of %d events refused", *b.Refused, done.Events())
	}
}

// TestRetiredRefusals adds up what sockets of namespaces that are gone have
// refused; where one did not count, nobody knows.
func TestRetiredRefusals(t *testing.T) {
	counted := flow.SocketBooks{NetNS: "a", KernelFilter: true, Refused: new(uint64(3))}
	all := addBooks(addBooks(nil, counted), counted)
	if len(all) != 1 || *all[0].Refused != 6 || *counted.Refused != 3 {
		t.Errorf("%+v", all)
	}
	all = addBooks(all, flow.SocketBooks{NetNS: "a", KernelFilter: true})
	if all[0].Refused != nil || !all[0].KernelFilter {
		t.Errorf("%+v", all)
	}
}
