package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// overflowConfig is a spool that is used once memory is full.
func overflowConfig(t testing.TB) SpoolConfig {
	cfg := storeConfig(t)
	cfg.Mode, cfg.Max, cfg.Memory = SpoolOverflow, 64*option.MiB, 32*option.MiB
	return cfg
}

// little gives a sink as little memory as a test can fill at once.
func little(change func(*Config)) func(*Config) {
	return func(c *Config) {
		c.Memory, c.Flush = 384*option.KiB, Flush{Count: 512, Bytes: 64 * option.KiB, Linger: time.Millisecond}
		if change != nil {
			change(c)
		}
	}
}

// frames is how many frames the house's spool was ever given.
func (h *house) frames() uint64 {
	h.t.Helper()
	st, err := h.store.Status()
	if err != nil {
		h.t.Fatal(err)
	}
	return st.Frames
}

// lag is what waits on disk under a name.
func (h *house) lag(name string) uint64 {
	h.t.Helper()
	st, err := h.store.Status()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, c := range st.Cursors {
		if c.Name == name {
			return c.Lag.Records
		}
	}
	return 0
}

// TestOverflowKeepsToMemory has sinks that keep up: nothing goes to disk, and
// what arrives is what arrives without a spool.
func TestOverflowKeepsToMemory(t *testing.T) {
	h := build(t, overflowConfig(t), tastes()...).write().read()
	var outlets []*Outlet
	var direct []*script
	for i, taste := range tastes() {
		sink := &script{}
		direct = append(direct, sink)
		outlets = append(outlets, outletFor(t, fmt.Sprint("s", i), sink, func(c *Config) {
			if taste != nil {
				taste(c)
			}
			c.Memory = 16 * option.MiB
		}))
	}
	memory := NewFanout(outlets...)
	takeRandom(memory, 1, 10000)
	takeRandom(h.fanout, 1, 10000)
	drainAll(t, outlets...)
	h.waitFor()
	if n := h.frames(); n != 0 {
		t.Errorf("%d frames on disk", n)
	}
	h.close()
	for i, sink := range h.sinks {
		if !slices.Equal(sink.got, direct[i].got) || !slices.EqualFunc(sink.values, direct[i].values, bytes.Equal) {
			t.Errorf("s%d: %d records, expected %d", i, len(sink.got), len(direct[i].got))
		}
		n := uint64(len(direct[i].got))
		checkBooks(t, h.outlets[i], flow.SinkBooks{Offered: n, Delivered: n})
	}
}

// TestOverflowSpillsAndEbbs has one sink that stops and goes on, beside one
// that does not: the first one's records go to disk once its memory is full, all
// arrive in their order, and then it is memory again. The other is not on disk.
func TestOverflowSpillsAndEbbs(t *testing.T) {
	h := build(t, overflowConfig(t), little(nil), nil)
	var stuck atomic.Bool
	h.sinks[0].write = func(ctx context.Context, _ int, _ *Batch) error {
		for stuck.Load() && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return ctx.Err()
	}
	h.write().read()
	for round := range uint64(4) {
		first := 1 + round*6000
		before := h.frames()
		takeRandom(h.fanout, first, first+500)
		h.waitFor()
		if n := h.frames(); n != before {
			t.Fatalf("round %d: %d frames although all keep up", round, n-before)
		}
		stuck.Store(true)
		takeRandom(h.fanout, first+501, first+5000)
		for h.outlets[1].Books().Held > 0 {
			time.Sleep(time.Millisecond)
		}
		if b := h.outlets[0].Books(); h.frames() == before || b.DroppedTotal() != 0 || h.lag("s1") != 0 || h.lag("s0") >= b.Held {
			t.Fatalf("round %d: %d frames, %d and %d behind on disk, books %+v", round, h.frames(), h.lag("s0"), h.lag("s1"), b)
		}
		stuck.Store(false)
		h.waitFor()
		deadline := time.Now().Add(20 * time.Second)
		for h.outlets[0].overflow.spills() {
			if time.Now().After(deadline) {
				t.Fatal("it does not go back to memory")
			}
			time.Sleep(time.Millisecond)
		}
		takeRandom(h.fanout, first+5001, first+5999)
		h.waitFor()
	}
	h.close()
	for i, sink := range h.sinks {
		n := uint64(len(sink.got))
		checkBooks(t, h.outlets[i], flow.SinkBooks{Offered: n, Delivered: n})
		if !slices.IsSorted(sink.got) || len(slices.Compact(slices.Clone(sink.got))) != len(sink.got) {
			t.Errorf("s%d: out of order, or twice", i)
		}
	}
	if !slices.EqualFunc(h.sinks[0].values, h.sinks[1].values, bytes.Equal) {
		t.Error("not the same bytes")
	}
}

