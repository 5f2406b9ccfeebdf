package sinks

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

func TestBatchesByCountBytesAndLinger(t *testing.T) {
	tests := []struct {
		name  string
		flush Flush
		after time.Duration // the first write
		sizes []int
	}{
		{"count", Flush{Count: 4, Bytes: option.MiB, Linger: time.Second}, 0, []int{4, 4, 2}},
		{"bytes", Flush{Count: 100, Bytes: 25, Linger: time.Second}, 0, []int{2, 2, 2, 2, 2}},
		{"linger", Flush{Count: 100, Bytes: option.MiB, Linger: 300 * time.Millisecond}, 300 * time.Millisecond, []int{10}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, first := time.Now(), time.Duration(-1)
				sink := &script{}
				sink.write = func(_ context.Context, try int, _ *Batch) error {
					if try == 1 {
						first = time.Since(began)
					}
					return nil
				}
				o := outletFor(t, "s", sink, func(c *Config) { c.Flush = tt.flush })
				offerUpTo(o, 10)
				stop := start(o)
				time.Sleep(5 * time.Second)
				if err := stop(); err != nil {
					t.Error(err)
				}
				if first != tt.after {
					t.Errorf("first write after %v, expected %v", first, tt.after)
				}
				if !slices.Equal(sink.sizes, tt.sizes) || !slices.Equal(sink.got, upTo(10)) {
					t.Errorf("batches %v, expected %v; records %v", sink.sizes, tt.sizes, sink.got)
				}
				b := checkBooks(t, o, flow.SinkBooks{Offered: 10, Delivered: 10})
				if b.LastSeq != 10 || b.Bytes != 9*9+10 || !sink.closed {
					t.Errorf("last %d, bytes %d, closed %v", b.LastSeq, b.Bytes, sink.closed)
				}
			})
		})
	}
}

// TestLingerWakes offers one by one: the batch goes when it is full, not when it has lingered.
func TestLingerWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &script{}
		o := outletFor(t, "s", sink, func(c *Config) { c.Flush = Flush{Count: 3, Bytes: option.MiB, Linger: time.Hour} })
		stop := start(o)
		for seq := uint64(1); seq <= 7; seq++ {
			o.Offer(recordNo(seq))
			synctest.Wait()
		}
		if got := sink.delivered(); !slices.Equal(got, upTo(6)) {
			t.Errorf("delivered %v before the linger, expected 1 to 6", got)
		}
		began := time.Now()
		if err := stop(); err != nil || time.Since(began) != 0 {
			t.Errorf("stop took %v, %v", time.Since(began), err)
		}
		checkBooks(t, o, flow.SinkBooks{Offered: 7, Delivered: 7})
	})
}

func TestErrorClasses(t *testing.T) {
	boom := errors.New("boom")
	refuse := func(limit int, bad ...uint64) func(context.Context, int, *Batch) error {
		return func(_ context.Context, _ int, b *Batch) error {
			for i, rec := range b.Records {
				if slices.Contains(bad, rec.Seq) && rec.Type != flow.TypeGap {
					return &Error{Class: Poison, Poison: []int{i}, Err: boom}
				}
			}
			if len(b.Records) > limit {
				return &Error{Class: Split, Err: boom}
			}
			return nil
		}
	}
	// What is dropped is told by one gap record, which bears the last one's
	// number; a sink that refuses it too has it in the drops.
	tests := []struct {
		name  string
		write func(context.Context, int, *Batch) error
		want  []uint64
		sizes []int
		drops uint64
		gaps  uint64
	}{
		{"split in halves", refuse(2), upTo(10), []int{10, 5, 3, 2, 2, 2, 2, 2}, 0, 0},
		{"a single record too large", refuse(0), nil, []int{10, 5, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 11, 1},
		{"poison", refuse(10, 3, 7), []uint64{1, 2, 4, 5, 6, 8, 9, 10, 7}, []int{10, 9, 8, 1}, 2, 1},
		{"poison and split", refuse(4, 1, 10), append(upTo(9)[1:], 10), []int{10, 9, 8, 4, 4, 1}, 2, 1},
		{"all poison", func(context.Context, int, *Batch) error { return &Error{Class: Poison, Err: boom} }, nil, []int{10, 1}, 11, 1},
		{"partly done, then poison for the rest", func(_ context.Context, try int, b *Batch) error {
			if try > 1 {
				return nil
			}
			b.Done(1)
			b.Done(8)
			return &Error{Class: Poison, Err: boom}
		}, []uint64{2, 9, 10}, []int{10, 1}, 8, 1},
		{"partly done, then retry", func(_ context.Context, try int, b *Batch) error {
			b.Done(len(b.Records) - 1)
			if len(b.Records) == 1 {
				return nil
			}
			return boom
		}, []uint64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, []int{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 0, 0},
		{"poison named wrongly counts as a retry", func(_ context.Context, try int, b *Batch) error {
			if try == 1 {
				return &Error{Class: Poison, Poison: []int{-1, 99}, Err: boom}
			}
			return nil
		}, upTo(10), []int{10, 10}, 0, 0},
		{"no class", func(_ context.Context, try int, _ *Batch) error {
			if try < 3 {
				return boom
			}
			return nil
		}, upTo(10), []int{10, 10, 10}, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &script{write: tt.write}
				o := outletFor(t, "s", sink, nil)
				offerUpTo(o, 10)
				stop := start(o)
				time.Sleep(10 * time.Minute)
				if err := stop(); err != nil {
					t.Error(err)
				}
				if !slices.Equal(sink.got, tt.want) || !slices.Equal(sink.sizes, tt.sizes) {
					t.Errorf("delivered %v in writes of %v\nexpected %v in %v", sink.got, sink.sizes, tt.want, tt.sizes)
				}
				checkBooks(t, o, flow.SinkBooks{
					Offered:   10 + tt.gaps,
					Delivered: uint64(len(tt.want)),
					Dropped:   []flow.Drop{{Count: tt.drops}},
				})
				if n := dropped(o.Books(), dropPoison); n != tt.drops {
					t.Errorf("%d dropped as poison, expected %d", n, tt.drops)
				}
			})
		})
	}
}

