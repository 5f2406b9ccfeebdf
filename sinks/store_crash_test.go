package sinks

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/option"
)

// died copies a spool that is in use, as a death of the process would leave it.
func died(t *testing.T, cfg SpoolConfig) SpoolConfig {
	t.Helper()
	from := cfg.Dir
	cfg.Dir = filepath.Join(t.TempDir(), "spool")
	if err := os.CopyFS(cfg.Dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestStoreGapSurvivesDeath has a sink that takes nothing while the spool drops
// segments, and a process that dies before it has told the sink of that, and
// once more when it has: the next one tells it, the one after that does not.
func TestStoreGapSurvivesDeath(t *testing.T) {
	cfg := storeConfig(t)
	h := build(t, cfg, func(c *Config) { c.Drain = time.Millisecond }, nil)
	h.sinks[0].write = func(ctx context.Context, _ int, _ *Batch) error { <-ctx.Done(); return ctx.Err() }
	h.write().read()
	for first := uint64(1); first < 40000; first += 1000 {
		takeRandom(h.fanout, first, first+999)
		for h.outlets[1].Books().Held > 0 {
			time.Sleep(time.Millisecond) // this one keeps up
		}
	}
	if dropped(h.outlets[0].Books(), dropSpool) == 0 {
		t.Fatal("nothing was dropped")
	}
	first := died(t, cfg)
	all := len(h.sinks[1].delivered())
	h.close()

	h = build(t, first, nil, nil)
	st, err := h.store.Status()
	if err != nil {
		t.Fatal(err)
	}
	lost := st.Cursors[0].Losses.Dropped.Records
	h.write().read()
	h.waitFor()
	second := died(t, first)
	h.close()
	b, sink := h.outlets[0].Books(), h.sinks[0]
	if told := sink.lostInGaps(t, "s0"); told != lost || len(sink.got)-1+int(lost) != all || b.DroppedTotal() != 0 {
		t.Errorf("gaps tell of %d, %d were lost; %d records of %d; books %+v", told, lost, len(sink.got), all, b)
	}
	if !slices.IsSorted(sink.got) || len(h.sinks[1].got) != 0 {
		t.Errorf("out of order, or %d records for the other sink", len(h.sinks[1].got))
	}

	h = build(t, second, nil, nil).write().read()
	takeRandom(h.fanout, 50001, 50100)
	h.waitFor()
	h.close()
	if told := h.sinks[0].lostInGaps(t, "s0"); told != 0 {
		t.Errorf("it is told of %d again", told)
	}
}

// TestStoreRefusedSurvivesDeath has a disk that takes nothing, a sink that is
// stuck, and a process that dies: the next one tells of what was refused.
func TestStoreRefusedSurvivesDeath(t *testing.T) {
	cfg := storeConfig(t)
	h := build(t, cfg, func(c *Config) { c.Drain = time.Millisecond })
	h.sinks[0].write = func(ctx context.Context, _ int, _ *Batch) error { <-ctx.Done(); return ctx.Err() }
	h.write().read()
	takeRandom(h.fanout, 1, 1000)
	h.close()
	cfg.MinFree = 1 << 19 * option.GiB
	h = build(t, cfg, func(c *Config) { c.Drain = time.Millisecond })
	h.sinks[0].write = func(ctx context.Context, _ int, _ *Batch) error { <-ctx.Done(); return ctx.Err() }
	h.write().read()
	takeRandom(h.fanout, 1001, 2000)
	h.end() // when all of that has been refused
	h.end = nil
	if err := h.store.spool.Remove("nobody"); err != nil { // which saves the cursors, as happens once a second
		t.Fatal(err)
	}
	cfg.MinFree = 0
	dead := died(t, cfg)
	h.close()
	h = build(t, dead, nil)
	st, err := h.store.Status()
	if err != nil {
		t.Fatal(err)
	}
	was := st.Cursors[0].Losses // what stood on disk went first, to make room
	lost := was.Dropped.Records + was.Refused.Records
	h.write().read()
	h.waitFor()
	h.close()
	if told := h.sinks[0].lostInGaps(t, "s0"); was.Refused.Records == 0 || told != lost || len(h.sinks[0].got) != 1 {
		t.Errorf("gaps tell of %d, lost were %+v, %d records", told, was, len(h.sinks[0].got))
	}
}

// TestStoreDeathRepeatsABatch lets a process die whenever the sink has been
// given a batch, and starts the next from what it leaves, many times: of all
// that, only what was under way at a death comes again, whatever had been
// acknowledged a moment before.
func TestStoreDeathRepeatsABatch(t *testing.T) {
	for _, mode := range []SpoolMode{SpoolAlways, SpoolOverflow} {
		t.Run(string(mode), func(t *testing.T) { deathRepeatsABatch(t, mode) })
	}
}

func deathRepeatsABatch(t *testing.T, mode SpoolMode) {
	cfg := storeConfig(t)
	cfg.Mode, cfg.Max = mode, 64*option.MiB
	taste := func(c *Config) { c.Flush.Count, c.Drain = 300, time.Millisecond }
	h := build(t, cfg, taste)
	if mode == SpoolOverflow {
		h.outlets[0].overflow.spilling = true // as if memory had been full before
	}
	h.write()
	takeRandom(h.fanout, 1, 5000)
	h.end()
	h.end = nil
	all := int(h.outlets[0].Books().Offered)
	times := map[uint64]int{}
	for death := range 8 {
		var next SpoolConfig
		var dead atomic.Bool
		sink, batches := h.sinks[0], 1+death%3
		sink.write = func(ctx context.Context, try int, b *Batch) error {
			if try > batches {
				<-ctx.Done()
				return ctx.Err()
			}
			for i := range b.Records {
				times[b.Records[i].Seq]++
			}
			if try == batches { // it has them, and dies before it says so
				next = died(t, cfg)
				dead.Store(true)
			}
			return nil
		}
		h.read()
		for !dead.Load() {
			time.Sleep(time.Millisecond)
		}
		h.close()
		cfg = next
		h = build(t, cfg, taste)
	}
	h.sinks[0].write = func(_ context.Context, _ int, b *Batch) error {
		for i := range b.Records {
			times[b.Records[i].Seq]++
		}
		return nil
	}
	h.write().read()
	h.waitFor()
	h.close()
	repeats, most := 0, 0
	for _, n := range times {
		repeats, most = repeats+n-1, max(most, n)
	}
	// Batches of one are repeated by each death that comes while they are under way.
	if len(times) != all || all < 3000 || repeats > 8*300 || most > 3 {
		t.Errorf("%d records, %d repeats, one came %d times", len(times), repeats, most)
	}
	t.Logf("%d records, 8 deaths, %d repeats, one came %d times at most", len(times), repeats, most)
}
