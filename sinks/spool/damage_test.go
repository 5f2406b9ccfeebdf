package spool

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// quickDir is a directory in memory, if there is one: these tests open a
// thousand spools, and each open syncs.
func quickDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "spool")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// copyDir copies a spool as it is at this moment, which is what a crash leaves.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := quickDir(t)
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// segmentsOf gives the paths of a spool's segments.
func segmentsOf(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, segmentsDir, "*"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no segments", err)
	}
	return paths
}

func mustWrite(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTornTail cuts the last frame at every byte, as if the machine had died
// while it was written: all before it are there, and nothing is called lost.
func TestTornTail(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	mustCursor(t, s, "a", Now)
	mustAppend(t, s, 0, 1, 20000)
	path := segmentsOf(t, cfg.Dir)[0]
	mustAppend(t, s, 1, 2, walPage-len(mustRead(t, path))-250) // so that the last frame crosses a page
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	start := len(mustRead(t, path))
	if start < walPage-200 || start >= walPage {
		t.Fatalf("the last frame begins at %d", start)
	}
	mustAppend(t, s, 2, 3, 300)
	whole := mustRead(t, path)
	torn := cfg
	torn.Dir = copyDir(t, cfg.Dir)
	for cut := start; cut < len(whole); cut++ {
		mustWrite(t, segmentsOf(t, torn.Dir)[0], whole[:cut])
		checkTorn(t, torn, cut)
		for _, later := range segmentsOf(t, torn.Dir)[1:] {
			os.Remove(later)
		}
		mustWrite(t, filepath.Join(torn.Dir, cursorsFile), mustRead(t, filepath.Join(cfg.Dir, cursorsFile)))
	}
}

func checkTorn(t *testing.T, cfg Config, cut int) {
	t.Helper()
	s := mustOpen(t, cfg)
	defer s.Close()
	a := mustCursor(t, s, "a", Now)
	mustAppend(t, s, 2, 3, 100)
	wantSeqs(t, drain(t, a, false), run(0, 3))
	if l := a.Losses(); l != (Losses{}) {
		t.Fatalf("cut at %d: losses %+v", cut, l)
	}
}

// written makes a spool of three segments with a cursor that has read nothing.
func written(t testing.TB, compress Compression) (cfg Config, frames uint64) {
	t.Helper()
	cfg = small(t.TempDir())
	cfg.Compress = compress
	cfg.Max *= 2
	s := mustOpen(t, cfg)
	mustCursor(t, s, "a", Now)
	mustCursor(t, s, "b", Now)
	for frames = 0; len(s.segments) < 3; frames++ {
		mustAppend(t, s, frames, frames+1, 4000+int(frames)*100)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg, frames
}

// wantAll reads both cursors to the end: in order, each frame once, and what
// was not given is counted, frames and records.
func wantAll(t testing.TB, s *Spool, frames uint64) (lost uint64) {
	t.Helper()
	for _, name := range []string{"a", "b"} {
		c := mustCursor(t, s, name, Now)
		seqs := drain(t, c, true)
		var want, got Tally
		for seq := range frames {
			n, _ := frameOf(seq, 0).Want(name)
			want.Frames, want.Records = want.Frames+1, want.Records+n
		}
		for i, seq := range seqs {
			if i > 0 && seq <= seqs[i-1] || seq >= frames {
				t.Fatalf("%s: frame %d is out of place in %v", name, seq, seqs)
			}
			n, _ := frameOf(seq, 0).Want(name)
			got.Frames, got.Records = got.Frames+1, got.Records+n
		}
		l := c.Losses()
		if l.Dropped != (Tally{}) || l.Damaged.Frames != want.Frames-got.Frames || l.Damaged.Records != want.Records-got.Records {
			t.Fatalf("%s: %+v given of %+v, but losses %+v", name, got, want, l)
		}
		if lag := c.Lag(); !lag.IsZero() {
			t.Fatalf("%s: lag %+v", name, lag)
		}
		lost = l.Damaged.Frames
	}
	return lost
}

// TestBitFlips turns random bits over: nothing wrong is ever given, and
// whatever is missing is counted exactly. Other segments are whole.
func TestBitFlips(t *testing.T) {
	for _, compress := range []Compression{CompressNone, CompressZstd} {
		cfg, frames := written(t, compress)
		worst := uint64(0)
		for seed := range uint64(150) {
			r := rand.New(rand.NewPCG(seed, 7))
			c := cfg
			c.Dir = copyDir(t, cfg.Dir)
			paths := segmentsOf(t, c.Dir)
			path := paths[r.IntN(len(paths))]
			b := mustRead(t, path)
			for range 1 + r.IntN(4) {
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
			mustWrite(t, path, b)
			s := mustOpen(t, c)
			worst = max(worst, wantAll(t, s, frames))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			os.RemoveAll(c.Dir)
		}
		if worst == 0 || worst > frames*2/3 {
			t.Errorf("at worst %d of %d frames were lost", worst, frames)
		}
	}
}

// TestDamagedSegments takes whole segments away, or what is in them.
func TestDamagedSegments(t *testing.T) {
	cfg, frames := written(t, CompressNone)
	for i := range 3 {
		for name, harm := range map[string]func(string) error{
			"gone":    os.Remove,
			"empty":   func(p string) error { return os.Truncate(p, 0) },
			"half":    func(p string) error { return os.Truncate(p, 100000) },
			"garbage": func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("x\x01"), 99999), 0o600) },
			"zeros":   func(p string) error { return os.WriteFile(p, make([]byte, 262144), 0o600) },
		} {
			t.Run(fmt.Sprint(name, i), func(t *testing.T) {
				c := cfg
				c.Dir = copyDir(t, cfg.Dir)
				if err := harm(segmentsOf(t, c.Dir)[i]); err != nil {
					t.Fatal(err)
				}
				s := mustOpen(t, c)
				mustAppend(t, s, frames, frames+1, 50)
				if i == 0 && name == "gone" {
					// The oldest segment cannot be told from one that the cap has taken.
					a := mustCursor(t, s, "a", Now)
					seqs := drain(t, a, true)
					wantSeqs(t, seqs, run(seqs[0], frames+1))
					if l := a.Losses(); l.Dropped.Frames != seqs[0] || l.Dropped.Records != 10*seqs[0] {
						t.Fatalf("losses %+v before frame %d", l, seqs[0])
					}
					return
				}
				if lost := wantAll(t, s, frames+1); lost == 0 && (i < 2 || name != "half") || lost > frames*2/3 {
					t.Errorf("%d of %d frames lost", lost, frames)
				}
			})
		}
	}
}