// TestOverflowOrder has sinks with random pauses, batches of random sizes and
// taken in random steps, and stops at random moments with whatever is where it
// is: over all runs each sink gets each record once and in order.
func TestOverflowOrder(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			overflowOrder(t, rand.New(rand.NewPCG(seed, 11)))
		})
	}
}

func overflowOrder(t *testing.T, r *rand.Rand) {
	cfg := overflowConfig(t)
	taste := func(c *Config) {
		c.Events, c.Drain = append(c.Events, Event(flow.TypeDump)), 20*time.Millisecond
		c.Flush.Count = 100 + r.IntN(900)
	}
	tastes := []func(*Config){little(taste), little(func(c *Config) { taste(c); c.Encoding = "xml"; c.Omit = []string{"mark", "flow_id"} }),
		little(func(c *Config) { taste(c); c.Encoding, c.Filter = "protobuf", oddStored{} })}
	got, last := make([][]uint64, len(tastes)), uint64(0)
	spilled, poured := false, false
	runs := 6
	for run := range runs {
		h := build(t, cfg, tastes...)
		for i, o := range h.outlets {
			if b := o.Books(); b.Recovered != b.Held || run == 0 && b.Held != 0 {
				t.Fatalf("s%d: books %+v", i, b)
			}
		}
		frozen := r.IntN(4) // a sink that takes nothing in this run, if there is one of the number
		for i, sink := range h.sinks {
			pace := rand.New(rand.NewPCG(r.Uint64(), 0))
			sink.write = func(ctx context.Context, _ int, _ *Batch) error {
				if i == frozen && run < runs-1 {
					<-ctx.Done()
				}
				if pace.IntN(4) == 0 {
					time.Sleep(time.Duration(pace.IntN(6000)) * time.Microsecond)
				}
				return ctx.Err()
			}
		}
		h.write().read()
		for range r.IntN(40) {
			n := uint64(1 + r.IntN(600))
			takeRandom(h.fanout, last+1, last+n)
			last += n
			time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
		}
		if run == runs-1 {
			h.waitFor()
		}
		spilled = spilled || h.frames() > 0
		h.close()
		for i, sink := range h.sinks {
			got[i] = append(got[i], sink.got...)
			if b := h.outlets[i].Books(); b.DroppedTotal() != 0 || b.Delivered != uint64(len(sink.got)) {
				t.Fatalf("s%d: books %+v, %d delivered", i, b, len(sink.got))
			}
			poured = poured || h.store.spool.Has(remainderOf(h.outlets[i].Name()))
		}
	}
	for i := range got {
		want := upTo(last)
		if i == 2 {
			want = got[2] // the filter passes odd ones, and gaps
			for seq := uint64(1); seq <= last; seq += 2 {
				if _, found := slices.BinarySearch(want, seq); !found {
					t.Fatalf("s2 misses %d", seq)
				}
			}
		}
		if !slices.Equal(got[i], want) || !slices.IsSorted(want) || len(slices.Compact(slices.Clone(want))) != len(want) {
			t.Errorf("s%d: %d records of %d, the first that differs is at %d", i, len(got[i]), last, firstDifference(got[i], want))
		}
	}
	t.Logf("%d records, spilled %v, poured %v", last, spilled, poured)
}

func firstDifference(a, b []uint64) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// TestOverflowStop stops with a sink that takes nothing: what was in memory is
// older than what is on disk, and is delivered before it by the next run, as it
// was, though the projection has left out what keys it.
func TestOverflowStop(t *testing.T) {
	for _, spills := range []bool{false, true} {
		for _, format := range []string{"json", "xml", "protobuf"} {
			t.Run(fmt.Sprint(format, " spills ", spills), func(t *testing.T) { overflowStop(t, format, spills) })
		}
	}
}

