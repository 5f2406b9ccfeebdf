package sinks

import (
	"context"
	"testing"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// TestStoreTellsLossesLater has a sink that takes nothing while the spool drops
// segments, and stops: what is held is what the next run recovers, and that one
// tells the sink of every record that was lost.
func TestStoreTellsLossesLater(t *testing.T) {
	cfg := storeConfig(t)
	h := build(t, cfg, func(c *Config) { c.Drain = 50 * time.Millisecond }, nil)
	h.sinks[0].write = func(ctx context.Context, _ int, _ *Batch) error {
		<-ctx.Done()
		return ctx.Err()
	}
	h.write().read()
	for first := uint64(1); first < 60000; first += 1000 {
		takeRandom(h.fanout, first, first+999)
		for h.outlets[1].Books().Held > 0 {
			time.Sleep(time.Millisecond) // this one keeps up
		}
	}
	h.close()
	b := h.outlets[0].Books()
	lost := dropped(b, dropSpool)
	if lost == 0 || lost != b.DroppedTotal() || b.Held == 0 {
		t.Fatalf("books %+v", b)
	}

	h = build(t, cfg, nil, nil).write().read()
	h.waitFor()
	h.close()
	again := h.outlets[0].Books()
	if again.Recovered != b.Held || again.Delivered != b.Held || again.DroppedTotal() != 0 {
		t.Errorf("%d were held, then books %+v", b.Held, again)
	}
	if told := h.sinks[0].lostInGaps(t, "s0"); told != lost {
		t.Errorf("gaps tell of %d, %d were lost", told, lost)
	}
	if n := len(h.sinks[1].got); n != 0 {
		t.Errorf("the other sink got %d records", n)
	}
}

// TestStoreRetires removes a sink for good: what waited for it is in its books.
func TestStoreRetires(t *testing.T) {
	cfg := storeConfig(t)
	h := build(t, cfg, func(c *Config) { c.Drain = 10 * time.Millisecond }, nil)
	h.sinks[0].write = func(ctx context.Context, _ int, _ *Batch) error {
		<-ctx.Done()
		return ctx.Err()
	}
	h.write().read()
	takeRandom(h.fanout, 1, 1000)
	h.fanout.Swap(h.outlets[1])
	if err := h.stops[0](); err != nil {
		t.Fatal(err)
	}
	if err := h.store.Retire(h.outlets[0]); err != nil {
		t.Fatal(err)
	}
	takeRandom(h.fanout, 1001, 1100)
	h.stops = h.stops[1:]
	h.waitFor()
	h.close()
	b := h.outlets[0].Books()
	checkBooks(t, h.outlets[0], flow.SinkBooks{Offered: b.Offered, Dropped: []flow.Drop{{Reason: dropShutdown.String(), Count: b.Offered}}})
	h = build(t, cfg, nil, nil)
	if b := h.outlets[0].Books(); b.Held != 0 || b.Recovered != 0 {
		t.Errorf("it is recovered: %+v", b)
	}
	h.close()
}
