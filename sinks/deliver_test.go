package sinks

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/ctferry/ctferry/internal/option"
)

// FuzzDeliver lets a sink answer as the input says, three bytes a write: a
// class, marks of what is done, and a record that is named as poison. However
// it behaves, every record has one fate, and order holds but for what the sink
// itself acknowledged early.
func FuzzDeliver(f *testing.F) {
	f.Add(uint8(10), []byte{1, 0, 0, 1, 0, 0, 3, 0, 1, 0, 3, 0})
	f.Add(uint8(64), []byte{3, 255, 0, 2, 85, 9, 1, 1, 1, 4, 0, 0})
	f.Add(uint8(3), []byte{1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, n uint8, answers []byte) {
		early, poisoned := false, uint64(0)
		sink := &script{}
		sink.write = func(_ context.Context, _ int, b *Batch) error {
			if !slices.IsSortedFunc(b.Records, func(x, y Record) int { return int(x.Seq) - int(y.Seq) }) {
				t.Fatal("a batch is out of order")
			}
			if len(answers) < 3 {
				return nil
			}
			a := answers[:3]
			answers = answers[3:]
			for i := range b.Records {
				if a[1]>>(i%8)&1 == 1 && a[0]&8 != 0 {
					b.Done(i)
					early = true
				}
			}
			class := Class(a[0] % 6) // two of them are no class
			e := &Error{Class: class, Reopen: a[0]&16 != 0, Err: errors.New("scripted")}
			if a[0]&32 != 0 {
				e.Poison = []int{int(a[2]), int(a[2]), -1}
			}
			return e
		}
		o := outletFor(t, "s", sink, func(c *Config) {
			c.Memory, c.Flush = option.MiB, Flush{Count: 16, Bytes: option.KiB}
			c.Retry = Backoff{Initial: 1, Max: 1}
		})
		offerUpTo(o, uint64(n))
		if err := start(o)(); err != nil {
			t.Fatal(err)
		}
		b := o.Books()
		poisoned = dropped(b, dropPoison)
		told := b.Offered - uint64(n) // gap records, each for refused ones before it
		if !b.Balanced() || told > poisoned || b.Held != 0 || b.Delivered != uint64(len(sink.got)) || b.Delivered+poisoned != b.Offered {
			t.Fatalf("%+v; the sink got %d", b, len(sink.got))
		}
		events := slices.DeleteFunc(slices.Clone(sink.got), func(seq uint64) bool { return slices.Contains(sink.gaps, seq) })
		if !early && !slices.IsSorted(events) {
			t.Fatalf("out of order: %v", sink.got)
		}
		slices.Sort(sink.got)
		if len(slices.Compact(sink.got)) != int(b.Delivered) {
			t.Fatalf("delivered twice: %v", sink.got)
		}
	})
}
