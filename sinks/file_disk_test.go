package sinks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/internal/testdisk"
	"golang.org/x/sys/unix"
)

// undone is a batch of what of b has no fate.
func undone(b *Batch) *Batch {
	rest := &Batch{}
	for i, r := range b.Records {
		if b.done == nil || !b.done[i] {
			rest.Records = append(rest.Records, r)
		}
	}
	return rest
}

// allSeqs are the numbers of the records in all files below dir that are the sink's.
func allSeqs(t *testing.T, dir string, s *fileSink) (seqs []uint64) {
	t.Helper()
	for _, name := range names(t, dir) {
		if strings.HasPrefix(name, "f") {
			seqs = append(seqs, seqsIn(t, filepath.Join(dir, name), s.env.Format.Framing)...)
		}
	}
	slices.Sort(seqs)
	return seqs
}

// TestFileRotatesOnFullDisk has rotation come upon a disk without room for bytes,
// or for files, at any place of a batch: in the end every record is in one file.
func TestFileRotatesOnFullDisk(t *testing.T) {
	for _, policy := range []FileFsync{FsyncNone, FsyncInterval, FsyncBatch} {
		for _, inPieces := range []bool{false, true} {
			for _, want := range []string{"bytes", "files"} {
				t.Run(fmt.Sprint(policy, "/", want, "/lent ", inPieces), func(t *testing.T) {
					dir := smallDisk(t, "256k,nr_inodes=9")
					if want == "bytes" {
						dir = smallDisk(t, "64k")
					}
					s := fileFor(t, dir, "f", "json", func(o *FileOptions) { o.Fsync, o.Rotate.Size, o.Rotate.Compress = policy, 4096, CompressNone })
					mustOpen(t, s)
					rest, failed := batchFrom(1, 6000), 0
					for n := 0; len(rest.Records) > 0; n++ {
						b := rest
						if inPieces {
							b = lent(rest, s.env.Format.Framing)
						}
						err := s.Write(context.Background(), b)
						if rest = undone(b); err == nil {
							break
						}
						failed++
						if class, _ := judge(err); class != Retry || !errors.Is(err, unix.ENOSPC) || n > 5 {
							t.Fatalf("%v (%v)", err, class)
						}
						if n == 3 {
							must(t, unix.Mount("", dir, "", unix.MS_REMOUNT, "size=1m,nr_inodes=200"))
						}
					}
					if got := allSeqs(t, dir, s); failed == 0 || !slices.Equal(got, upTo(6000)) {
						t.Errorf("%d failures, %d records, the first that differs is at %d", failed, len(got), firstDifference(got, upTo(6000)))
					}
				})
			}
		}
	}
}

// TestFileCompressesOnFullDisk compresses what was rotated with no room for it:
// the plain file stays, nothing is left of the try, and it is done once there is room.
func TestFileCompressesOnFullDisk(t *testing.T) {
	dir := smallDisk(t, "256k")
	s := fileFor(t, dir, "f", "json", func(o *FileOptions) { o.Rotate.Size, o.Rotate.Compress = 100*option.KiB, CompressGzip })
	mustOpen(t, s)
	mustWrite(t, s, 1, 10_000)
	filler := ballast(t, dir, 4096)
	before := names(t, dir)
	if err := s.tendRotated(t.Context(), s.slot); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("compressed without room: %v, %v", err, names(t, dir))
	}
	if after := names(t, dir); !slices.Equal(after, before) {
		t.Errorf("%v became %v", before, after)
	}
	if got := allSeqs(t, dir, s); !slices.Equal(got, upTo(10_000)) {
		t.Errorf("%d records", len(got))
	}
	must(t, os.Remove(filler))
	must(t, s.tendRotated(t.Context(), s.slot))
	if after := names(t, dir); len(after) != len(before)-1 || !strings.HasSuffix(after[1], ".gz") {
		t.Errorf("%v became %v", before, after)
	}
}

// TestFileOnDiskThatLoses writes to a disk whose fsync fails and which then does not
// have what it took: what every_batch acknowledged is there, whatever came between.
func TestFileOnDiskThatLoses(t *testing.T) {
	thin := testdisk.NewThin(t)
	s := fileFor(t, thin.Dir, "f", "json", func(o *FileOptions) { o.Fsync = FsyncBatch })
	must(t, s.Open(context.Background()))
	rest, next, failed := &Batch{}, uint64(1), 0
	for ; failed < 5 && next < 1_000_000 || len(rest.Records) > 0; next += 1000 {
		b := batchFrom(next, next+999)
		b.Records = append(rest.Records, b.Records...)
		err := s.Write(context.Background(), b)
		if rest = undone(b); err == nil {
			continue
		}
		if class, _ := judge(err); class != Retry {
			t.Fatalf("%v (%v)", err, class)
		}
		if failed++; failed == 5 {
			thin.Keep(t)
		}
	}
	must(t, s.Close(context.Background()))
	for _, when := range []string{"in memory", "on the disk"} {
		if got := allSeqs(t, thin.Dir, s); failed < 5 || !slices.Equal(got, upTo(next-1)) {
			t.Errorf("%s: %d failures, %d records of %d", when, failed, len(got), next-1)
		}
		thin.Remount(t)
	}
}

// TestFileIntervalSyncFails has the disk lose what was acknowledged before it was
// synced: that cannot be helped, but is told as a failure of the sink, once, and
// costs no record more.
func TestFileIntervalSyncFails(t *testing.T) {
	thin := testdisk.NewThin(t)
	s := fileFor(t, thin.Dir, "f", "json", func(o *FileOptions) { o.Fsync = FsyncInterval })
	must(t, s.Open(context.Background()))
	next := uint64(1)
	var err error
	for ; err == nil && next < 1_000_000; next += 1000 {
		mustWrite(t, s, next, next+999)
		err = s.syncLive()
	}
	if err == nil {
		t.Fatal("all is synced")
	}
	thin.Keep(t)
	b := batchFrom(next, next+999)
	told := s.Write(context.Background(), b)
	if class, _ := judge(told); class != Retry || !errors.Is(told, err) || !strings.Contains(told.Error(), "behind byte") || b.done != nil {
		t.Errorf("%v (%v), of %v", told, class, err)
	}
	must(t, s.Write(context.Background(), b))
	must(t, s.syncLive())
	must(t, s.Close(context.Background()))
	if got := allSeqs(t, thin.Dir, s); !slices.Equal(got, upTo(next+999)) {
		t.Errorf("%d records of %d", len(got), next+999)
	}
	thin.Remount(t)
	data, err := os.ReadFile(filepath.Join(thin.Dir, "f"))
	must(t, err)
	if tail := fmt.Sprintf("{\"seq\":%d}\n", next+999); !strings.HasSuffix(string(data), tail) {
		t.Errorf("the end is %q", data[max(0, len(data)-30):])
	}
}
