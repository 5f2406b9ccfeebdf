package sinks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// decodeOne reads one record back through the format that wrote it.
func decodeOne(t testing.TB, f encode.Format, record []byte) flow.Event {
	t.Helper()
	b := flow.NewBatch(1)
	if err := f.NewDecoder().Decode(b, record); err != nil {
		t.Fatalf("decode %s %q: %v", f.Name, record, err)
	}
	return b.Events()[0]
}

// isGap tells a gap record from those of recordNo.
func isGap(value []byte) bool { return len(value) > 30 }

// TestGapStandsWhereTheLossWas lets the queue overflow again and again and
// checks the stream that comes out: the numbers go up without a hole, but for
// holes that a gap of exactly that size stands in.
func TestGapStandsWhereTheLossWas(t *testing.T) {
	for seed := range uint64(20) {
		for _, format := range []string{"json", "xml", "protobuf"} {
			t.Run(fmt.Sprintf("%s/%d", format, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { overfill(t, format, seed) })
			})
		}
	}
}

func overfill(t *testing.T, format string, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	sink := &script{write: func(context.Context, int, *Batch) error {
		time.Sleep(10 * time.Millisecond)
		return nil
	}}
	o := outletFor(t, "slow", sink, func(c *Config) {
		c.Encoding, c.Memory, c.Flush.Count, c.Flush.Linger = format, 6<<10, 16, 0
	})
	stop := start(o)
	seq := uint64(0)
	for range 200 {
		for range rng.IntN(60) {
			seq++
			o.Offer(recordNo(seq))
		}
		time.Sleep(time.Duration(rng.IntN(40)) * time.Millisecond)
	}
	for range 500 {
		seq++
		o.Offer(recordNo(seq)) // the last ones are lost for certain, and nothing follows them
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	lost, gaps := checkStream(t, o, sink, seq)
	b := o.Books()
	if !b.Balanced() || b.Offered != seq+gaps || dropped(b, dropMemory) != lost || b.Delivered != uint64(len(sink.got)) {
		t.Errorf("%d offered, %d gaps, %d lost: %+v", seq, gaps, lost, b)
	}
	if gaps < 2 {
		t.Errorf("only %d gaps: the test did not overflow the queue", gaps)
	}
}

func checkStream(t *testing.T, o *Outlet, sink *script, last uint64) (lost, gaps uint64) {
	t.Helper()
	next := uint64(1)
	for i, value := range sink.values {
		if !isGap(value) {
			if sink.got[i] != next {
				t.Fatalf("record %d came where %d should", sink.got[i], next)
			}
			next++
			continue
		}
		e := decodeOne(t, o.format, value)
		g := e.Gap
		if e.Type != flow.TypeGap || g == nil || g.Lost == nil {
			t.Fatalf("no gap: %+v", e)
		}
		end := next + *g.Lost - 1
		want := flow.Gap{Scope: "sink", Sink: "slow", Reason: "memory", Since: int64(next) * 1000, Until: int64(end) * 1000, Lost: g.Lost}
		if *g.Lost == 0 || *g != want || e.Seq != end || sink.got[i] != end {
			t.Fatalf("gap %+v (seq %d, lost %d) behind record %d", g, e.Seq, *g.Lost, next-1)
		}
		if i > 0 && isGap(sink.values[i-1]) {
			t.Fatal("a gap follows a gap")
		}
		lost += *g.Lost
		gaps++
		next = end + 1
	}
	if next != last+1 {
		t.Fatalf("the stream tells of %d records, %d were offered", next-1, last)
	}
	return lost, gaps
}

// TestGapWithoutASuccessor: a gap must be told though no record ever follows.
func TestGapWithoutASuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &script{}
		o := outletFor(t, "s", sink, func(c *Config) { c.Memory, c.Flush.Count = 2<<10, 16 })
		offerUpTo(o, 200)
		stop := start(o)
		time.Sleep(time.Minute)
		got := sink.delivered()
		if n := len(got); n < 3 || got[n-1] != 200 || !isGap(sink.values[n-1]) || !slices.Equal(got[:n-1], upTo(uint64(n-1))) {
			t.Errorf("delivered %v", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestMemoryBound offers without a courier until nothing fits: what the outlet
// holds, all rows together, is within the bound, and most of it is in use.
func TestMemoryBound(t *testing.T) {
	for _, n := range []int{20, 150, 192, 700, 5000} {
		o := outletFor(t, "s", &script{}, func(c *Config) { c.Memory = 8 * option.MiB })
		rec := recordNo(1)
		rec.Value = make([]byte, n)
		fill := 0.0
		for range 100_000 {
			fill = o.Offer(rec)
		}
		bound := uint64(o.cfg.Memory)
		used := boundBy(o.memory)
		if used > bound {
			t.Errorf("%d bytes for a bound of %d", used, bound)
		}
		b := o.Books()
		if !b.Balanced() || b.Held+dropped(b, dropMemory) != 100_000 || fill < 0.97 {
			t.Errorf("records of %d bytes: fill %v, %+v", n, fill, b)
		}
		if held := b.Held * (uint64(n) + recordSize); n >= 150 && n <= 700 && held < bound*7/10 {
			t.Errorf("records of %d bytes: only %d of %d bytes hold records", n, held, bound)
		}
	}
}

// TestRefusedRecordsLeaveAGap: what a sink refuses for good, without a
// dead-letter file, is told in the stream as well as in the books.
func TestRefusedRecordsLeaveAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &script{write: func(_ context.Context, try int, b *Batch) error {
			if try == 1 {
				return &Error{Class: Poison, Poison: []int{2, 3}, Err: errors.New("too strange")}
			}
			return nil
		}}
		o := outletFor(t, "s", sink, nil)
		offerUpTo(o, 10)
		must(t, start(o)())
		if b := o.Books(); b.Offered != 11 || b.Delivered != 9 || dropped(b, dropPoison) != 2 || !b.Balanced() {
			t.Errorf("%+v", b)
		}
		if len(sink.gaps) != 1 || sink.gaps[0] != 4 {
			t.Fatalf("gap records: %v", sink.gaps)
		}
		e := decodeOne(t, encode.Formats()["json"], sink.values[len(sink.values)-1])
		if g := e.Gap; g == nil || g.Scope != "sink" || g.Sink != "s" || g.Reason != "poison" || g.Lost == nil || *g.Lost != 2 {
			t.Errorf("gap: %+v", g)
		}
	})
}
