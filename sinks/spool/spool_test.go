package spool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// small is a configuration whose edges are near.
func small(dir string) Config {
	return Config{Dir: dir, Max: 4 * MinSegmentSize, SegmentSize: MinSegmentSize, Sync: SyncNone, Compress: CompressNone}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func mustOpen(t testing.TB, cfg Config) *Spool {
	t.Helper()
	s, err := Open(cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustCursor(t testing.TB, s *Spool, name string, start Start) *Cursor {
	t.Helper()
	c, err := s.Cursor(name, start)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// payload is what frame seq carries in these tests: bytes that follow from its
// number and length, so that a reader knows whether it got what was written.
func payload(seq uint64, size int) []byte {
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(seq, uint64(size)))
	for i := 0; i+8 <= size; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b
}

// frameOf makes a frame of 10 records of which sink a wants all, b every
// third frame's one, and c none.
func frameOf(seq uint64, size int) *Frame {
	f := &Frame{Records: 10, First: seq * 10, Last: seq*10 + 9, Payload: payload(seq, size), Counts: []Count{{"a", 10}, {"c", 0}}}
	if seq%3 == 0 {
		f.Counts = append(f.Counts, Count{"b", 1})
	}
	return f
}

func mustAppend(t testing.TB, s *Spool, from, to uint64, size int) {
	t.Helper()
	for seq := from; seq < to; seq++ {
		f := frameOf(seq, size)
		if err := s.Append(f); err != nil {
			t.Fatalf("frame %d: %v", seq, err)
		}
		if f.Seq != seq {
			t.Fatalf("frame %d got number %d", seq, f.Seq)
		}
	}
}

// checkFrame reports whether f is what frameOf made.
func checkFrame(t testing.TB, f *Frame) {
	t.Helper()
	if want := frameOf(f.Seq, len(f.Payload)); !bytes.Equal(f.Payload, want.Payload) || f.First != want.First ||
		f.Last != want.Last || f.Records != want.Records || fmt.Sprint(f.Counts) != fmt.Sprint(want.Counts) {
		t.Fatalf("frame %d is not what was appended", f.Seq)
	}
	if age := time.Since(f.Written); age < -time.Minute || age > time.Hour {
		t.Fatalf("frame %d was written %v ago", f.Seq, age)
	}
}

// drain reads all there is and gives the numbers.
func drain(t testing.TB, c *Cursor, ack bool) (seqs []uint64) {
	t.Helper()
	for {
		f, err := c.Poll()
		if err != nil {
			t.Fatal(err)
		}
		if f == nil {
			return seqs
		}
		checkFrame(t, f)
		seqs = append(seqs, f.Seq)
		if ack {
			c.Ack(f.Seq)
		}
	}
}

// run gives the numbers from..to-1.
func run(from, to uint64) (seqs []uint64) {
	for ; from < to; from++ {
		seqs = append(seqs, from)
	}
	return seqs
}

func wantSeqs(t testing.TB, got, want []uint64) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got frames %v, want %v", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, compress := range []Compression{CompressNone, CompressZstd} {
		for _, sync := range []Sync{SyncAlways, SyncNone, Sync(time.Millisecond)} {
			t.Run(fmt.Sprint(compress, sync), func(t *testing.T) {
				cfg := small(t.TempDir())
				cfg.Compress, cfg.Sync = compress, sync
				s := mustOpen(t, cfg)
				a := mustCursor(t, s, "a", Now)
				for seq, size := range []int{0, 1, 7, 100, walPage - 7, walPage, walPage + 1, 100000, MinSegmentSize / 2} {
					mustAppend(t, s, uint64(seq), uint64(seq)+1, size)
					wantSeqs(t, drain(t, a, true), run(uint64(seq), uint64(seq)+1))
				}
				if l := a.Lag(); !l.IsZero() || !l.Oldest.IsZero() || a.Losses() != (Losses{}) {
					t.Errorf("lag %+v, losses %+v", l, a.Losses())
				}
			})
		}
	}
}

func TestCursorsSurviveRestart(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	a, b := mustCursor(t, s, "a", Now), mustCursor(t, s, "b", Now)
	mustAppend(t, s, 0, 30, 10000)
	wantSeqs(t, drain(t, b, true), run(0, 30))
	wantSeqs(t, drain(t, a, false), run(0, 30))
	a.Ack(11)
	if l := a.Lag(); l.Frames != 18 || l.Records != 180 || l.Bytes < 18*10000 || l.Oldest.IsZero() {
		t.Errorf("lag %+v", l)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Poll(); !errors.Is(err, ErrClosed) {
		t.Errorf("poll after close: %v", err)
	}
	if err := s.Append(frameOf(30, 10)); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}

	s = mustOpen(t, cfg)
	a, b = mustCursor(t, s, "a", Now), mustCursor(t, s, "b", Now)
	c := mustCursor(t, s, "c", Oldest)
	if l := a.Lag(); l.Frames != 18 || l.Records != 180 || l.Oldest.IsZero() {
		t.Errorf("lag %+v", l)
	}
	mustAppend(t, s, 30, 33, 10000)
	wantSeqs(t, drain(t, a, true), run(12, 33))
	wantSeqs(t, drain(t, b, true), run(30, 33))
	seqs := drain(t, c, true)
	wantSeqs(t, seqs, run(seqs[0], 33)) // from wherever the oldest segment begins
	if l := a.Lag(); !l.IsZero() {
		t.Errorf("lag %+v", l)
	}
	for _, cur := range []*Cursor{a, b, c} {
		if cur.Losses() != (Losses{}) {
			t.Errorf("%s: losses %+v", cur.Name(), cur.Losses())
		}
	}
}

func TestTakeOverGivesAgain(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	a := mustCursor(t, s, "a", Now)
	mustAppend(t, s, 0, 10, 1000)
	drain(t, a, false)
	a.Ack(3)
	again := mustCursor(t, s, "a", Now)
	wantSeqs(t, drain(t, again, true), run(4, 10))
}

func TestNextWaits(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	a := mustCursor(t, s, "a", Now)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := a.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("next without frames: %v", err)
	}
	got := make(chan uint64)
	go func() {
		defer close(got)
		for range 100 {
			f, err := a.Next(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			checkFrame(t, f)
			a.Ack(f.Seq)
			got <- f.Seq
		}
		_, err := a.Next(t.Context())
		if !errors.Is(err, ErrRemoved) {
			t.Errorf("next after remove: %v", err)
		}
	}()
	for seq := range uint64(100) {
		mustAppend(t, s, seq, seq+1, 5000)
		if n := <-got; n != seq {
			t.Fatalf("got %d, want %d", n, seq)
		}
	}
	if err := s.Remove("a"); err != nil {
		t.Fatal(err)
	}
	<-got
}

func TestSegmentsGoWhenAllHaveRead(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	a, b := mustCursor(t, s, "a", Now), mustCursor(t, s, "b", Now)
	mustAppend(t, s, 0, 40, 20000)
	drain(t, a, true)
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	if n := len(s.segments); n < 3 {
		t.Fatalf("%d segments, b has read none", n)
	}
	if n := segmentFiles(t, cfg); n != len(s.segments) {
		t.Fatalf("%d files for %d segments", n, len(s.segments))
	}
	if err := s.Remove("b"); err != nil {
		t.Fatal(err)
	}
	if n := segmentFiles(t, cfg); n != 1 {
		t.Fatalf("%d segments, the only cursor has read all", n)
	}
	if _, err := b.Poll(); !errors.Is(err, ErrRemoved) {
		t.Errorf("removed cursor: %v", err)
	}
	b.Ack(5) // of no consequence
	mustAppend(t, s, 40, 50, 20000)
	wantSeqs(t, drain(t, a, true), run(40, 50))
}

func segmentFiles(t testing.TB, cfg Config) int {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(cfg.Dir, segmentsDir))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestNoCursorKeepsAll(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	mustAppend(t, s, 0, 30, 20000)
	s.save()
	s.Close()
	s = mustOpen(t, cfg)
	wantSeqs(t, drain(t, mustCursor(t, s, "a", Oldest), true), run(0, 30))
}

func TestUnacknowledgedIsBounded(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	a := mustCursor(t, s, "a", Now)
	mustAppend(t, s, 0, maxOutstanding+1, 1)
	for range maxOutstanding {
		if f, err := a.Poll(); f == nil || err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Poll(); !errors.Is(err, ErrUnacknowledged) {
		t.Fatal(err)
	}
	a.Ack(0)
	if f, err := a.Poll(); err != nil || f.Seq != maxOutstanding {
		t.Fatal(err)
	}
}

func TestFrameErrors(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	many := make([]Count, MaxCursors+1)
	for i := range many {
		many[i] = Count{Sink: fmt.Sprint("s", i)}
	}
	for name, f := range map[string]*Frame{
		"large":      {Payload: make([]byte, MinSegmentSize/2+1)},
		"many sinks": {Counts: many},
		"no name":    {Counts: []Count{{"", 0}}},
		"long name":  {Counts: []Count{{string(make([]byte, MaxName+1)), 0}}},
		"wants more": {Records: 1, Counts: []Count{{"a", 2}}},
	} {
		var fe *FrameError
		if err := s.Append(f); !errors.As(err, &fe) {
			t.Errorf("%s: %v", name, err)
		}
	}
	st, err := s.Status()
	if err != nil || st.Faults.Refused.Frames != 5 {
		t.Errorf("%+v %v", st.Faults, err)
	}
	mustAppend(t, s, 0, 1, 10)
}

func TestSinksComeAndGo(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	a := mustCursor(t, s, "a", Now)
	for i := range uint64(3 * MaxCursors) {
		f := frameOf(i, 4096)
		f.Counts = []Count{{"a", 10}, {fmt.Sprint("s", i), 3}}
		if err := s.Append(f); err != nil {
			// Frames of those that have gone are still there: it passes with them.
			var fe *FrameError
			if !errors.As(err, &fe) {
				t.Fatal(err)
			}
			for f, _ := a.Poll(); f != nil; f, _ = a.Poll() {
				a.Ack(f.Seq)
			}
			s.save()
			if i < MaxCursors-1 {
				t.Fatalf("sink %d: %v", i, err)
			}
		}
	}
	st, _ := s.Status()
	if st.Faults.Refused.Frames > 200 || len(s.end.Counts) > MaxCursors {
		t.Errorf("%d frames refused, %d sinks", st.Faults.Refused.Frames, len(s.end.Counts))
	}
}
