package sinks

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/option"
	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of n bytes.
func smallDisk(t *testing.T, n string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+n); err != nil {
		lacking(t, "a full disk needs the right to mount: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestFileFullDisk fills the disk in the middle of a record, again and again:
// the file never holds half of one, the error can be tried again, and once
// there is room everything is there, once and in order.
func TestFileFullDisk(t *testing.T) {
	for _, policy := range []FileFsync{FsyncNone, FsyncBatch} {
		for _, way := range []string{"json", "protobuf", "json/lent", "protobuf/lent"} {
			t.Run(string(policy)+"/"+way, func(t *testing.T) {
				encoding, inPieces := strings.CutSuffix(way, "/lent")
				dir := smallDisk(t, "256k")
				ballast := filepath.Join(dir, "ballast")
				must(t, os.WriteFile(ballast, make([]byte, 128<<10), 0o600))
				s := fileFor(t, dir, "f", encoding, func(o *FileOptions) { o.Fsync = policy })
				mustOpen(t, s)
				b := batchFrom(1, 12_000) // some 180 KiB for 128
				if inPieces {
					b = lent(b, s.env.Format.Framing)
				}
				err := s.Write(context.Background(), b)
				if class, _ := judge(err); class != Retry || !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "no space left") {
					t.Fatalf("%v (%v)", err, class)
				}
				path := filepath.Join(dir, "f")
				there := seqsIn(t, path, s.env.Format.Framing)
				var rest Batch
				for i, r := range b.Records {
					if b.done == nil || !b.done[i] {
						rest.Records = append(rest.Records, r)
					}
				}
				if done := len(b.Records) - len(rest.Records); done != len(there) || policy == FsyncNone && done == 0 || policy == FsyncBatch && done != 0 {
					t.Fatalf("%d records acknowledged, %d in the file", done, len(there))
				}
				if err := s.Write(context.Background(), &rest); !errors.Is(err, unix.ENOSPC) {
					t.Fatalf("still full: %v", err)
				}
				must(t, os.Remove(ballast))
				for i := range rest.done {
					if rest.done[i] {
						t.Fatalf("record %d acknowledged by a full disk", i)
					}
				}
				must(t, s.Write(context.Background(), &rest))
				if got := seqsIn(t, path, s.env.Format.Framing); !slices.Equal(got, upTo(12_000)) {
					t.Errorf("%d records in the end", len(got))
				}
			})
		}
	}
}

// TestOutletOnFullDisk runs the whole outlet over a disk that is full for a while.
func TestOutletOnFullDisk(t *testing.T) {
	dir := smallDisk(t, "128k")
	ballast := filepath.Join(dir, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 100<<10), 0o600))
	s := fileFor(t, dir, "f", "json", nil)
	o := outletFor(t, "f", s, func(c *Config) {
		c.Memory, c.Flush.Linger = 8*option.MiB, 0
		c.Retry = Backoff{Initial: time.Millisecond, Max: 5 * time.Millisecond}
	})
	stop := start(o)
	offerUpTo(o, 5000)
	for deadline := time.Now().Add(10 * time.Second); o.Books().Errors[Retry].Count < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the disk is not full: %+v", o.Books())
		}
	}
	if b := o.Books(); b.Up || !strings.Contains(b.LastError, "no space left") {
		t.Errorf("books on a full disk: %+v", b)
	}
	must(t, os.Remove(ballast))
	must(t, stop())
	if got := seqsIn(t, filepath.Join(dir, "f"), s.env.Format.Framing); !slices.Equal(got, upTo(5000)) {
		t.Errorf("%d records in the file", len(got))
	}
	if b := o.Books(); !b.Balanced() || b.Delivered != 5000 {
		t.Errorf("%+v", b)
	}
}

// TestFilePermissionLost takes the right to write away from a running sink.
func TestFilePermissionLost(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	s := fileFor(t, dir, "f", "json", func(o *FileOptions) { o.Rotate.Size = 4096 })
	mustOpen(t, s)
	mustWrite(t, s, 1, 200)
	must(t, os.Chmod(dir, 0o555))
	err := asNobody(t, func() error { return s.Write(context.Background(), batchFrom(201, 400)) })
	if class, _ := judge(err); class != Configuration || !errors.Is(err, unix.EACCES) {
		t.Fatalf("%v (%v)", err, class)
	}
	must(t, os.Chmod(dir, 0o755))
	at := seqsIn(t, filepath.Join(dir, "f"), s.env.Format.Framing)
	mustWrite(t, s, at[len(at)-1]+1, 400)
	var got []uint64
	for _, name := range slices.Backward(names(t, dir)) { // "f" sorts before "f-…"
		got = append(seqsIn(t, filepath.Join(dir, name), s.env.Format.Framing), got...)
	}
	if len(got) != 400 {
		t.Errorf("%d records in the end, expected 400", len(got))
	}
}