func TestForeignSegmentIsNamed(t *testing.T) {
	cfg, _ := written(t, CompressNone)
	mustWrite(t, filepath.Join(cfg.Dir, segmentsDir, "99999999"), nil)
	if _, err := Open(cfg, quiet()); err == nil || !bytes.Contains([]byte(err.Error()), []byte("99999999")) {
		t.Fatal(err)
	}
}

// TestDamageUnderWay damages the segment that is being written. Reading waits
// for the next segment, which the next frame begins.
func TestDamageUnderWay(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	a := mustCursor(t, s, "a", Now)
	mustAppend(t, s, 0, 20, 5000)
	path := segmentsOf(t, cfg.Dir)[0]
	b := mustRead(t, path)
	b[50000] ^= 4
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b[50000:50001], 50000); err != nil {
		t.Fatal(err)
	}
	f.Close()
	seqs := drain(t, a, true)
	wantSeqs(t, seqs, run(0, 9))
	mustAppend(t, s, 20, 25, 5000)
	wantSeqs(t, drain(t, a, true), run(20, 25))
	if l := a.Losses().Damaged; l.Frames != 11 || l.Records != 110 {
		t.Errorf("losses %+v", l)
	}
	if st, _ := s.Status(); st.Faults.Segments == 0 {
		t.Error("the damage is not in the status")
	}
}

// TestDamagedPayload has a frame whose payload is wrong although the log's own
// checks pass, as if it had been wrong in memory.
func TestDamagedPayload(t *testing.T) {
	for _, compress := range []Compression{CompressNone, CompressZstd} {
		cfg := small(t.TempDir())
		cfg.Compress = compress
		s := mustOpen(t, cfg)
		a := mustCursor(t, s, "a", Now)
		mustAppend(t, s, 0, 3, 3000)
		bad := frameOf(3, 3000)
		clear(bad.Payload[100:2000]) // compresses
		h := header{kind: kindBatch, seq: 3, records: 10, counts: bad.Counts}
		frame, _ := s.compress.appendFrame(nil, nil, &h, bad.Payload)
		frame[len(frame)-10] ^= 1
		if err := s.wal.write(frame); err != nil {
			t.Fatal(err)
		}
		s.record = frame
		s.publish(&h)
		mustAppend(t, s, 4, 6, 3000)
		wantSeqs(t, drain(t, a, true), []uint64{0, 1, 2, 4, 5})
		if l := a.Losses().Damaged; l.Frames != 1 || l.Records != 10 {
			t.Errorf("losses %+v", l)
		}
	}
}

// TestCursorsFileTorn cuts and changes the file of cursors: whoever cannot be
// placed begins again, and nothing is lost.
func TestCursorsFileTorn(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	a := mustCursor(t, s, "a", Now)
	mustAppend(t, s, 0, 10, 1000)
	drain(t, a, true)
	s.Close()
	whole := mustRead(t, filepath.Join(cfg.Dir, cursorsFile))
	for cut := range len(whole) {
		c := cfg
		c.Dir = copyDir(t, cfg.Dir)
		mustWrite(t, filepath.Join(c.Dir, cursorsFile), whole[:cut])
		if st, err := ReadStatus(c.Dir); err != nil || !st.Damaged {
			t.Fatal(st, err)
		}
		s := mustOpen(t, c)
		wantSeqs(t, drain(t, mustCursor(t, s, "a", Now), true), run(0, 10))
		s.Close()
		if got := mustRead(t, filepath.Join(c.Dir, cursorsFile+".damaged")); !bytes.Equal(got, whole[:cut]) {
			t.Fatal("the damaged file was not kept")
		}
		os.RemoveAll(c.Dir)
	}
}
