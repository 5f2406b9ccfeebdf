package sinks

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks/spool"
	"github.com/ctferry/ctferry/source/flow"
)

func storeConfig(t testing.TB) SpoolConfig {
	c := NewSpoolConfig()
	c.Mode, c.Dir, c.Memory = SpoolAlways, t.TempDir(), 2*option.MiB
	c.Segment, c.Max, c.MinFree, c.Sync = 256*option.KiB, option.MiB, 0, spool.SyncNone
	c.Compress = spool.CompressNone
	return c
}

// house is a store with its fanout and outlets, and what runs of them.
type house struct {
	t       testing.TB
	store   *Store
	fanout  *Fanout
	outlets []*Outlet
	sinks   []*script
	stops   []func() error
	end     func()
}

// build opens the store and makes an outlet for each change of a configuration.
func build(t testing.TB, cfg SpoolConfig, changes ...func(*Config)) *house {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStore(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, store: s}
	for i, change := range changes {
		sink := &script{}
		c, err := NewConfig(fmt.Sprint("s", i), "stdout")
		if err != nil {
			t.Fatal(err)
		}
		c.Options, c.Retry = scriptOptions{sink}, Backoff{Initial: time.Millisecond, Max: 5 * time.Millisecond}
		if change != nil {
			change(&c)
		}
		o, err := NewStoredOutlet(c, "node-1", [16]byte{1}, s, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		h.outlets, h.sinks = append(h.outlets, o), append(h.sinks, sink)
	}
	h.fanout = NewStoredFanout(s, h.outlets...)
	return h
}

// write runs the store.
func (h *house) write() *house {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.store.Run(ctx); err != nil {
			h.t.Error(err)
		}
	})
	h.end = func() { cancel(); wg.Wait() }
	return h
}

// read runs the outlets.
func (h *house) read() *house {
	for _, o := range h.outlets {
		h.stops = append(h.stops, start(o))
	}
	return h
}

// close ends all in the service's order, and wants balanced books.
func (h *house) close() {
	h.t.Helper()
	if h.end != nil {
		h.end()
	}
	for _, stop := range h.stops {
		if err := stop(); err != nil {
			h.t.Error(err)
		}
	}
	if err := h.store.Close(); err != nil {
		h.t.Error(err)
	}
	for _, o := range h.outlets {
		if b := o.Books(); !b.Balanced() {
			h.t.Errorf("books do not balance: %+v", b)
		}
	}
}

// takeRandom takes batches of random events, numbered from first.
func takeRandom(f *Fanout, first, last uint64) {
	types := []flow.Type{flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy, flow.TypeDump}
	r := rand.New(rand.NewPCG(first, last))
	for first <= last {
		n := min(1+r.IntN(256), int(last-first+1))
		batch := make([]flow.Type, n)
		for i := range batch {
			batch[i] = types[r.IntN(len(types))]
		}
		if r.IntN(3) == 0 {
			batch[r.IntN(n)] = flow.TypeGap
		}
		b := batchOf(first, batch...)
		for i := range b.Events() {
			if e := &b.Events()[i]; !flow.AlwaysTypes.Has(e.Type) {
				e.Has |= flow.HasOrig | flow.HasMark | flow.HasTimeout
				e.Mark, e.Timeout = r.Uint32(), uint32(r.IntN(500))
				e.Orig = flow.Tuple{Has: flow.HasAddrs | flow.HasProto | flow.HasSrcPort | flow.HasDstPort, Family: flow.IPv4, Proto: 6,
					SrcPort: uint16(r.Uint32()), DstPort: 443, Src: flow.Addr{10, 0, 0, byte(i)}, Dst: flow.Addr{192, 0, 2, 1}}
			}
		}
		f.Take(b)
		first += uint64(n)
	}
}

// oddStored is oddOnly without counting, for it is asked by several at once.
type oddStored struct{}

func (oddStored) Match(e *flow.Event) bool { return e.Seq%2 == 1 }