// TestBackoff checks every pause against its bound: doubled each time, jittered, never above the maximum.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		sink := &script{write: func(context.Context, int, *Batch) error {
			at = append(at, time.Now())
			if len(at) <= 20 {
				return errors.New("away")
			}
			return nil
		}}
		o := outletFor(t, "s", sink, func(c *Config) { c.Flush.Linger = 0 })
		offerUpTo(o, 3)
		stop := start(o)
		time.Sleep(time.Hour)
		if err := stop(); err != nil {
			t.Error(err)
		}
		limit, sum, most := 100*time.Millisecond, time.Duration(0), time.Duration(0)
		for i := 1; i < len(at); i++ {
			pause := at[i].Sub(at[i-1])
			if pause < 0 || pause >= limit {
				t.Errorf("pause %d took %v, its bound is %v", i, pause, limit)
			}
			sum, most = sum+pause, most+limit
			limit = min(2*limit, 30*time.Second)
		}
		if len(at) != 21 || sum < most/5 || sum > most*4/5 {
			t.Errorf("%d writes; pauses %v of at most %v are not spread evenly", len(at), sum, most)
		}
		b := checkBooks(t, o, flow.SinkBooks{Offered: 3, Delivered: 3})
		if b.Retries != 20 || b.Errors[Retry].Count != 20 || b.LastError != "away" {
			t.Errorf("retries %d, errors %v, last %q", b.Retries, b.Errors, b.LastError)
		}
	})
}

func TestConfigurationWaitsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		sink := &script{open: func(try int) error {
			if try < 3 {
				return &Error{Class: Configuration, Err: errors.New("not authorised")}
			}
			return nil
		}}
		o := outletFor(t, "s", sink, nil)
		offerUpTo(o, 3)
		stop := start(o)
		time.Sleep(59 * time.Second)
		if b := checkBooks(t, o, flow.SinkBooks{Offered: 3, Held: 3}); b.Up || b.Errors[Configuration].Count != 2 || b.LastError != "not authorised" {
			t.Errorf("books after %v: %+v", time.Since(began), b)
		}
		time.Sleep(2 * time.Second)
		if b := checkBooks(t, o, flow.SinkBooks{Offered: 3, Delivered: 3}); !b.Up {
			t.Error("not up after delivery")
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &script{write: func(_ context.Context, try int, b *Batch) error {
			switch try {
			case 1:
				return &Error{Class: Retry, Reopen: true, Err: errors.New("link down")}
			case 2:
				return &Error{Class: Retry, Err: errors.New("busy")}
			}
			return nil
		}}
		o := outletFor(t, "s", sink, nil)
		offerUpTo(o, 3)
		stop := start(o)
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if sink.opens != 2 || sink.writes != 3 {
			t.Errorf("%d opens, %d writes; expected 2 and 3", sink.opens, sink.writes)
		}
		checkBooks(t, o, flow.SinkBooks{Offered: 3, Delivered: 3})
	})
}

