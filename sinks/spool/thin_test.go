package spool

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testdisk"
)

// TestDiskLosesWhatItTook runs on a disk whose fsync fails and which then does not
// have what it was given: what was told to be stored is there nevertheless, once
// the disk works, and all else was refused.
func TestDiskLosesWhatItTook(t *testing.T) {
	for _, sync := range []Sync{Sync(time.Minute), SyncAlways} {
		t.Run(sync.String(), func(t *testing.T) { diskLosesWhatItTook(t, sync) })
	}
}

func diskLosesWhatItTook(t *testing.T, sync Sync) {
	thin := testdisk.NewThin(t)
	cfg := small(filepath.Join(thin.Dir, "spool"))
	cfg.Max, cfg.Sync = 1<<30, sync
	s := mustOpen(t, cfg)
	a := mustCursor(t, s, "a", Now)
	taken, refused := uint64(0), uint64(0)
	appendOne := func() {
		f := frameOf(taken, 20000)
		if err := s.Append(f); err != nil {
			refused++
			return
		}
		taken++
	}
	for refused < 5 {
		appendOne()
		if taken%3 == 0 {
			s.commit() //nolint:errcheck // that is what this is about
		}
	}
	wantSeqs(t, drain(t, a, false), run(0, taken)) // out of the kernel's memory
	thin.Keep(t)
	for end := taken + 30; taken < end; {
		appendOne()
	}
	st, err := s.Status()
	if err != nil || st.Faults.Syncs < 2 || st.Faults.Refused.Frames != refused {
		t.Fatalf("%d refused, %+v %v", refused, st.Faults, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	thin.Remount(t)
	s = mustOpen(t, cfg)
	a = mustCursor(t, s, "a", Now)
	wantSeqs(t, drain(t, a, true), run(0, taken))
	if l := a.Losses(); l.Refused.Frames != refused || l.Dropped.Frames+l.Damaged.Frames > 0 {
		t.Errorf("%d refused, losses %+v", refused, l)
	}
	if err := s.Close(); err != nil { // before the disk goes
		t.Fatal(err)
	}
}
