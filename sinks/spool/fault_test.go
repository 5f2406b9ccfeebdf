package spool

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// disk fails syncs as told. It stands for the one part of a disk's failure
// that no test can bring about with a real one.
type disk struct {
	fail   int // so many syncs, then none
	always bool
	synced map[string]int
	opened int
}

type faultyFile struct {
	syncer
	path string
	d    *disk
}

func (d *disk) open(path string) (syncer, error) {
	f, err := openSyncer(path)
	d.opened++
	return faultyFile{f, path, d}, err
}

func (f faultyFile) Sync() error {
	f.d.synced[f.path]++
	if f.d.fail > 0 || f.d.always {
		f.d.fail--
		return &os.PathError{Op: "sync", Path: f.path, Err: unix.EIO}
	}
	return f.syncer.Sync()
}

func faulty(t *testing.T, cfg Config) (*Spool, *disk) {
	t.Helper()
	d := &disk{synced: map[string]int{}}
	s, err := open(cfg, quiet(), d.open)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, d
}

// TestSyncFails has syncs fail: the segment is never synced again, what it had
// is written to a new one, and a reader gets every frame once.
func TestSyncFails(t *testing.T) {
	cfg := small(t.TempDir())
	cfg.Sync = Sync(time.Minute)
	s, d := faulty(t, cfg)
	a := mustCursor(t, s, "a", Now)
	mustAppend(t, s, 0, 5, 1000)
	if err := s.commit(); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, 5, 10, 1000)
	wantSeqs(t, drain(t, a, true)[:7], run(0, 7))
	d.fail = 1
	if err := s.commit(); err != nil {
		t.Fatal(err)
	}
	if len(s.unsynced) > 0 || len(s.segments) != 2 || s.segments[1].base.Frames != 5 {
		t.Fatalf("%d unsynced, segments %+v", len(s.unsynced), s.segments)
	}
	mustAppend(t, s, 10, 15, 1000)
	wantSeqs(t, drain(t, a, true), run(10, 15))
	b := mustCursor(t, s, "b", Oldest)
	wantSeqs(t, drain(t, b, true), run(0, 15))
	if a.Losses() != (Losses{}) || b.Losses() != (Losses{}) {
		t.Errorf("losses %+v %+v", a.Losses(), b.Losses())
	}
	if st, _ := s.Status(); st.Faults.Syncs != 1 {
		t.Errorf("%+v", st.Faults)
	}
	for path, n := range d.synced {
		if n > 2 {
			t.Errorf("%s was synced %d times", path, n)
		}
	}
	c := cfg
	c.Dir = copyDir(t, cfg.Dir)
	if err := os.Remove(filepath.Join(c.Dir, acksFile)); err != nil {
		t.Fatal(err) // with it all is done, and the oldest segment goes
	}
	s = mustOpen(t, c)
	wantSeqs(t, drain(t, mustCursor(t, s, "z", Oldest), true), run(0, 15))
}

// TestLastRunIsSynced kills a run before its interval is over: the next syncs
// what it left, before it begins a segment of its own, unless nothing is to be.
func TestLastRunIsSynced(t *testing.T) {
	for _, sync := range []Sync{Sync(time.Minute), SyncNone} {
		cfg := small(t.TempDir())
		cfg.Sync = sync
		s := mustOpen(t, cfg)
		mustCursor(t, s, "a", Now)
		mustAppend(t, s, 0, 5, 1000)
		dead := cfg
		dead.Dir = copyDir(t, cfg.Dir)
		_, d := faulty(t, dead)
		if n := d.synced[segmentsOf(t, dead.Dir)[0]]; (n > 0) != (sync > 0) {
			t.Errorf("sync %v: %d syncs", sync, n)
		}
	}
}

