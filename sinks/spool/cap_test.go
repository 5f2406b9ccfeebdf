package spool

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

// TestCapWithOneDeadCursor writes ten times what the spool may hold. One sink
// reads, one is dead and one reads some of it: the books of each are exact, and
// the spool never holds more than its cap.
func TestCapWithOneDeadCursor(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	dead, live, slow := mustCursor(t, s, "b", Now), mustCursor(t, s, "a", Now), mustCursor(t, s, "c", Now)
	const frames = 1000
	var liveGot, slowGot []uint64
	r := rand.New(rand.NewPCG(1, 2))
	for seq := range uint64(frames) {
		mustAppend(t, s, seq, seq+1, 5000+r.IntN(10000))
		liveGot = append(liveGot, drain(t, live, true)...)
		if seq%4 == 0 {
			if f, err := slow.Poll(); err != nil {
				t.Fatal(err)
			} else if f != nil {
				checkFrame(t, f)
				slowGot = append(slowGot, f.Seq)
				slow.Ack(f.Seq)
			}
		}
		if s.Bytes() > cfg.Max {
			t.Fatalf("%d bytes of %d", s.Bytes(), cfg.Max)
		}
	}
	wantSeqs(t, liveGot, run(0, frames))
	slowGot = append(slowGot, drain(t, slow, true)...)
	if l := slow.Losses(); l.Dropped.Frames != frames-uint64(len(slowGot)) || l.Dropped.Records != 0 {
		t.Errorf("slow: %d frames given, losses %+v", len(slowGot), l)
	}
	checkDead(t, dead, frames, 0)
	s.Close()

	s = mustOpen(t, cfg)
	dead = mustCursor(t, s, "b", Now)
	before := dead.Losses()
	checkDead(t, dead, frames, 0)
	seqs := drain(t, dead, true)
	wantSeqs(t, seqs, run(before.Dropped.Frames, frames))
	if l := dead.Losses(); l != before {
		t.Errorf("losses grew from %+v to %+v", before, l)
	}
}

// checkDead checks the books of b, which has been given a number of frames and
// acknowledged none: what is dropped and what waits is all there was.
func checkDead(t *testing.T, c *Cursor, frames, given uint64) {
	t.Helper()
	l, lag := c.Losses(), c.Lag()
	if l.Dropped.Frames == 0 || l.Dropped.Frames+lag.Frames != frames || l.Dropped.Records+lag.Records != (frames+2)/3 {
		t.Errorf("dropped %+v, lag %+v of %d frames", l.Dropped, lag, frames)
	}
	// Every third frame has one record of b: frames 0 to n-1 have (n+2)/3.
	if first := given; l.Dropped.Records != (first+l.Dropped.Frames+2)/3-(first+2)/3 {
		t.Errorf("dropped %+v behind frame %d", l.Dropped, given)
	}
	if lag.Oldest.IsZero() || time.Since(lag.Oldest) > time.Minute {
		t.Errorf("oldest %v", lag.Oldest)
	}
}

// TestCapPassesFramesInFlight drops segments behind frames that a sink was
// given and holds: these are not counted, unless the process dies with them.
func TestCapPassesFramesInFlight(t *testing.T) {
	for _, crash := range []bool{false, true} {
		cfg := small(t.TempDir())
		s := mustOpen(t, cfg)
		b := mustCursor(t, s, "b", Now)
		mustAppend(t, s, 0, 9, 10000)
		for range 6 {
			if f, err := b.Poll(); f == nil || err != nil {
				t.Fatal(err)
			}
		}
		b.Ack(2)
		const frames = 300
		mustAppend(t, s, 9, frames, 10000)
		if l := b.Losses(); l.Dropped.Frames == 0 || l.Dropped.Records != (6+l.Dropped.Frames+2)/3-2 {
			t.Fatalf("losses %+v", l)
		}
		gone := b.Losses().Dropped.Frames
		given := uint64(6)
		if crash {
			if err := s.save(); err != nil {
				t.Fatal(err)
			}
			s.Close()
			s = mustOpen(t, cfg)
			b = mustCursor(t, s, "b", Now)
			gone, given = gone+3, 3
		} else {
			b.Ack(5)
		}
		if l := b.Losses(); l.Dropped.Frames != gone || l.Dropped.Records != (given+gone+2)/3-(given+2)/3 {
			t.Errorf("crash %v: losses %+v, want %d frames", crash, l, gone)
		}
		wantSeqs(t, drain(t, b, true), run(given+gone, frames))
		if lag := b.Lag(); !lag.IsZero() {
			t.Errorf("lag %+v", lag)
		}
		s.Close()
	}
}