func TestStop(t *testing.T) {
	hang := func(ctx context.Context, _ int, b *Batch) error {
		b.Done(0)
		<-ctx.Done()
		return ctx.Err()
	}
	forever := func(context.Context, int, *Batch) error {
		time.Sleep(24 * time.Hour) // deaf to its context
		return nil
	}
	away := func(context.Context, int, *Batch) error { return errors.New("away") }
	tests := []struct {
		name  string
		write func(context.Context, int, *Batch) error
		took  time.Duration
		want  flow.SinkBooks
		err   error
	}{
		{"delivers what is there", nil, 0, flow.SinkBooks{Offered: 5, Delivered: 5}, nil},
		{"a write that hangs is cut short", hang, 10 * time.Second, flow.SinkBooks{Offered: 5, Delivered: 1, Dropped: []flow.Drop{{Count: 4}}}, nil},
		{"an absent sink is tried until the end", away, 10 * time.Second, flow.SinkBooks{Offered: 5, Dropped: []flow.Drop{{Count: 5}}}, nil},
		{"a sink that never comes back is left", forever, 10*time.Second + 2*closeTime, flow.SinkBooks{Offered: 5, Dropped: []flow.Drop{{Count: 5}}}, ErrStuck},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &script{write: tt.write}
				o := outletFor(t, "s", sink, func(c *Config) { c.Flush.Linger = 10 * time.Second })
				stop := start(o)
				time.Sleep(time.Second)
				offerUpTo(o, 5)
				time.Sleep(time.Second)
				began := time.Now()
				if err := stop(); !errors.Is(err, tt.err) {
					t.Errorf("Run gave %v, expected %v", err, tt.err)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("stop took %v, expected %v", took, tt.took)
				}
				checkBooks(t, o, tt.want)
				if n := dropped(o.Books(), dropShutdown); n != tt.want.DroppedTotal() {
					t.Errorf("%d dropped for the shutdown, expected %d", n, tt.want.DroppedTotal())
				}
				o.Offer(recordNo(99))
				tt.want.Offered++
				tt.want.Dropped = append(tt.want.Dropped, flow.Drop{Count: 1})
				checkBooks(t, o, tt.want)
				time.Sleep(48 * time.Hour)
				checkBooks(t, o, tt.want)
			})
		})
	}
}

func TestStopCutsBackoffShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mended atomic.Bool
		sink := &script{open: func(int) error {
			if !mended.Load() {
				return &Error{Class: Configuration, Err: errors.New("no such topic")}
			}
			return nil
		}}
		o := outletFor(t, "s", sink, nil)
		offerUpTo(o, 3)
		stop := start(o)
		time.Sleep(time.Second)
		mended.Store(true)
		began := time.Now()
		if err := stop(); err != nil || time.Since(began) > 100*time.Millisecond {
			t.Errorf("stop took %v: %v", time.Since(began), err)
		}
		checkBooks(t, o, flow.SinkBooks{Offered: 3, Delivered: 3})
	})
}

func TestReaderGoneEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &script{write: func(_ context.Context, _ int, b *Batch) error {
			b.Done(0)
			return ErrReaderGone
		}}
		o := outletFor(t, "s", sink, nil)
		offerUpTo(o, 3)
		if err := o.Run(context.Background()); !errors.Is(err, ErrReaderGone) {
			t.Errorf("Run gave %v", err)
		}
		checkBooks(t, o, flow.SinkBooks{Offered: 3, Delivered: 1, Dropped: []flow.Drop{{Count: 2}}})
	})
}

// TestBooksAlwaysBalance reads the books from several goroutines while a sink
// misbehaves at random and a producer offers more than fits.
func TestBooksAlwaysBalance(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sink := &script{write: func(_ context.Context, _ int, b *Batch) error {
		for i := range b.Records {
			if rng.IntN(3) == 0 {
				b.Done(i)
			}
		}
		switch rng.IntN(6) {
		case 0:
			return &Error{Class: Split, Err: errors.New("too large")}
		case 1:
			return &Error{Class: Poison, Poison: []int{rng.IntN(len(b.Records))}, Err: errors.New("refused")}
		case 2:
			return &Error{Class: Retry, Reopen: rng.IntN(2) == 0, Err: errors.New("away")}
		}
		return nil
	}}
	o := outletFor(t, "s", sink, func(c *Config) {
		c.Memory, c.Flush.Count, c.Flush.Linger = 16<<10, 32, 0
		c.Retry = Backoff{Initial: 100 * time.Microsecond, Max: time.Millisecond}
	})
	stop := start(o)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				if b := o.Books(); !b.Balanced() || b.Held > b.Offered {
					t.Errorf("books do not balance: %+v", b)
					return
				}
				select {
				case <-done:
					return
				case <-time.After(50 * time.Microsecond):
				}
			}
		})
	}
	for seq := uint64(1); seq <= 20_000; seq++ {
		o.Offer(recordNo(seq))
	}
	err := stop()
	close(done)
	readers.Wait()
	b := o.Books()
	if err != nil || !b.Balanced() || b.Held != 0 || b.Offered < 20_000 || b.Delivered != uint64(len(sink.got)) {
		t.Errorf("%v: %+v, sink got %d", err, b, len(sink.got))
	}
	if b.Delivered == 0 || dropped(b, dropMemory) == 0 || dropped(b, dropPoison) == 0 {
		t.Errorf("the test did not try everything: %+v", b)
	}
}
