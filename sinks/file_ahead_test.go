package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/option"
	"golang.org/x/sys/unix"
)

// smallExt4 makes and mounts a file system of some MiB.
func smallExt4(t *testing.T, size string) string {
	t.Helper()
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if out, err := exec.Command("/sbin/mkfs.ext4", "-q", image, size).CombinedOutput(); err != nil {
		lacking(t, fmt.Sprintf("no ext4 to be made: %v: %s", err, out))
	}
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		lacking(t, fmt.Sprintf("no ext4 to be mounted: %v: %s", err, out))
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// bigBatch makes n records of some KiB each, the first of number seq.
func bigBatch(seq uint64, n int) *Batch {
	b := &Batch{}
	for i := range uint64(n) {
		r := *recordNo(seq + i)
		r.Value = fmt.Appendf(nil, "%-4000s", r.Value)
		b.Records = append(b.Records, r)
	}
	return lent(b, encode.Lines)
}

// paddedSeqs are the numbers of such records in a file.
func paddedSeqs(t *testing.T, path string) []uint64 {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	var out []byte
	for line := range bytes.Lines(data) {
		if len(line) != 4001 {
			t.Fatalf("%s has a line of %d bytes", path, len(line))
		}
		out = append(append(out, bytes.TrimRight(line, " \n")...), '\n')
	}
	return seqsOf(t, path, encode.Lines, out)
}

// blocks are the bytes that a file takes on its disk, and those that it has.
func blocks(t *testing.T, path string) (taken, size int64) {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Stat(path, &st))
	return st.Blocks * 512, st.Size
}

// TestFileAhead writes enough for blocks to be allocated ahead: never more than a part
// of the file, and none is left when the file is rotated or closed.
func TestFileAhead(t *testing.T) {
	dir := smallExt4(t, "192m")
	path := filepath.Join(dir, "f.log")
	s := fileFor(t, dir, "f.log", "json", func(o *FileOptions) { o.Rotate.Size, o.Fsync = 64<<20, FsyncNone })
	mustOpen(t, s)
	most, last := int64(0), uint64(0)
	for last < 25_000 { // 97 MiB
		must(t, s.Write(context.Background(), bigBatch(last+1, 100)))
		last += 100
		taken, size := blocks(t, path)
		more := s.ahead.until - size
		most = max(most, more)
		if more > size/aheadPart+aheadLeast || s.ahead.until > 64<<20 || more > 0 && taken < s.ahead.until {
			t.Fatalf("a file of %d bytes takes %d, room is ahead until %d", size, taken, s.ahead.until)
		}
	}
	if most < 2*aheadLeast {
		t.Errorf("never more than %d bytes ahead", most)
	}
	must(t, s.Close(context.Background()))
	var got []uint64
	for _, name := range names(t, dir) {
		if name == "lost+found" {
			continue
		}
		file := filepath.Join(dir, name)
		if taken, size := blocks(t, file); taken > size+aheadLeast/2 {
			t.Errorf("%s has %d bytes and takes %d", name, size, taken)
		}
		got = append(got, paddedSeqs(t, file)...)
	}
	if !slices.Equal(got, upTo(last)) {
		t.Errorf("%d records, expected %d in order", len(got), last)
	}
}

// TestFileAheadOfACrash opens a file behind whose end a crash left blocks: they are
// given back, what it holds stays.
func TestFileAheadOfACrash(t *testing.T) {
	dir := smallExt4(t, "32m")
	path := filepath.Join(dir, "f")
	must(t, os.WriteFile(path, []byte("1\n2\n"), 0o600))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	must(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 8<<20))
	must(t, f.Close())
	if taken, _ := blocks(t, path); taken < 8<<20 {
		t.Fatalf("only %d bytes are allocated", taken)
	}
	s := fileFor(t, dir, "f", "json", nil)
	mustOpen(t, s)
	if taken, size := blocks(t, path); taken > 64<<10 || size != 4 {
		t.Errorf("a file of %d bytes takes %d", size, taken)
	}
	must(t, s.Close(context.Background()))
}

// TestFileAheadOnAFullDisk fills the disk where blocks are allocated ahead: what is
// acknowledged is in the file, nothing else is, all room is used, and it goes on when
// there is more.
func TestFileAheadOnAFullDisk(t *testing.T) {
	dir := smallExt4(t, "64m")
	path, ballast := filepath.Join(dir, "f"), filepath.Join(dir, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 16<<20), 0o600))
	s := fileFor(t, dir, "f", "json", func(o *FileOptions) { o.Rotate.Size, o.Fsync = option.Size(0), FsyncNone })
	mustOpen(t, s)
	acked := uint64(0)
	write := func() error {
		b := bigBatch(acked+1, 100)
		err := s.Write(context.Background(), b)
		for i := range b.Records {
			if b.done == nil || !b.done[i] {
				break
			}
			acked++
		}
		return err
	}
	var err error
	for err == nil && acked < 20_000 {
		err = write()
	}
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "no space left") {
		t.Fatalf("after %d records: %v", acked, err)
	}
	var fs unix.Statfs_t
	must(t, unix.Statfs(dir, &fs))
	if free := int64(fs.Bavail) * fs.Bsize; free > 1<<20 {
		t.Errorf("%d bytes are free on a full disk", free)
	}
	if got := paddedSeqs(t, path); !slices.Equal(got, upTo(acked)) || acked < 6000 {
		t.Fatalf("%d records acknowledged, %d in the file", acked, len(got))
	}
	must(t, os.Remove(ballast))
	for range 20 {
		must(t, write())
	}
	must(t, s.Close(context.Background()))
	if got := paddedSeqs(t, path); !slices.Equal(got, upTo(acked)) {
		t.Errorf("%d records acknowledged, %d in the end", acked, len(got))
	}
}

// TestFileAheadLeavesTheLast has less room on the disk than would be allocated ahead: what
// of it is not written into is free for others.
func TestFileAheadLeavesTheLast(t *testing.T) {
	dir := smallExt4(t, "192m")
	path, ballast := filepath.Join(dir, "f"), filepath.Join(dir, "ballast")
	must(t, os.WriteFile(path, bytes.Repeat([]byte("{}\n"), 128<<20/3), 0o600))
	room := func() int64 {
		var fs unix.Statfs_t
		must(t, unix.Statfs(dir, &fs))
		return int64(fs.Bfree) * fs.Bsize
	}
	f, err := os.Create(ballast)
	must(t, err)
	must(t, unix.Fallocate(int(f.Fd()), 0, 0, room()-8<<20))
	must(t, f.Close())
	s := fileFor(t, dir, "f", "json", nil)
	mustOpen(t, s)
	before := room()
	must(t, s.Write(context.Background(), bigBatch(1, 100)))
	if after := room(); !s.ahead.refused || after < before-1<<20 {
		t.Errorf("%d bytes are free, %d were before 400 KB were written; refused: %v", after, before, s.ahead.refused)
	}
}