// TestCapDropComesBack has a power failure undo the deletion of a segment that
// was dropped behind frames in flight: what was counted is not given.
func TestCapDropComesBack(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	a := mustCursor(t, s, "a", Now)
	mustAppend(t, s, 0, 9, 10000)
	for range 6 {
		if f, err := a.Poll(); f == nil || err != nil {
			t.Fatal(err)
		}
	}
	a.Ack(2)
	oldest, frames := segmentsOf(t, cfg.Dir)[0], uint64(9)
	var undone []byte
	for ; a.Losses() == (Losses{}); frames++ {
		undone = mustRead(t, oldest)
		mustAppend(t, s, frames, frames+1, 10000)
	}
	dead := cfg
	dead.Dir = copyDir(t, cfg.Dir)
	mustWrite(t, filepath.Join(dead.Dir, segmentsDir, filepath.Base(oldest)), undone)
	d := mustOpen(t, dead)
	a = mustCursor(t, d, "a", Now)
	gone := 3 + a.Losses().Dropped.Frames // 3 were acknowledged
	if l, lag := a.Losses(), a.Lag(); l.Dropped.Records != 10*(gone-3) || lag.Records != 10*(frames-gone) {
		t.Errorf("of %d frames: losses %+v, lag %+v", frames, l, lag)
	}
	wantSeqs(t, drain(t, a, true), run(gone, frames))
}

// TestCapWhileReading drops segments under cursors that read all the time.
func TestCapWhileReading(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	c := mustCursor(t, s, "a", Now)
	const frames = 3000
	done := make(chan uint64)
	go func() {
		var got uint64
		last := int64(-1)
		for last < frames-1 {
			f, err := c.Next(t.Context())
			if err != nil || int64(f.Seq) <= last {
				t.Error(last, f, err)
				break
			}
			checkFrame(t, f)
			last = int64(f.Seq)
			got++
			if got%4 == 0 {
				time.Sleep(time.Millisecond)
			}
			c.Ack(f.Seq)
		}
		done <- got
	}()
	mustAppend(t, s, 0, frames, 8000)
	got := <-done
	if l := c.Losses(); l.Dropped.Frames != frames-got || l.Dropped.Records != 10*(frames-got) || l.Damaged != (Tally{}) {
		t.Errorf("%d of %d given, losses %+v", got, frames, l)
	}
	t.Logf("%d of %d given, the others dropped", got, frames)
}

// TestMinFree refuses when the disk is fuller than it may be and nothing is
// left to drop, and takes again when it may.
func TestMinFree(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	a := mustCursor(t, s, "a", Now)
	mustAppend(t, s, 0, 60, 10000)
	if len(s.segments) < 3 {
		t.Fatal("too few segments")
	}
	s.cfg.MinFree = 1 << 60
	if err := s.Append(frameOf(60, 100)); !errors.Is(err, ErrNoRoom) {
		t.Fatal(err)
	}
	if len(s.segments) != 1 {
		t.Errorf("%d segments are kept on a disk that is too full", len(s.segments))
	}
	l := a.Losses()
	if l.Refused.Frames != 1 || l.Refused.Records != 10 || l.Dropped.Frames == 0 {
		t.Errorf("losses %+v", l)
	}
	s.cfg.MinFree = 0
	mustAppend(t, s, 60, 70, 100)
	wantSeqs(t, drain(t, a, true), run(l.Dropped.Frames, 70))
	if st, err := s.Status(); err != nil || st.Faults.Refused.Frames != 1 || st.Faults.Refused.Records != 10 {
		t.Errorf("%+v %v", st, err)
	}
}