// TestSyncFailsAfterManySinks has more sinks come and go than a header has room
// for: the checkpoint of what could be synced must be readable too.
func TestSyncFailsAfterManySinks(t *testing.T) {
	cfg := small(t.TempDir())
	cfg.Sync = Sync(time.Minute)
	s, d := faulty(t, cfg)
	stays := mustCursor(t, s, "stays", Now)
	frames := uint64(2 * MaxCursors)
	for seq := range frames {
		name := "s" + itoa(int(seq))
		mustCursor(t, s, name, Now)
		f := &Frame{Records: 1, Counts: []Count{{name, 1}, {"stays", 1}}, Payload: payload(seq, 20000)}
		if err := s.Append(f); err != nil {
			t.Fatal(err)
		}
		if got, err := stays.Poll(); err != nil || got.Seq != seq {
			t.Fatal(got, err)
		}
		stays.Ack(seq)
		if err := s.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	d.fail = 1
	if err := s.commit(); err != nil {
		t.Fatal(err)
	}
	paths := segmentsOf(t, cfg.Dir)
	if base, ok := readBase(paths[len(paths)-1]); !ok || base.Counts["stays"] != base.Frames {
		t.Errorf("the checkpoint of %d sinks cannot be read: %+v", len(s.synced.Counts), base)
	}
}

// TestSyncKeepsFailing is a disk that syncs nothing: memory stays bounded,
// frames are refused, nothing is given twice, and when it works again it goes on.
func TestSyncKeepsFailing(t *testing.T) {
	cfg := small(t.TempDir())
	cfg.Sync = Sync(time.Minute)
	cfg.Max = 64 * MinSegmentSize
	s, d := faulty(t, cfg)
	a := mustCursor(t, s, "a", Now)
	d.always = true
	taken := uint64(0)
	for range 200 {
		if err := s.Append(frameOf(taken, 10000)); err == nil {
			taken++
		} else if !errors.Is(err, unix.EIO) {
			t.Fatal(err)
		}
	}
	if s.waiting > MinSegmentSize || len(s.abandoned) > maxAbandoned || taken > 20 {
		t.Fatalf("%d bytes wait, %d logs abandoned, %d frames taken", s.waiting, len(s.abandoned), taken)
	}
	wantSeqs(t, drain(t, a, true), run(0, taken))
	d.always = false
	mustAppend(t, s, taken, taken+40, 10000)
	wantSeqs(t, drain(t, a, true), run(taken, taken+40))
	if l := a.Losses(); l.Refused.Frames != 200-taken || l.Dropped.Frames+l.Damaged.Frames != 0 {
		t.Errorf("taken %d, losses %+v", taken, l)
	}
	if n := openFiles(t); n > 60 {
		t.Errorf("%d open files", n)
	}
}

// TestSyncAlwaysFails refuses the frame that could not be synced, and nobody
// ever reads it.
func TestSyncAlwaysFails(t *testing.T) {
	cfg := small(t.TempDir())
	cfg.Sync = SyncAlways
	s, d := faulty(t, cfg)
	a, _ := mustCursor(t, s, "a", Now), mustCursor(t, s, "b", Now)
	mustAppend(t, s, 0, 3, 1000)
	d.fail = 1 // the second try is in a new segment
	mustAppend(t, s, 3, 5, 1000)
	d.fail = 2
	if err := s.Append(frameOf(77, 500)); !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	wantSeqs(t, drain(t, a, true), run(0, 5))
	mustAppend(t, s, 5, 9, 1000)
	wantSeqs(t, drain(t, a, true), run(5, 9))
	s.Close()
	s = mustOpen(t, cfg)
	wantSeqs(t, drain(t, mustCursor(t, s, "b", Now), true), run(0, 9))
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// tmpfs mounts a file system of a few MiB.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		lacking(t, "a full disk needs the right to mount a tmpfs: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// ballast fills the file system but for some room.
func ballast(t *testing.T, dir string, leave int64) (path string) {
	t.Helper()
	free, err := freeBytes(dir)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "ballast")
	mustWrite(t, path, make([]byte, max(0, free-leave)))
	return path
}

// TestDiskFull fills the disk under a spool, twice: first so that dropping
// the oldest segments makes room, then so that nothing does.
func TestDiskFull(t *testing.T) {
	for _, sync := range []Sync{SyncAlways, SyncNone, Sync(time.Minute)} {
		t.Run(sync.String(), func(t *testing.T) {
			mount := tmpfs(t, "8m")
			cfg := small(filepath.Join(mount, "spool"))
			cfg.Max, cfg.Sync = 1<<30, sync
			s := mustOpen(t, cfg)
			dead, live := mustCursor(t, s, "b", Now), mustCursor(t, s, "a", Now)
			const frames = 2000
			for seq := range uint64(frames) { // more than the disk has
				mustAppend(t, s, seq, seq+1, 10000)
				wantSeqs(t, drain(t, live, true), run(seq, seq+1))
			}
			l, lag := dead.Losses(), dead.Lag()
			if l.Dropped.Frames == 0 || l.Dropped.Frames+lag.Frames != frames || l.Dropped.Records+lag.Records != (frames+2)/3 {
				t.Fatalf("losses %+v, lag %+v", l, lag)
			}

			mustRemove(t, s, cfg)
			refuseAndRecover(t, s, mount, live, frames)
			s.Close()
			s = mustOpen(t, cfg)
			wantSeqs(t, drain(t, mustCursor(t, s, "a", Now), true), nil)
		})
	}
}

// mustRemove removes the dead cursor and has its segments deleted.
func mustRemove(t *testing.T, s *Spool, cfg Config) {
	t.Helper()
	if err := s.Remove("b"); err != nil {
		t.Fatal(err)
	}
	if n := segmentFiles(t, cfg); n > 1 {
		t.Fatalf("%d segments", n)
	}
}

// refuseAndRecover leaves no room at all, with writes that fail at every
// place where they can, and then takes the ballast away.
func refuseAndRecover(t *testing.T, s *Spool, mount string, live *Cursor, next uint64) {
	t.Helper()
	s.cfg.MinFree = -1 << 40 // so that it is the file system that refuses
	refused := uint64(0)
	for leave := int64(0); leave < 200<<10; leave += 8 << 10 {
		filler := ballast(t, mount, leave)
		for range 10 {
			err := s.Append(frameOf(next, 30000))
			switch {
			case err == nil:
				next++
			case errors.Is(err, ErrNoRoom) && strings.Contains(err.Error(), "no space left on device"):
				refused++
			default:
				t.Fatal(err)
			}
		}
		if len(s.abandoned) > maxAbandoned {
			t.Fatalf("%d logs abandoned", len(s.abandoned))
		}
		os.Remove(filler)
		mustAppend(t, s, next, next+1, 100)
		next++
	}
	l := live.Losses()
	if refused == 0 || l.Refused.Frames != refused || l.Refused.Records != 10*refused {
		t.Errorf("%d refused, losses %+v", refused, l)
	}
	if st, err := s.Status(); err != nil || st.Faults.Writes == 0 {
		t.Errorf("no write failed: %+v %v", st, err)
	}
	seqs := drain(t, live, true)
	if uint64(len(seqs))+l.Dropped.Frames+2000 != next || l.Damaged.Frames != 0 {
		t.Errorf("%d given behind 2000 of %d, losses %+v", len(seqs), next, l)
	}
}

// TestTwoProcesses has a second process try the directory.
func TestTwoProcesses(t *testing.T) {
	cfg := small(t.TempDir())
	if os.Getenv("SPOOL_SECOND") != "" {
		cfg.Dir = os.Getenv("SPOOL_SECOND")
		if _, err := Open(cfg, quiet()); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), os.Getenv("SPOOL_FIRST")) {
			t.Fatal(err)
		}
		if st, err := ReadStatus(cfg.Dir); err != nil || st.Frames != 5 || len(st.Cursors) != 1 || st.Cursors[0].Lag.Frames != 2 {
			t.Fatal(st, err)
		}
		return
	}
	s := mustOpen(t, cfg)
	a := mustCursor(t, s, "a", Now)
	mustAppend(t, s, 0, 5, 100)
	for range 3 {
		f, _ := a.Poll()
		a.Ack(f.Seq)
	}
	s.save()
	if _, err := Open(cfg, quiet()); !errors.Is(err, ErrLocked) {
		t.Fatal(err) // in the same process too
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestTwoProcesses$", "-test.count=1")
	cmd.Env = append(os.Environ(), "SPOOL_SECOND="+cfg.Dir, "SPOOL_FIRST="+itoa(os.Getpid()))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.Close()
	mustOpen(t, cfg)
}
