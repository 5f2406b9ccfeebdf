package spool

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRefusedStaysRefused has the disk fail while a frame is written, at every
// place where it can, and the spool end right then: whether the process dies, or
// closes the spool when there is room again, what Append refused is never given.
func TestRefusedStaysRefused(t *testing.T) {
	for leave := int64(0); leave < 100<<10; leave += 4 << 10 {
		mount := tmpfs(t, "2m")
		cfg := small(filepath.Join(mount, "spool"))
		s := mustOpen(t, cfg)
		mustCursor(t, s, "a", Now)
		mustAppend(t, s, 0, 2, 20000)
		filler := ballast(t, mount, leave)
		s.cfg.MinFree = -1 << 40 // so that it is the file system that refuses
		taken := uint64(2)
		for ; taken < 20; taken++ {
			if err := s.Append(frameOf(taken, 20000)); errors.Is(err, ErrNoRoom) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		dead := cfg
		dead.Dir = copyDir(t, cfg.Dir)
		wantSeqs(t, drain(t, mustCursor(t, mustOpen(t, dead), "a", Now), true), run(0, taken))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, cfg)
		wantSeqs(t, drain(t, mustCursor(t, s, "a", Now), true), run(0, taken))
		s.Close()
	}
}

// TestNotSyncedStaysRefused is the same for a frame that was written and could
// not be synced, in its segment and in the one that was begun for it.
func TestNotSyncedStaysRefused(t *testing.T) {
	cfg := small(t.TempDir())
	cfg.Sync = SyncAlways
	s, d := faulty(t, cfg)
	mustCursor(t, s, "a", Now)
	mustAppend(t, s, 0, 3, 1000)
	d.fail = 2
	if err := s.Append(frameOf(77, 500)); !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	dead := cfg
	dead.Dir = copyDir(t, cfg.Dir)
	wantSeqs(t, drain(t, mustCursor(t, mustOpen(t, dead), "a", Now), true), run(0, 3))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, cfg)
	wantSeqs(t, drain(t, mustCursor(t, s, "a", Now), true), run(0, 3))
	mustAppend(t, s, 3, 5, 1000)
	wantSeqs(t, drain(t, mustCursor(t, s, "a", Now), true), run(3, 5))
}
