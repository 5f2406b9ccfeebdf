package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/option"
	"golang.org/x/sys/unix"
)

// longBatch makes n records, the first of number seq, of random lengths up to most.
func longBatch(rng *rand.Rand, seq uint64, n, most int) *Batch {
	b := &Batch{}
	for i := range uint64(n) {
		r := *recordNo(seq + i)
		r.Value = fmt.Appendf(nil, "%d ", r.Seq)
		for range rng.IntN(most) {
			r.Value = append(r.Value, byte('a'+rng.IntN(26)))
		}
		b.Records = append(b.Records, r)
	}
	return b
}

// directly turns direct writes on, beside what else a test changes.
func directly(change func(*FileOptions)) func(*FileOptions) {
	return func(o *FileOptions) {
		o.Direct = DirectAuto
		if change != nil {
			change(o)
		}
	}
}

// wroteDirectly tells whether direct writes are in use, where the test's file
// system takes them.
func wroteDirectly(t *testing.T, s *fileSink) bool {
	t.Helper()
	if s.direct.refused {
		lacking(t, "the file system of the temporary directory takes no direct writes")
	}
	return s.direct.file != nil
}

// TestDirectIsPlain writes the same random batches directly and plainly, with and
// without rotation: the files are the same, byte for byte.
func TestDirectIsPlain(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		encoding := []string{"json", "protobuf"}[seed%2]
		dir, direct := t.TempDir(), 0
		var got [2][]byte
		for i, how := range []FileDirect{DirectAuto, DirectOff} {
			rng := rand.New(rand.NewPCG(seed, 1))
			s := fileFor(t, dir, string(how), encoding, func(o *FileOptions) {
				o.Direct, o.Rotate.Size = how, option.Size(seed%3*2<<20)
				o.Fsync = []FileFsync{FsyncNone, FsyncBatch}[seed/2%2]
			})
			mustOpen(t, s)
			for seq := uint64(1); seq < 12_000; {
				b := longBatch(rng, seq, 1+rng.IntN(3000), 1400)
				s.direct.until = time.Time{} // a slow disk is another test's
				must(t, s.Write(context.Background(), b))
				if how == DirectAuto && wroteDirectly(t, s) {
					direct++
				}
				seq += uint64(len(b.Records))
			}
			for _, name := range slices.Sorted(slices.Values(names(t, dir))) {
				if strings.HasPrefix(name, string(how)+"-") { // rotated: their names sort by time
					got[i] = append(got[i], readAll(t, filepath.Join(dir, name))...)
				}
			}
			got[i] = append(got[i], readAll(t, filepath.Join(dir, string(how)))...)
		}
		if !bytes.Equal(got[0], got[1]) || len(got[0]) == 0 || direct == 0 {
			t.Errorf("seed %d: %d bytes directly (%d batches), %d plainly", seed, len(got[0]), direct, len(got[1]))
		}
	}
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return data
}

// TestDirectFollowed has a reader follow the file as tail -f does: it sees every
// record, whole and in order, and never a byte that is to change.
func TestDirectFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := fileFor(t, dir, "f", "json", directly(func(o *FileOptions) { o.Rotate.Size = 0 }))
	mustOpen(t, s)
	const last = 40_000
	told := make(chan error, 1)
	go func() { told <- follow(filepath.Join(dir, "f"), last) }()
	rng := rand.New(rand.NewPCG(7, 7))
	for seq := uint64(1); seq <= last; {
		n := min(1+rng.IntN(2000), int(last-seq+1))
		must(t, s.Write(context.Background(), longBatch(rng, seq, n, 1000)))
		s.direct.until = time.Time{}
		seq += uint64(n)
	}
	if !wroteDirectly(t, s) {
		t.Error("nothing was written directly")
	}
	must(t, <-told)
}

