package source

import (
	"context"
	"log/slog"
	"testing"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// small is a configuration whose buffer any user may have: 6,553 events, more
// than most tests make, so that a busy machine loses none.
func small(receive string) Config {
	c := Default()
	c.Receive = receive
	c.Buffer, c.Max = 8*option.MiB, 8*option.MiB
	return c
}

func checkBalanced(t *testing.T, s *Source) flow.SocketBooks {
	t.Helper()
	books := s.Books()
	for i := range books {
		if !books[i].Balanced() {
			t.Errorf("books do not balance: %+v", books[i])
		}
	}
	return books[0]
}

// checkSequence wants every sequence number once and rising: filters below the
// source leave holes, the source itself none.
func checkSequence(t *testing.T, k *keeper) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, r := range k.records {
		if r.seq != uint64(i+1) {
			t.Fatalf("record %d has sequence number %d", i+1, r.seq)
		}
	}
}

func TestEveryEventIsHandedOn(t *testing.T) { both(t, testEveryEventIsHandedOn) }

func testEveryEventIsHandedOn(t *testing.T, receive string) {
	ns := tracked(t)
	out := &keeper{}
	s := start(t, ns, small(receive), out)
	made, err := testnet.Churn{NS: ns, Entries: 2000, Update: true}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	b := checkBalanced(t, s.Source)
	if b.Lost != 0 || b.Received != uint64(made.Events()) || b.Emitted != b.Received {
		t.Errorf("%d events were made; books %+v", made.Events(), b)
	}
	checkSequence(t, out)
	checkLives(t, out)
	if s := out.of(flow.TypeStatus); len(s) != 2 || s[0].agent.Reason != "start" || s[1].agent.Reason != "stop" {
		t.Errorf("status records: %+v", s)
	}
}

// checkLives wants each flow's events in the order of a life.
func checkLives(t *testing.T, out *keeper) {
	t.Helper()
	last := map[uint64]flow.Type{}
	for _, r := range out.of(kernelTypes()...) {
		if r.flowID == 0 {
			t.Fatalf("event without a flow id: %+v", r)
		}
		if r.src != flow.TimeKernel {
			t.Fatalf("time of a %s is %q: the kernel tells it here", r.typ, r.src)
		}
		if was := last[r.flowID]; r.typ <= was && !(was == flow.TypeUpdate && r.typ == flow.TypeUpdate) {
			t.Fatalf("%s after %s in flow %x", r.typ, was, r.flowID)
		}
		last[r.flowID] = r.typ
		if r.typ == flow.TypeDestroy {
			delete(last, r.flowID)
		}
	}
	if len(last) != 0 {
		t.Errorf("%d flows did not end", len(last))
	}
}

// TestLossIsExact holds the reader up until the kernel drops events, and wants
// every one of them in the books and in gap records.
func TestLossIsExact(t *testing.T) { both(t, testLossIsExact) }

func testLossIsExact(t *testing.T, receive string) {
	ns := tracked(t)
	hold := make(chan struct{})
	out := &keeper{}
	cfg := small(receive)
	cfg.Buffer, cfg.Max = minBuffer, minBuffer
	s := start(t, ns, cfg, out)
	eventually(t, "the first status", func() bool { return len(out.of(flow.TypeStatus)) == 1 })
	wait := func() { <-hold }
	out.slow.Store(&wait)
	made, err := testnet.Churn{NS: ns, Entries: 3000}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	close(hold)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	b := checkBalanced(t, s.Source)
	if b.Lost == 0 || b.Offered != uint64(made.Events()) {
		t.Fatalf("%d events were made; books %+v", made.Events(), b)
	}
	var told uint64
	gaps := out.of(flow.TypeGap)
	if g := gaps[0].gap; g.Scope != "restart" || g.Since != 0 || g.Until == 0 || g.Lost != nil || g.Reason != "not_running" {
		t.Errorf("the first gap, of the start: %+v", g)
	}
	for _, g := range gaps[1:] {
		if g.gap.Scope != "kernel" || g.gap.Source != "host" || g.gap.Lost == nil || g.gap.Since >= g.gap.Until {
			t.Errorf("gap: %+v", g.gap)
			continue
		}
		told += *g.gap.Lost
	}
	if told != b.Lost {
		t.Errorf("gap records tell of %d lost events and the books of %d", told, b.Lost)
	}
	checkSequence(t, out)
}

