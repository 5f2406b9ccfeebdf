package spool

import (
	"math/rand/v2"
	"testing"
)

// mustAppendFor appends a frame that is for the named sinks alone.
func mustAppendFor(t testing.TB, s *Spool, seq uint64, sinks ...string) {
	t.Helper()
	f := &Frame{Records: 10, First: seq * 10, Last: seq*10 + 9, Payload: payload(seq, 3000), Chosen: true}
	for _, sink := range sinks {
		f.Counts = append(f.Counts, Count{sink, 10})
	}
	if err := s.Append(f); err != nil || f.Seq != seq {
		t.Fatalf("frame %d got number %d: %v", seq, f.Seq, err)
	}
}

// polled reads all there is and gives the numbers.
func polled(t testing.TB, c *Cursor, ack bool) (seqs []uint64) {
	t.Helper()
	for {
		f, err := c.Poll()
		if err != nil {
			t.Fatal(err)
		}
		if f == nil {
			return seqs
		}
		seqs = append(seqs, f.Seq)
		if ack {
			c.Ack(f.Seq)
		}
	}
}

// TestChosen has frames that are for some of the sinks: the others are not
// given them, are not behind for them, and hold no segment for them.
func TestChosen(t *testing.T) {
	cfg := small(t.TempDir())
	cfg.Max = 64 * MinSegmentSize
	s := mustOpen(t, cfg)
	a, b := mustCursor(t, s, "a", Now), mustCursor(t, s, "b", Now)
	r := rand.New(rand.NewPCG(1, 2))
	var forA, forB []uint64
	for seq := range uint64(500) {
		switch r.IntN(3) {
		case 0:
			mustAppendFor(t, s, seq, "a")
			forA = append(forA, seq)
		case 1:
			mustAppendFor(t, s, seq, "b")
			forB = append(forB, seq)
		default:
			mustAppendFor(t, s, seq, "a", "b")
			forA, forB = append(forA, seq), append(forB, seq)
		}
	}
	wantSeqs(t, polled(t, a, true), forA)
	if l, losses := a.State(); !l.Tally.IsZero() || losses != (Losses{}) {
		t.Errorf("lag %+v, losses %+v", l, losses)
	}
	if l := b.Lag(); l.Records != uint64(10*len(forB)) {
		t.Errorf("b is %+v behind for %d frames", l, len(forB))
	}
	s.Close()

	s = mustOpen(t, cfg)
	a, b = mustCursor(t, s, "a", Now), mustCursor(t, s, "b", Now)
	wantSeqs(t, polled(t, a, true), nil)
	wantSeqs(t, polled(t, b, true), forB)
	wantSeqs(t, polled(t, mustCursor(t, s, "c", Oldest), true), nil)
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	st, err := s.Status()
	if err != nil || st.Segments != 1 || st.Cursors[0].Losses != (Losses{}) || st.Cursors[1].Losses != (Losses{}) {
		t.Errorf("%+v %v", st, err)
	}
}

// TestChosenBehindOne has a frame that waits while others' frames go by: they
// take one entry, and count as nothing once the frame is acknowledged.
func TestChosenBehindOne(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	a := mustCursor(t, s, "a", Now)
	mustAppendFor(t, s, 0, "a")
	for seq := uint64(1); seq < 40; seq++ {
		mustAppendFor(t, s, seq, "b")
	}
	wantSeqs(t, polled(t, a, false), []uint64{0})
	if n := len(a.outstanding); n != 2 {
		t.Errorf("%d entries for one frame and those of others", n)
	}
	if l := a.Lag(); l.Records != 10 || l.Frames != 40 {
		t.Errorf("lag %+v", l)
	}
	a.Ack(0)
	if l := a.Lag(); !l.Tally.IsZero() || a.next != 40 {
		t.Errorf("lag %+v, next %d", l, a.next)
	}
}

// TestChosenDropped has the cap drop frames of two sinks: each loses its own.
func TestChosenDropped(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	a, b := mustCursor(t, s, "a", Now), mustCursor(t, s, "b", Now)
	for seq := range uint64(1000) {
		mustAppendFor(t, s, seq, []string{"a", "a", "b"}[seq%3])
	}
	gotA, gotB := uint64(len(polled(t, a, true))), uint64(len(polled(t, b, true)))
	if l := a.Losses().Dropped.Records; l == 0 || l+10*gotA != 6670 {
		t.Errorf("a lost %d records and got %d frames", l, gotA)
	}
	if l := b.Losses().Dropped.Records; l == 0 || l+10*gotB != 3330 {
		t.Errorf("b lost %d records and got %d frames", l, gotB)
	}
}
