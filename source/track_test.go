package source

import (
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestRecurringFlows lets every flow of a full table end and begin again, with
// the same tuple and so the same id, while the reader stands still: a session
// ends before the next one of its name begins.
func TestRecurringFlows(t *testing.T) {
	ns := tracked(t)
	out := &keeper{}
	cfg := tracking()
	cfg.Buffer, cfg.Max = minBuffer, minBuffer
	flows := testnet.Churn{NS: ns, Entries: 1500, Keep: true, Timeout: time.Hour}
	r := start(t, ns, cfg, out)
	r.primed(t)
	if _, err := flows.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the flows", func() bool { return len(out.of(flow.TypeNew)) == 1500 })
	release := r.stall()
	if _, err := (testnet.Churn{NS: ns, Entries: 2000, First: 1 << 20}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := flows.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := flows.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	release()
	r.reconciled(t, 2)
	// The first half once more, while the reader reads: real ends of what was inferred.
	again := flows
	again.Entries = 700
	if _, err := again.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := r.Books()[0].Track.Reconciled
	eventually(t, "the last events", func() bool { return r.Books()[0].Queued == 0 && len(trackedOf(r)) == 1500 })
	time.Sleep(50 * time.Millisecond)
	checkTracked(t, r, ns)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	b := checkBalanced(t, r.Source)
	ends, news := len(out.synthetic(flow.TypeDestroy)), len(out.synthetic(flow.TypeNew))
	t.Logf("lost %d, after %d dumps; inferred %d ends and %d beginnings; books %+v", b.Lost, n, ends, news, b.Track)
	if ends < 1400 || news < 1400 || b.Track.Contradicted != 0 {
		t.Errorf("inferred %d ends and %d beginnings; books %+v", ends, news, b.Track)
	}
	checkStories(t, out, nil)
	checkSequence(t, out)
}

// TestTrackAtItsBound has more flows than may be tracked: it is counted and said,
// and nothing wrong is told.
func TestTrackAtItsBound(t *testing.T) {
	ns := tracked(t)
	out := &keeper{}
	cfg := tracking()
	cfg.Track.MaxFlows, cfg.Track.Reconcile = minFlows, minInterval
	fillTable(t, ns, 1500)
	r := start(t, ns, cfg, out)
	r.primed(t)
	if _, err := (testnet.Churn{NS: ns, First: 2000, Entries: 500, Keep: true}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the flows", func() bool { return len(out.of(flow.TypeNew)) == 500 })
	if b := r.Books()[0].Track; b.Flows != minFlows || b.Untracked == 0 || b.Max != minFlows {
		t.Errorf("books %+v", b)
	}
	r.Status("interval")
	statuses := out.of(flow.TypeStatus)
	if w := statuses[len(statuses)-1].agent.Warnings; len(w) == 0 {
		t.Error("no warning")
	}
	ns.Conntrack(t, "-F")
	eventually(t, "the ends", func() bool { return len(out.of(flow.TypeDestroy)) == 2000 })
	r.reconciled(t, r.Books()[0].Track.Reconciled+1)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if b := checkBalanced(t, r.Source); b.Track.Synthetic != 0 || b.Track.Flows != 0 {
		t.Errorf("books %+v", b)
	}
}

// TestNoRowTrailsItsEnd dumps while flows end: no row comes after its flow's destroy.
func TestNoRowTrailsItsEnd(t *testing.T) {
	ns := tracked(t)
	out := &keeper{}
	cfg := tracking()
	cfg.Dump.AtStart, cfg.Dump.Interval = true, minInterval
	r := start(t, ns, cfg, out)
	r.primed(t)
	if _, err := (testnet.Churn{NS: ns, Entries: 90_000, Rate: 30_000, Update: true}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	ended := map[uint64]bool{}
	rows := 0
	for _, e := range out.of(flow.TypeNew, flow.TypeDestroy, flow.TypeDump) {
		switch {
		case e.typ == flow.TypeDump && ended[e.flowID]:
			t.Fatalf("a row trails its flow's end: %+v", e)
		case e.typ == flow.TypeDump:
			rows++
		}
		ended[e.flowID] = e.typ == flow.TypeDestroy
	}
	b := checkBalanced(t, r.Source)
	t.Logf("%d rows, %d suppressed; books %+v", rows, b.Track.Suppressed, b)
	if b.Lost == 0 && b.Track.Synthetic != 0 {
		t.Errorf("books %+v", b.Track)
	}
	checkSequence(t, out)
}

// TestReliableAndTracked: an end that the kernel keeps is not inferred as well.
func TestReliableAndTracked(t *testing.T) {
	ns := tracked(t)
	out := &keeper{}
	cfg := tracking()
	cfg.Buffer, cfg.Max, cfg.Reliable = minBuffer, minBuffer, true
	fillTable(t, ns, 3000)
	r := start(t, ns, cfg, out)
	r.primed(t)
	release := r.stall()
	if _, err := (testnet.Churn{NS: ns, Entries: 3000}).Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	release()
	eventually(t, "all ends", func() bool { return len(out.of(flow.TypeDestroy)) >= 3000 })
	r.reconciled(t, 2)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	b := checkBalanced(t, r.Source)
	if n := len(out.of(flow.TypeDestroy)); n != 3000 || len(out.synthetic(flow.TypeDestroy)) != 0 || b.Track.Contradicted != 0 {
		t.Errorf("%d ends of 3000; books %+v", n, b)
	}
	checkStories(t, out, nil)
}

// TestTrackingReadsWhatNoSinkWants: a sink that wants ends alone is enough.
func TestTrackingReadsWhatNoSinkWants(t *testing.T) {
	ns := tracked(t)
	out := &keeper{}
	r := start(t, ns, tracking(), out)
	if err := r.Wants(flow.TypesOf(flow.TypeDestroy)); err != nil {
		t.Fatal(err)
	}
	r.primed(t)
	fillTable(t, ns, 100)
	eventually(t, "the flows", func() bool { return r.Books()[0].Track.Flows == 100 })
}
