package source

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// tracking is small with flows tracked, and resyncs as often as may be.
func tracking() Config {
	c := small("socket")
	c.Track.Enabled, c.Track.Resync = true, minInterval
	return c
}

// primed waits for the first dump to be compared.
func (r *running) primed(t *testing.T) {
	t.Helper()
	r.reconciled(t, 1)
}

// reconciled waits until so many dumps were compared.
func (r *running) reconciled(t *testing.T, n uint64) {
	t.Helper()
	eventually(t, "a dump that is compared", func() bool { return r.Books()[0].Track.Reconciled >= n })
}

// stall holds the reader up until the function is called that it gives.
func (r *running) stall() (release func()) {
	hold := make(chan struct{})
	wait := func() { <-hold }
	r.out.slow.Store(&wait)
	return func() {
		r.out.slow.Store(nil)
		close(hold)
	}
}

// markAll gives every entry of a namespace another mark.
func markAll(t *testing.T, ns *testnet.Namespace, mark uint32) {
	t.Helper()
	conn, err := ctnetlink.Dial(ctnetlink.DialConfig{NetNS: ns.Path()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var changes []flow.Change
	_, err = conn.Dump(t.Context(), flow.TableConntrack, flow.DumpOptions{}, func(b *flow.Batch) error {
		for i := range b.Events() {
			u := flow.Update{Mark: &flow.Masked{Value: mark, Mask: ^uint32(0)}}
			changes = append(changes, flow.Change{Update: &flow.KeyUpdate{Key: flow.KeyOf(&b.Events()[i]), Update: u}})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range conn.Apply(t.Context(), changes) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// tableOf reads a namespace's table: flow id by flow id, with the status.
func tableOf(t *testing.T, r *running, ns *testnet.Namespace) map[uint64]uint32 {
	t.Helper()
	conn, err := ctnetlink.Dial(ctnetlink.DialConfig{NetNS: ns.Path()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	found := map[uint64]uint32{}
	_, err = conn.Dump(t.Context(), flow.TableConntrack, flow.DumpOptions{}, func(b *flow.Batch) error {
		for i := range b.Events() {
			e := &b.Events()[i]
			e.Origin = r.sockets[0].origin
			id, _ := e.ComputeFlowID()
			found[id] = e.Status
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// trackedOf is what the source tracks, in the same form.
func trackedOf(r *running) map[uint64]uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[uint64]uint32{}
	table := &r.sockets[0].track.table
	for p := place(1); uint32(p) <= table.made; p++ {
		if en := table.at(p); en.is&isTaken != 0 && en.is&isDead == 0 {
			found[en.flowID] = en.status
		}
	}
	return found
}

// agrees waits until the tracked set is the table's: a loss that a busy machine
// brought is made good a second later.
func (r *running) agrees(t *testing.T, ns *testnet.Namespace) {
	t.Helper()
	eventually(t, "the tracked set to be the table's", func() bool { return maps.Equal(tableOf(t, r, ns), trackedOf(r)) })
}

// checkTracked wants the tracked set to be the table's.
func checkTracked(t *testing.T, r *running, ns *testnet.Namespace) {
	t.Helper()
	kernel, ours := tableOf(t, r, ns), trackedOf(r)
	for id, status := range kernel {
		if got, ok := ours[id]; !ok || got != status {
			t.Errorf("flow %x: tracked %v with status %#x: expected %#x", id, ok, got, status)
		}
	}
	for id := range ours {
		if _, ok := kernel[id]; !ok {
			t.Errorf("flow %x is tracked and not there", id)
		}
	}
	b := r.Books()[0].Track
	if b.Flows != uint64(len(ours)) || !b.Balanced() {
		t.Errorf("%d flows are tracked; books %+v", len(ours), b)
	}
}

// checkStories wants each flow's records to tell a possible life, inferred ones
// included: none after its end but a new one, one end for a beginning.
func checkStories(t *testing.T, out *keeper, known map[uint64]bool) {
	t.Helper()
	alive := map[uint64]bool{}
	for id := range known {
		alive[id] = true
	}
	for _, r := range out.of(kernelTypes()...) {
		was := alive[r.flowID]
		switch {
		case r.typ == flow.TypeNew && was:
			t.Fatalf("flow %x is new twice; %+v", r.flowID, r)
		case r.typ == flow.TypeDestroy && !was && r.synthetic:
			t.Fatalf("flow %x ends twice; %+v", r.flowID, r)
		case r.typ == flow.TypeUpdate && !was && r.synthetic:
			t.Fatalf("flow %x changes and is not there; %+v", r.flowID, r)
		}
		if r.synthetic && (r.since == 0 || r.since > r.until || r.src == flow.TimeReceived) {
			t.Fatalf("bounds of an inferred record: %+v", r)
		}
		alive[r.flowID] = r.typ != flow.TypeDestroy
	}
}

// synthetic gives the inferred records of a type.
func (k *keeper) synthetic(typ flow.Type) []record {
	return slices.DeleteFunc(k.of(typ), func(r record) bool { return !r.synthetic })
}

// TestResyncMakesALossGood stalls the reader while flows begin, change and end,
// more than the buffer holds: afterwards every flow's story is told to its end.
func TestResyncMakesALossGood(t *testing.T) {
	ns := tracked(t)
	out := &keeper{}
	cfg := tracking()
	cfg.Buffer, cfg.Max = minBuffer, minBuffer
	keep := testnet.Churn{NS: ns, Entries: 3000, Keep: true, Timeout: time.Hour, Mark: 1}
	if _, err := keep.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := start(t, ns, cfg, out)
	r.primed(t)
	known := map[uint64]bool{}
	for id := range tableOf(t, r, ns) {
		known[id] = true
	}
	release := r.stall()
	// First what fills the buffer, then 1000 of the old end, 1000 change and 2000 begin.
	work := func(c testnet.Churn, remove bool) {
		c.NS = ns
		var err error
		if remove {
			_, err = c.Remove(t.Context())
		} else {
			_, err = c.Run(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	work(testnet.Churn{First: 100_000, Entries: 2000}, false)
	work(testnet.Churn{First: 0, Entries: 1000}, true)
	markAll(t, ns, 7)
	work(testnet.Churn{First: 10_000, Entries: 2000, Keep: true, Timeout: time.Hour}, false)
	release()
	r.reconciled(t, 2)
	r.agrees(t, ns)
	checkTracked(t, r, ns)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	b := checkBalanced(t, r.Source)
	var told uint64
	for _, g := range out.of(flow.TypeGap)[1:] {
		told += *g.gap.Lost
	}
	if told != b.Lost || b.Lost < 4000 {
		t.Errorf("gaps tell of %d events and the books of %d", told, b.Lost)
	}
	news, updates, ends := len(out.synthetic(flow.TypeNew)), len(out.synthetic(flow.TypeUpdate)), len(out.synthetic(flow.TypeDestroy))
	t.Logf("lost %d; inferred %d new, %d update, %d destroy; books %+v", b.Lost, news, updates, ends, b.Track)
	if ends < 1000 || news < 2000 || updates == 0 || b.Track.Synthetic != uint64(news+updates+ends) || b.Track.Contradicted != 0 {
		t.Errorf("inferred %d new, %d update, %d destroy; books %+v", news, updates, ends, b.Track)
	}
	checkSequence(t, out)
	checkStories(t, out, known)
	for _, d := range out.synthetic(flow.TypeDestroy) {
		if d.has&flow.HasStop != 0 || d.close != flow.CloseUnknown {
			t.Fatalf("an inferred end tells what nobody knows: %+v", d)
		}
	}
}

// TestNothingIsInferredWithoutALoss compares dumps while real traffic goes on:
// whatever the kernel tells must agree with what its dumps show.
func TestNothingIsInferredWithoutALoss(t *testing.T) {
	ns := tracked(t)
	out := &keeper{}
	cfg := tracking()
	cfg.Track.Reconcile = minInterval
	r := start(t, ns, cfg, out)
	r.primed(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	churned := make(chan error, 1)
	go func() {
		_, err := testnet.Churn{NS: ns, Entries: 60_000, Update: true, Rate: 30_000, First: 1 << 20}.Run(ctx)
		churned <- err
	}()
	if _, err := (testnet.Mix{NS: ns, Flows: 1500, Over: 3 * time.Second}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-churned
	r.reconciled(t, r.Books()[0].Track.Reconciled+1)
	r.agrees(t, ns)
	ns.Conntrack(t, "-F")
	r.reconciled(t, r.Books()[0].Track.Reconciled+2)
	r.agrees(t, ns)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	b := checkBalanced(t, r.Source)
	t.Logf("books %+v", b)
	if b.Lost != 0 {
		t.Skip("the machine was too busy: events were lost")
	}
	if b.Track.Synthetic != 0 || b.Track.Contradicted != 0 || b.Track.Flows != 0 {
		t.Errorf("inferred without a loss: %+v", b.Track)
		for _, typ := range kernelTypes() {
			for i, s := range out.synthetic(typ) {
				if i < 3 {
					t.Logf("%+v", s)
				}
			}
		}
	}
	checkStories(t, out, nil)
}

// TestFlowsOlderThanTheListener: with nf_conntrack_events=2 the kernel tells
// nothing of them, so only the comparing of dumps finds their end.
func TestFlowsOlderThanTheListener(t *testing.T) {
	ns := tracked(t)
	if err := ns.Sysctl("net.netfilter.nf_conntrack_events", "0"); err != nil {
		t.Fatal(err)
	}
	fillTable(t, ns, 500) // without the extension that events need, whoever listens
	if err := ns.Sysctl("net.netfilter.nf_conntrack_events", "1"); err != nil {
		t.Fatal(err)
	}
	out := &keeper{}
	cfg := tracking()
	cfg.Track.Reconcile = minInterval
	r := start(t, ns, cfg, out)
	r.primed(t)
	before := time.Now().UnixNano()
	if _, err := (testnet.Churn{NS: ns, Entries: 200}).Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ends of silent flows", func() bool { return len(out.synthetic(flow.TypeDestroy)) == 200 })
	checkTracked(t, r, ns)
	for _, d := range out.synthetic(flow.TypeDestroy) {
		if d.until < before || d.has&flow.HasStart == 0 || d.has&flow.HasOrigCounters == 0 {
			t.Fatalf("%+v", d)
		}
	}
	if n := len(out.of(flow.TypeDestroy)); n != 200 {
		t.Errorf("%d ends in all", n)
	}
}

// TestNoUpdatesUnasked tracks without the kernel's updates: what a dump shows changed
// is no lost update.
func TestNoUpdatesUnasked(t *testing.T) {
	ns := tracked(t)
	out := &keeper{}
	cfg := tracking()
	cfg.Events = flow.TypesOf(flow.TypeNew, flow.TypeDestroy)
	cfg.Track.Reconcile = minInterval
	r := start(t, ns, cfg, out)
	r.primed(t)
	fillTable(t, ns, 10)
	markAll(t, ns, 5)
	r.reconciled(t, r.Books()[0].Track.Reconciled+2)
	ns.Conntrack(t, "-F")
	eventually(t, "the ends", func() bool { return len(out.of(flow.TypeDestroy)) == 10 })
	if n, b := len(out.of(flow.TypeUpdate)), r.Books()[0].Track; n != 0 || b.Synthetic != 0 {
		t.Errorf("%d updates; books %+v", n, b)
	}
}