// TestBufferGrowsBeforeItOverflows holds the reader up while the buffer fills
// to less than its end: what the reader then finds makes it grow, and nothing
// is lost.
func TestBufferGrowsBeforeItOverflows(t *testing.T) { both(t, testBufferGrowsBeforeItOverflows) }

func testBufferGrowsBeforeItOverflows(t *testing.T, receive string) {
	ns := tracked(t)
	hold := make(chan struct{})
	out := &keeper{}
	cfg := small(receive)
	cfg.Buffer, cfg.Max = option.MiB, 8*option.MiB // 819 events
	s := start(t, ns, cfg, out)
	eventually(t, "the first status", func() bool { return len(out.of(flow.TypeStatus)) == 1 })
	wait := func() { <-hold }
	out.slow.Store(&wait)
	if _, err := (testnet.Churn{NS: ns, Entries: 400}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(hold)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	b := checkBalanced(t, s.Source)
	if b.Growths == 0 || b.Buffer <= uint64(option.MiB) || b.Lost != 0 || b.Received != 800 {
		t.Errorf("the buffer did not grow in time: %+v", b)
	}
}

func TestFilterExcludesAndIsCounted(t *testing.T) { both(t, testFilterExcludesAndIsCounted) }

func testFilterExcludesAndIsCounted(t *testing.T, receive string) {
	ns := tracked(t)
	// The kernel cannot tell what is translated: the term is user space's.
	f, err := flow.ParseFilter(map[string]any{"exclude": []any{map[string]any{"proto": "udp", "nat": "none"}}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := small(receive)
	cfg.Filter = f
	out := &keeper{}
	s := start(t, ns, cfg, out)
	made, err := testnet.Mix{NS: ns, Flows: 100}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	b := checkBalanced(t, s.Source)
	var udp int
	for kind, n := range made {
		if kind.Proto == "udp" {
			udp += n
		}
	}
	if b.KernelFilter || b.Refused != nil || b.Excluded < uint64(udp) || len(out.of(flow.TypeNew)) != made.Total()-udp {
		t.Errorf("%d udp of %d flows; %d new told; books %+v", udp, made.Total(), len(out.of(flow.TypeNew)), b)
	}
	checkSequence(t, out)
}

// TestStopReadsToTheEnd stops in the middle of a load: what the kernel had
// offered when the groups were left is handed on, and nothing stays queued.
func TestStopReadsToTheEnd(t *testing.T) { both(t, testStopReadsToTheEnd) }

func testStopReadsToTheEnd(t *testing.T, receive string) {
	ns := tracked(t)
	out := &keeper{}
	s := start(t, ns, small(receive), out)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	loaded := make(chan error, 1)
	go func() {
		_, err := testnet.Churn{NS: ns, Entries: 100_000, Rate: 100_000}.Run(ctx)
		loaded <- err
	}()
	eventually(t, "some events", func() bool { return len(out.of(flow.TypeNew)) > 5000 })
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-loaded
	if b := checkBalanced(t, s.Source); b.Queued != 0 || b.Emitted < 5000 {
		t.Errorf("books after the stop: %+v", b)
	}
}

func TestWantsChangesTheGroups(t *testing.T) { both(t, testWantsChangesTheGroups) }

func testWantsChangesTheGroups(t *testing.T, receive string) {
	ns := tracked(t)
	out := &keeper{}
	s := start(t, ns, small(receive), out)
	if err := s.Wants(flow.TypesOf(flow.TypeDestroy)); err != nil {
		t.Fatal(err)
	}
	if _, err := (testnet.Churn{NS: ns, Entries: 100}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ends", func() bool { return len(out.of(flow.TypeDestroy)) == 100 })
	if n := len(out.of(flow.TypeNew, flow.TypeUpdate)); n != 0 {
		t.Errorf("%d events of a type that nobody wants", n)
	}
}

// TestDumpsAlone: where no sink wants the kernel's events, the table is read all the same.
func TestDumpsAlone(t *testing.T) {
	ns := tracked(t)
	fillTable(t, ns, 10)
	cfg, out := small("socket"), &keeper{}
	cfg.Dump.AtStart = true
	s, err := newIn(namespace{path: ns.Path()}, cfg, Identity{}, flow.TypesOf(flow.TypeDump), out, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	eventually(t, "the rows", func() bool { return len(out.of(flow.TypeDump)) == 10 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