func tastes() []func(*Config) {
	return []func(*Config){
		nil,
		func(c *Config) { c.Encoding = "protobuf" },
		func(c *Config) { c.Filter = oddStored{} },
		func(c *Config) { c.Events, c.Encoding = []Event{Event(flow.TypeDestroy)}, "xml" },
		func(c *Config) { c.CommunityID, c.Omit = true, []string{"flow_id"} },
	}
}

// TestStoreDeliversTheSame has the same events through memory and through the
// disk: the same bytes arrive, in the same order.
func TestStoreDeliversTheSame(t *testing.T) {
	cfg := storeConfig(t)
	cfg.Max = 64 * option.MiB
	stored := build(t, cfg, tastes()...).write().read()
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
	for first := uint64(1); first < 20000; first += 2000 {
		takeRandom(memory, first, first+1999)
		takeRandom(stored.fanout, first, first+1999)
		time.Sleep(5 * time.Millisecond) // the disk is not to be outrun here
	}
	drainAll(t, outlets...)
	stored.close()
	for i, sink := range stored.sinks {
		want := direct[i]
		if len(want.got) < 1000 || !slices.Equal(sink.got, want.got) {
			t.Fatalf("s%d: %d records, expected %d", i, len(sink.got), len(want.got))
		}
		for j, value := range sink.values {
			if !bytes.Equal(value, want.values[j]) {
				t.Fatalf("s%d: record %d is\n%s\nexpected\n%s", i, want.got[j], value, want.values[j])
			}
		}
		n := uint64(len(want.got))
		checkBooks(t, stored.outlets[i], flow.SinkBooks{Offered: n, Delivered: n})
	}
}

// TestStoreSurvives stops with sinks that took nothing, and starts again: what
// was held is recovered, as the sinks want it now.
func TestStoreSurvives(t *testing.T) {
	cfg := storeConfig(t)
	cfg.Max = 64 * option.MiB
	h := build(t, cfg, nil, nil).write()
	takeRandom(h.fanout, 1, 5000)
	h.close()
	offered := h.outlets[0].Books().Offered
	if b := h.outlets[0].Books(); offered == 0 || b.Held != offered {
		t.Fatalf("books %+v", b)
	}

	destroys := func(c *Config) { c.Events = []Event{Event(flow.TypeDestroy)} }
	h = build(t, cfg, nil, destroys).write().read()
	if b := h.outlets[0].Books(); b.Recovered != offered || b.Held+b.Delivered != offered {
		t.Errorf("books %+v of %d", b, offered)
	}
	takeRandom(h.fanout, 5001, 5100)
	h.waitFor()
	h.close()
	for i, sink := range h.sinks {
		b := h.outlets[i].Books()
		if b.Held != 0 || b.DroppedTotal() != 0 || b.Delivered != uint64(len(sink.got)) || !slices.IsSorted(sink.got) {
			t.Errorf("s%d: %d records, books %+v", i, len(sink.got), b)
		}
	}
	if all, few := len(h.sinks[0].got), len(h.sinks[1].got); few == 0 || few > all/2 {
		t.Errorf("%d records, %d of them for the one that wants less", all, few)
	}

	h = build(t, cfg, nil, destroys).write().read()
	h.close()
	if n := len(h.sinks[0].got) + len(h.sinks[1].got); n > 0 {
		t.Errorf("%d records came again", n)
	}
}