// asNobody runs f on a thread without root's right to write everywhere.
func asNobody(t *testing.T, f func() error) error {
	t.Helper()
	if os.Getuid() != 0 {
		return f()
	}
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		if err := unix.Setfsuid(65534); err != nil {
			ended <- err
			return
		}
		ended <- f()
	}()
	return <-ended
}

// TestFileReadOnly remounts the disk read-only under a running sink.
func TestFileReadOnly(t *testing.T) {
	dir := smallDisk(t, "1m")
	s := fileFor(t, dir, "f", "json", func(o *FileOptions) { o.Rotate.Size = 4096 })
	must(t, s.Open(context.Background()))
	mustWrite(t, s, 1, 100)
	must(t, s.Close(context.Background()))
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	err := s.Open(context.Background())
	if class, _ := judge(err); class != Retry || !errors.Is(err, unix.EROFS) {
		t.Errorf("%v (%v)", err, class)
	}
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT, ""))
	mustOpen(t, s)
	mustWrite(t, s, 101, 200)
	if got := seqsIn(t, filepath.Join(dir, "f"), s.env.Format.Framing); !slices.Equal(got, upTo(200)) {
		t.Errorf("%d records", len(got))
	}
}

// TestFileLosesItsDescriptor breaks the open file under the sink, so that
// neither writing nor taking back works: the next write opens it anew.
func TestFileLosesItsDescriptor(t *testing.T) {
	for _, policy := range []FileFsync{FsyncNone, FsyncBatch} {
		dir := t.TempDir()
		s := fileFor(t, dir, "f", "json", func(o *FileOptions) { o.Fsync = policy })
		mustOpen(t, s)
		mustWrite(t, s, 1, 2)
		must(t, s.file.Close())
		b := batchFrom(3, 4)
		err := s.Write(context.Background(), b)
		if class, _ := judge(err); err == nil || class != Retry || b.done != nil {
			t.Fatalf("%v, done %v", err, b.done)
		}
		must(t, s.Write(context.Background(), b))
		if got := seqsIn(t, filepath.Join(dir, "f"), s.env.Format.Framing); !slices.Equal(got, upTo(4)) {
			t.Errorf("%s: %v", policy, got)
		}
	}
}

// TestFileSyncFails has the disk refuse to sync (a descriptor that cannot be
// synced stands in its place): nothing is acknowledged, nothing is doubled.
func TestFileSyncFails(t *testing.T) {
	dir := t.TempDir()
	s := fileFor(t, dir, "f", "json", func(o *FileOptions) { o.Fsync = FsyncBatch })
	mustOpen(t, s)
	mustWrite(t, s, 1, 2)
	p := filePass{s: s, b: batchFrom(3, 4)}
	must(t, p.add(0))
	must(t, p.flush(1))
	must(t, s.file.Close())
	if err := p.sync(); err == nil || p.b.done != nil || s.file != nil {
		t.Fatalf("%v, done %v", err, p.b.done)
	}
}

// TestOutletReopen reaches the file through the outlet, and is nothing to a sink without one.
func TestOutletReopen(t *testing.T) {
	s := fileFor(t, t.TempDir(), "f", "json", nil)
	outletFor(t, "f", s, nil).Reopen()
	if !s.reopen.Load() {
		t.Error("the sink was not told")
	}
	outletFor(t, "s", &script{}, nil).Reopen()
}

// TestFileCutShortByOthers empties the file while a batch is written that fails in the
// midst of a record: the file is not made longer, and has no half record.
func TestFileCutShortByOthers(t *testing.T) {
	for _, policy := range []FileFsync{FsyncNone, FsyncBatch} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		s := fileFor(t, dir, "f", "json", func(o *FileOptions) { o.Fsync = policy })
		mustOpen(t, s)
		mustWrite(t, s, 1, 100)
		p := filePass{s: s, b: batchFrom(101, 102)}
		must(t, os.Truncate(path, 0))
		torn := `{"seq`
		if policy == FsyncNone {
			torn = string(p.b.Records[0].Value) + "\n" + torn
		}
		n, err := s.file.WriteString(torn)
		must(t, err)
		must(t, p.takeBack(n))
		mustWrite(t, s, 101+uint64(p.acked), 102)
		if got := seqsIn(t, path, s.env.Format.Framing); !slices.Equal(got, []uint64{101, 102}) {
			t.Errorf("%s: %v", policy, got)
		}
	}
}