func overflowStop(t *testing.T, format string, spills bool) {
	cfg := overflowConfig(t)
	last := uint64(400)
	if spills {
		last = 5000
	}
	taste := little(func(c *Config) {
		c.Drain, c.Encoding, c.Omit, c.Filter = 10*time.Millisecond, format, []string{"flow_id", "mark"}, everything{}
	})
	witness := func(c *Config) { c.Encoding, c.Omit, c.Filter = format, []string{"flow_id", "mark"}, everything{} }
	h := build(t, cfg, taste, witness)
	var keys []uint64
	h.sinks[0].write = func(ctx context.Context, _ int, _ *Batch) error { <-ctx.Done(); return ctx.Err() }
	h.sinks[1].write = func(_ context.Context, _ int, b *Batch) error { keys = append(keys, keysOf(b)...); return nil }
	h.write().read()
	takeRandom(h.fanout, 1, last)
	for h.outlets[1].Books().Held > 0 {
		time.Sleep(time.Millisecond)
	}
	if (h.frames() > 0) != spills {
		t.Fatalf("%d frames", h.frames())
	}
	h.close()
	held := h.outlets[0].Books()
	if held.Held != held.Offered || held.DroppedTotal() != 0 {
		t.Fatalf("books %+v", held)
	}
	want := h.sinks[1]

	h = build(t, cfg, taste, witness)
	var again []uint64
	h.sinks[0].write = func(_ context.Context, _ int, b *Batch) error { again = append(again, keysOf(b)...); return nil }
	if b := h.outlets[0].Books(); b.Recovered != held.Held || b.Held != held.Held {
		t.Fatalf("books %+v of %d", b, held.Held)
	}
	h.write().read()
	takeRandom(h.fanout, last+1, last+100)
	h.waitFor()
	h.close()
	got := h.sinks[0]
	if n := len(want.got); !slices.Equal(got.got[:n], want.got) || !slices.EqualFunc(got.values[:n], want.values, bytes.Equal) || !slices.Equal(again[:n], keys) {
		t.Errorf("%d records of %d, the first that differs is at %d", len(got.got), n, firstDifference(got.got, want.got))
	}
	if h.store.spool.Has(remainderOf("s0")) || !slices.IsSorted(got.got) {
		t.Error("out of order, or a place is left behind")
	}
}

// everything is a filter that looks at what a projection may have left out.
type everything struct{}

func (everything) Match(e *flow.Event) bool {
	return e.Got(flow.HasMark) || flow.AlwaysTypes.Has(e.Type)
}

func keysOf(b *Batch) (keys []uint64) {
	for i := range b.Records {
		keys = append(keys, b.Records[i].FlowID)
	}
	return keys
}

// TestOverflowReload replaces an outlet that is stuck, spills or keeps to
// memory while batches come in: nothing is lost, twice or out of order.
func TestOverflowReload(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			overflowReload(t, rand.New(rand.NewPCG(seed, 13)))
		})
	}
}

func overflowReload(t *testing.T, r *rand.Rand) {
	taste := little(func(c *Config) { c.Drain = time.Duration(1+r.IntN(20)) * time.Millisecond })
	h := build(t, overflowConfig(t), taste, nil).write()
	var got, last = []uint64(nil), uint64(0)
	stuck := func(sink *script) {
		calls := 1 + r.IntN(3)
		if r.IntN(3) == 0 {
			calls = 1 << 30
		}
		sink.write = func(ctx context.Context, try int, _ *Batch) error {
			if try < calls {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
	}
	stuck(h.sinks[0])
	h.read()
	take := func() {
		for range 1 + r.IntN(12) {
			n := uint64(1 + r.IntN(600))
			takeRandom(h.fanout, last+1, last+n)
			last += n
			time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
		}
	}
	for round := range 6 {
		take()
		before, sink := h.outlets[0], &script{}
		c := before.Config()
		c.Options = scriptOptions{sink}
		if round < 5 {
			stuck(sink)
		}
		o, err := NewStoredOutlet(c, "node-1", [16]byte{1}, h.store, before, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		take()
		h.fanout.Swap(o, h.outlets[1])
		take()
		if err := h.stops[0](); err != nil {
			t.Fatal(err)
		}
		got = append(got, h.sinks[0].got...)
		take()
		h.outlets[0], h.sinks[0], h.stops[0] = o, sink, start(o)
	}
	take()
	h.waitFor()
	h.close()
	got = append(got, h.sinks[0].got...)
	if want := h.sinks[1].got; !slices.Equal(got, want) {
		t.Errorf("%d records of %d, the first that differs is at %d", len(got), len(want), firstDifference(got, want))
	}
	n := uint64(len(got))
	checkBooks(t, h.outlets[0], flow.SinkBooks{Offered: n, Delivered: n})
}

// TestOverflowDiskTakesNothing has no room on the disk for what memory does not
// hold: it is dropped, counted and told, and what is in memory at a stop too.
func TestOverflowDiskTakesNothing(t *testing.T) {
	cfg := overflowConfig(t)
	h := build(t, cfg, nil) // so that there are segments
	h.store.Close()
	cfg.MinFree = 1 << 19 * option.GiB
	h = build(t, cfg, little(func(c *Config) { c.Drain = 10 * time.Millisecond }))
	var stuck atomic.Bool
	stuck.Store(true)
	h.sinks[0].write = func(ctx context.Context, _ int, _ *Batch) error {
		for stuck.Load() && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return ctx.Err()
	}
	h.write().read()
	takeRandom(h.fanout, 1, 5000)
	for dropped(h.outlets[0].Books(), dropDisk) == 0 || h.outlets[0].overflow.valve.busy() {
		time.Sleep(time.Millisecond)
	}
	lost := dropped(h.outlets[0].Books(), dropDisk)
	stuck.Store(false)
	h.waitFor()
	for h.outlets[0].overflow.spills() {
		time.Sleep(time.Millisecond)
	}
	takeRandom(h.fanout, 5001, 5100)
	h.waitFor()
	stuck.Store(true)
	takeRandom(h.fanout, 5101, 5300)
	time.Sleep(10 * time.Millisecond)
	h.close()
	b, sink := h.outlets[0].Books(), h.sinks[0]
	if gap := sink.lostInGaps(t, "s0"); gap != lost || dropped(b, dropDisk) != lost {
		t.Errorf("gaps tell of %d, %d were lost", gap, lost)
	}
	if dropped(b, dropShutdown) == 0 || b.Held != 0 || b.Delivered != uint64(len(sink.got)) || !slices.IsSorted(sink.got) {
		t.Errorf("books %+v, %d records", b, len(sink.got))
	}
}

func (v *valve) busy() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.underway > 0
}

// TestOverflowStuckForGood has a sink that never comes back: what was in memory
// is written off, what is on disk is not.
func TestOverflowStuckForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, overflowConfig(t), little(func(c *Config) { c.Drain = time.Minute }))
		free := make(chan struct{})
		h.sinks[0].write = func(context.Context, int, *Batch) error { <-free; return nil }
		h.write().read()
		takeRandom(h.fanout, 1, 5000)
		h.end()
		if err := h.stops[0](); err == nil || !strings.Contains(err.Error(), ErrStuck.Error()) {
			t.Errorf("%v", err)
		}
		b := h.outlets[0].Books()
		if dropped(b, dropShutdown) == 0 || b.Held == 0 || b.Held != h.lag("s0") || !b.Balanced() {
			t.Errorf("%d on disk, books %+v", h.lag("s0"), b)
		}
		close(free)
		synctest.Wait()
		if again := h.outlets[0].Books(); again.Held != b.Held || again.DroppedTotal() != b.DroppedTotal() || again.Delivered != 0 {
			t.Errorf("books %+v, then %+v", b, again)
		}
		h.store.Close()
	})
}