func follow(path string, last uint64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var rest []byte
	buf, want := make([]byte, 1<<20), uint64(1)
	for deadline := time.Now().Add(30 * time.Second); want <= last; {
		n, err := f.Read(buf)
		if errors.Is(err, io.EOF) && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond / 4)
			continue
		}
		if err != nil {
			return err
		}
		records, half := split(encode.Lines, append(rest, buf[:n]...))
		for _, r := range records {
			var seq uint64
			if _, err := fmt.Sscanf(string(r), "%d ", &seq); err != nil || seq != want || bytes.IndexByte(r, 0) >= 0 {
				return fmt.Errorf("after record %d came %.40q", want-1, r)
			}
			want++
		}
		rest = bytes.Clone(half)
	}
	return nil
}

// TestDirectRefused falls back where the file system takes no direct writes, and
// where it takes them no more at the place where the file ends.
func TestDirectRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(*testing.T, *fileSink)
	}{
		{"in the middle", func(t *testing.T, s *fileSink) {
			f, err := s.root.OpenFile("f", os.O_WRONLY|os.O_APPEND|unix.O_DIRECT, 0)
			must(t, err)
			s.direct.file = f
			must(t, f.Close()) // this, too, is answered by an error
			r, err := os.Open(os.DevNull)
			must(t, err)
			s.direct.file = r
		}},
		{"from the start", func(_ *testing.T, s *fileSink) { s.direct.refused = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := fileFor(t, dir, "f", "json", directly(nil))
			mustOpen(t, s)
			c.before(t, s)
			rng := rand.New(rand.NewPCG(1, 2))
			b := longBatch(rng, 1, 2000, 1000)
			err := s.Write(context.Background(), b)
			if c.name == "in the middle" {
				// A descriptor that cannot be written to is no refusal: the batch comes again.
				if err == nil {
					t.Fatal("written to /dev/null's reader")
				}
				s.direct.close()
				rest := &Batch{}
				for i := range b.Records {
					if b.done == nil || !b.done[i] {
						rest.Records = append(rest.Records, b.Records[i])
					}
				}
				err = s.Write(context.Background(), rest)
			}
			must(t, err)
			must(t, follow(filepath.Join(dir, "f"), 2000))
		})
	}
}

// TestDirectOddEnd has another process make the file's end one where the disk
// takes no direct write: what is left is written plainly, once.
func TestDirectOddEnd(t *testing.T) {
	dir := t.TempDir()
	s := fileFor(t, dir, "f", "json", directly(func(o *FileOptions) { o.Rotate.Size = 0 }))
	mustOpen(t, s)
	rng := rand.New(rand.NewPCG(3, 4))
	must(t, s.Write(context.Background(), longBatch(rng, 1, 2000, 1000)))
	if !wroteDirectly(t, s) {
		t.Fatal("not direct")
	}
	s.stage.begin(s.size + 100) // as if the file had been 100 bytes longer when it was looked at
	b := longBatch(rng, 2001, 2000, 1000)
	for i := range b.Records {
		s.stage.add(encode.Lines, b.Records[i].Value)
	}
	n, err := s.put()
	must(t, err)
	if n != s.stage.size() || !s.direct.refused {
		t.Errorf("%d of %d bytes, refused %v", n, s.stage.size(), s.direct.refused)
	}
	must(t, follow(filepath.Join(dir, "f"), 4000))
}

// TestDirectOnRamfs writes where O_DIRECT cannot even be opened.
func TestDirectOnRamfs(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("ramfs", dir, "ramfs", 0, ""); err != nil {
		lacking(t, "a file system without direct writes needs the right to mount: "+err.Error())
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	s := fileFor(t, dir, "f", "json", directly(nil))
	mustOpen(t, s)
	must(t, s.Write(context.Background(), longBatch(rand.New(rand.NewPCG(1, 2)), 1, 2000, 1000)))
	if !s.direct.refused {
		t.Error("not refused")
	}
	must(t, follow(filepath.Join(dir, "f"), 2000))
}

// TestDirectFullDisk fills a disk of ext4 by direct writes: whole records stay,
// and once there is room the others follow.
func TestDirectFullDisk(t *testing.T) {
	dir := ext4(t, 24<<20)
	ballast := filepath.Join(dir, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 14<<20), 0o600))
	s := fileFor(t, dir, "f", "json", directly(func(o *FileOptions) { o.Rotate.Size = 0 }))
	mustOpen(t, s)
	b := longBatch(rand.New(rand.NewPCG(5, 6)), 1, 18_000, 1000) // some 9 MB
	err := s.Write(context.Background(), b)
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("%v", err)
	}
	must(t, os.Remove(ballast))
	rest := &Batch{}
	for i := range b.Records {
		if !b.done[i] {
			rest.Records = append(rest.Records, b.Records[i])
		}
	}
	must(t, follow(filepath.Join(dir, "f"), uint64(len(b.Records)-len(rest.Records))))
	must(t, s.Write(context.Background(), rest))
	must(t, follow(filepath.Join(dir, "f"), 18_000))
}