// waitFor waits until every outlet holds nothing, for as long as it gets less or more.
func (h *house) waitFor() {
	h.t.Helper()
	deadline, held := time.Now(), uint64(0)
	for _, o := range h.outlets {
		for b := o.Books(); b.Held > 0; b = o.Books() {
			if b.Held != held {
				deadline, held = time.Now().Add(20*time.Second), b.Held
			}
			if time.Now().After(deadline) {
				h.t.Fatalf("books %+v", b)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// TestStoreNeverWaits offers much more than the store's memory holds while
// nothing is written: it takes no time, and the books tell what was lost. What
// comes later stands behind a gap.
func TestStoreNeverWaits(t *testing.T) {
	cfg := storeConfig(t)
	cfg.Max = 64 * option.MiB
	h := build(t, cfg, nil, func(c *Config) { c.Filter = oddStored{} })
	took := time.Now()
	takeRandom(h.fanout, 1, 50000)
	if d := time.Since(took); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
	lost := make([]uint64, 2)
	for i, o := range h.outlets {
		b := o.Books()
		lost[i] = dropped(b, dropMemory)
		if !b.Balanced() || lost[i] == 0 || b.Held == 0 || b.Offered != lost[i]+b.Held {
			t.Errorf("s%d: books %+v", i, b)
		}
	}
	h.write().read()
	h.waitFor()
	takeRandom(h.fanout, 50001, 50100)
	h.waitFor()
	h.close()
	for i, sink := range h.sinks {
		gap := sink.lostInGaps(t, h.outlets[i].Name())
		if gap != lost[i] || !slices.IsSorted(sink.got) {
			t.Errorf("s%d: gaps tell of %d, %d were lost", i, gap, lost[i])
		}
		b := h.outlets[i].Books()
		if b.Delivered+lost[i] != b.Offered || b.Delivered != uint64(len(sink.got)) {
			t.Errorf("s%d: %d records, books %+v", i, len(sink.got), b)
		}
	}
}

// lostInGaps adds up what the gap records of a sink tell.
func (s *script) lostInGaps(t testing.TB, name string) (lost uint64) {
	t.Helper()
	for i, value := range s.values {
		if !slices.Contains(s.gaps, s.got[i]) {
			continue
		}
		b := flow.NewBatch(1)
		if err := encode.Formats()["json"].NewDecoder().Decode(b, value); err != nil {
			t.Fatalf("%v: %s", err, value)
		}
		if gap := b.Events()[0].Gap; gap != nil && gap.Scope == "sink" {
			if gap.Sink != name || gap.Lost == nil || gap.Since > gap.Until {
				t.Errorf("gap %+v", gap)
			}
			lost += *gap.Lost
		}
	}
	return lost
}

// TestStoreFull has a sink that is stuck until the spool has dropped segments.
// The other sink gets all; this one the rest, behind a gap, and its books are
// right while it is stuck.
func TestStoreFull(t *testing.T) {
	h := build(t, storeConfig(t), nil, nil)
	unstick := make(chan struct{})
	h.sinks[0].write = func(ctx context.Context, try int, _ *Batch) error {
		select {
		case <-unstick:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	h.write().read()
	for first := uint64(1); first < 60000; first += 1000 {
		takeRandom(h.fanout, first, first+999)
		for h.outlets[1].Books().Held > 0 {
			time.Sleep(time.Millisecond) // this one keeps up
		}
	}
	lost := dropped(h.outlets[0].Books(), dropSpool)
	b := h.outlets[0].Books()
	if lost == 0 || !b.Balanced() || b.Held+lost != b.Offered {
		t.Fatalf("books %+v", b)
	}
	close(unstick)
	h.waitFor()
	h.close()
	if gap := h.sinks[0].lostInGaps(t, "s0"); gap != lost {
		t.Errorf("gaps tell of %d, %d were lost", gap, lost)
	}
	if b := h.outlets[1].Books(); b.DroppedTotal() != 0 || b.Delivered != uint64(len(h.sinks[1].got)) {
		t.Errorf("books %+v", b)
	}
	if !slices.IsSorted(h.sinks[0].got) || !slices.IsSorted(h.sinks[1].got) {
		t.Error("out of order")
	}
}

// TestStoreRefuses has a disk that is too full for anything, from the second batch on.
func TestStoreRefuses(t *testing.T) {
	cfg := storeConfig(t)
	h := build(t, cfg, nil).write().read()
	takeRandom(h.fanout, 1, 100)
	h.waitFor()
	h.end()
	h.stops[0]()
	h.store.Close()
	cfg.MinFree = 1 << 19 * option.GiB
	h = build(t, cfg, nil).write().read()
	takeRandom(h.fanout, 101, 300)
	h.waitFor()
	h.close()
	b := h.outlets[0].Books()
	lost := dropped(b, dropDisk)
	if gap := h.sinks[0].lostInGaps(t, "s0"); lost == 0 || gap != lost || b.Delivered+lost != b.Offered {
		t.Errorf("gaps tell of %d, books %+v", gap, b)
	}
}

func TestStoreForgets(t *testing.T) {
	cfg := storeConfig(t)
	h := build(t, cfg, nil, nil).write()
	takeRandom(h.fanout, 1, 100)
	if err := h.store.Forget(map[string]bool{"s1": true}); err != nil {
		t.Fatal(err)
	}
	st, err := h.store.Status()
	if err != nil || len(st.Cursors) != 1 || st.Cursors[0].Name != "s1" {
		t.Errorf("%+v %v", st, err)
	}
	h.end()
	h.store.Close()
}

func TestSpoolConfig(t *testing.T) {
	c := NewSpoolConfig()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.Mode = SpoolAlways
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	for key, spoil := range map[string]func(*SpoolConfig){
		"mode":     func(c *SpoolConfig) { c.Mode = "sometimes" },
		"memory":   func(c *SpoolConfig) { c.Memory = 1 },
		"segment":  func(c *SpoolConfig) { c.Segment = 1 },
		"max":      func(c *SpoolConfig) { c.Max = c.Segment },
		"min_free": func(c *SpoolConfig) { c.MinFree = 1 << 62 },
		"dir":      func(c *SpoolConfig) { c.Dir = "spool" },
		"compress": func(c *SpoolConfig) { c.Compress = "lzma" },
	} {
		bad := c
		spoil(&bad)
		if err := bad.Validate(); err == nil || !strings.HasPrefix(err.Error(), key+": ") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// TestStoreReload replaces a stuck outlet while batches come in: the next one
// goes on in its place, with its books.
func TestStoreReload(t *testing.T) {
	cfg := storeConfig(t)
	cfg.Max = 64 * option.MiB
	h := build(t, cfg, func(c *Config) { c.Drain, c.Flush.Count = 50*time.Millisecond, 100 }, nil)
	h.sinks[0].write = func(ctx context.Context, try int, _ *Batch) error {
		if try <= 2 {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
	h.write().read()
	takeRandom(h.fanout, 1, 3000)
	for h.outlets[0].Books().Delivered == 0 {
		time.Sleep(time.Millisecond)
	}
	before, sink := h.outlets[0], &script{}
	c := before.Config()
	c.Options, c.Filter = scriptOptions{sink}, oddStored{}
	o, err := NewStoredOutlet(c, "node-1", [16]byte{1}, h.store, before, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if gone := h.fanout.Swap(o, h.outlets[1]); len(gone) != 1 || gone[0] != before {
		t.Fatal("swap")
	}
	takeRandom(h.fanout, 3001, 3500)
	if err := h.stops[0](); err != nil {
		t.Fatal(err)
	}
	takeRandom(h.fanout, 3501, 4000)
	old := len(h.sinks[0].got)
	h.outlets[0], h.stops[0] = o, start(o)
	takeRandom(h.fanout, 4001, 5000)
	h.waitFor()
	h.close()
	b := o.Books()
	if b.Delivered != uint64(old+len(sink.got)) || b.DroppedTotal() != dropped(b, dropUnwanted) || dropped(b, dropUnwanted) == 0 {
		t.Errorf("%d and %d delivered, books %+v", old, len(sink.got), b)
	}
	if !slices.IsSorted(sink.got) || sink.got[0] > h.sinks[0].got[old-1]+2 || sink.got[len(sink.got)-1] < 4990 {
		t.Errorf("%d, then %d to %d", h.sinks[0].got[old-1], sink.got[0], sink.got[len(sink.got)-1])
	}
}