// TestOverflowName refuses a sink whose remainder could not be named.
func TestOverflowName(t *testing.T) {
	s, err := OpenStore(overflowConfig(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := NewConfig(strings.Repeat("n", 60), "stdout")
	if err != nil {
		t.Fatal(err)
	}
	c.Options = scriptOptions{&script{}}
	if _, err := NewStoredOutlet(c, "node-1", [16]byte{1}, s, nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "expected 57 bytes at most") {
		t.Errorf("%v", err)
	}
}

// busyDecoder does something else before it decodes its first record.
type busyDecoder struct {
	encode.Decoder
	first func()
}

func (d *busyDecoder) Decode(b *flow.Batch, record []byte) error {
	if f := d.first; f != nil {
		d.first = nil
		f()
	}
	return d.Decoder.Decode(b, record)
}

// TestOverflowReaderGone has a sink end by itself while events still come: what was in
// memory is left to the next run as it was, and so is what comes later.
func TestOverflowReaderGone(t *testing.T) {
	taste := little(func(c *Config) { c.Events = append(c.Events, Event(flow.TypeDump)) })
	h := build(t, overflowConfig(t), taste)
	h.sinks[0].write = func(context.Context, int, *Batch) error { return ErrReaderGone }
	o := h.outlets[0]
	decoder := o.format.NewToldDecoder
	o.format.NewToldDecoder = func() encode.Decoder {
		return &busyDecoder{decoder(), func() { takeRandom(h.fanout, 401, 800) }}
	}
	takeRandom(h.fanout, 1, 400)
	h.write()
	if err := o.Run(context.Background()); !errors.Is(err, ErrReaderGone) {
		t.Fatalf("Run gave %v", err)
	}
	takeRandom(h.fanout, 801, 1200)
	h.end()
	b := o.Books()
	if waits := h.lag("s0") + h.lag(remainderOf("s0")); b.Held != waits || b.Offered != 1200 || !b.Balanced() {
		t.Errorf("%d on disk, books %+v", waits, b)
	}
	must(t, h.store.Close())
	h = build(t, h.store.cfg, taste).write().read()
	h.waitFor()
	h.close()
	if got := h.sinks[0].got; len(got) != 1200 || firstDifference(got, upTo(1200)) != 1200 {
		t.Errorf("%d records, the first that differs is at %d", len(got), firstDifference(got, upTo(1200)))
	}
}