// ext4 mounts a small disk of its own.
func ext4(t *testing.T, size int64) string {
	t.Helper()
	dir := t.TempDir()
	image := filepath.Join(dir, "image")
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, size))
	at := filepath.Join(dir, "at")
	must(t, os.Mkdir(at, 0o700))
	for _, c := range [][]string{{"mkfs.ext4", "-q", "-m", "0", image}, {"mount", "-o", "loop", image, at}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			lacking(t, fmt.Sprintf("a small ext4 needs %s: %v: %s", c[0], err, out))
		}
	}
	t.Cleanup(func() { must(t, unix.Unmount(at, unix.MNT_DETACH)) })
	return at
}

// TestDirectRests leaves a slow disk to the page cache, longer each time.
func TestDirectRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d direct
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			d.judge(directStall + 1)
			left := time.Until(d.until)
			if d.rest != want*time.Second || left != d.rest || d.wanted(1<<20, time.Now()) {
				t.Errorf("after %d stalls: rest of %v, %v left", i+1, d.rest, left)
			}
		}
		if !d.wanted(directLeast, d.until) || d.wanted(directLeast-1, d.until) {
			t.Error("after the rest")
		}
		time.Sleep(time.Minute)
		if d.judge(time.Millisecond); d.rest == 0 {
			t.Error("trusted at the first good write")
		}
		time.Sleep(2 * time.Minute)
		if d.judge(time.Millisecond); d.rest != 0 {
			t.Error("not trusted after a good minute")
		}
	})
}

// TestDirectBearsWithOutliers rests for a disk that is slow on average alone.
func TestDirectBearsWithOutliers(t *testing.T) {
	var d direct
	for i := range 1000 {
		took := time.Millisecond
		if i%20 == 0 {
			took = directStall / 2
		}
		if d.judge(took); d.rest > 0 {
			t.Fatalf("rests after write %d", i)
		}
	}
	d = direct{}
	n := 0
	for ; d.rest == 0; n++ {
		d.judge(2 * directPatience)
	}
	if n < 3 || n > 10 {
		t.Errorf("rests after %d slow writes", n)
	}
}

// TestStage lays random records on pages as the file will have them.
func TestStage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := newStage(64 << 10)
	for range 500 {
		pos := rng.Int64N(1 << 40)
		s.begin(pos)
		var want []byte
		for range rng.IntN(40) {
			r := make([]byte, 1+rng.IntN(3000))
			if !s.fits(len(r) + 10) {
				break
			}
			s.add(encode.Delimited, r)
			want = appendFrame(want, encode.Delimited, r)
		}
		head, pages, tail := s.parts()
		if got := slices.Concat(head, pages, tail); !bytes.Equal(got, want) || !bytes.Equal(s.bytes(), want) {
			t.Fatal("the parts are not the whole")
		}
		if len(pages)%pageAlign != 0 || len(pages) > 0 && ((pos+int64(len(head)))%pageAlign != 0 || len(tail) >= pageAlign || len(head) >= pageAlign) {
			t.Fatalf("at %d: %d, %d, %d", pos, len(head), len(pages), len(tail))
		}
	}
	s.begin(5)
	if s.fits(1 << 20) {
		t.Error("fits")
	}
	s.widen(1 << 20)
	if !s.fits(1<<20) || s.from != 5 {
		t.Error("does not fit")
	}
}
