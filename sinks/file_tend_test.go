package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// unpack reads a file, compressed or not.
func unpack(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	var r io.Reader = bytes.NewReader(data)
	switch filepath.Ext(path) {
	case ".gz":
		r, err = gzip.NewReader(r)
	case ".zst":
		r, err = zstd.NewReader(r)
	}
	must(t, err)
	data, err = io.ReadAll(r)
	must(t, err)
	return data
}

func TestFileCompresses(t *testing.T) {
	for _, how := range []FileCompress{CompressGzip, CompressZstd} {
		dir := t.TempDir()
		s := fileFor(t, dir, "f.jsonl", "json", func(o *FileOptions) { o.Rotate.Size, o.Rotate.Compress = 4096, how })
		mustOpen(t, s)
		mustWrite(t, s, 1, 1500)
		// What a crash can leave: an unfinished file, and a finished one beside its source.
		rotated := names(t, dir)
		must(t, os.WriteFile(filepath.Join(dir, rotated[0]+how.extension()+partEnding), []byte("half"), 0o600))
		must(t, s.tendRotated(context.Background(), time.Now()))
		plain := unpack(t, filepath.Join(dir, rotated[1]+how.extension()))
		must(t, os.WriteFile(filepath.Join(dir, rotated[1]), plain, 0o600))
		must(t, s.tendRotated(context.Background(), time.Now()))

		var got []uint64
		found := names(t, dir)
		for _, name := range found {
			if name != "f.jsonl" && !strings.HasSuffix(name, ".jsonl"+how.extension()) {
				t.Errorf("%s is left", name)
			}
			got = append(got, seqsOf(t, name, encode.Lines, unpack(t, filepath.Join(dir, name)))...)
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("%s has mode %v", name, info.Mode())
			}
		}
		if len(found) < 4 || !slices.Equal(got, upTo(1500)) {
			t.Errorf("%s: %d files hold %d records", how, len(found), len(got))
		}
	}
}

// TestFileCompressStops ends the compression in its middle: nothing half done has a name that counts.
func TestFileCompressStops(t *testing.T) {
	dir := t.TempDir()
	s := fileFor(t, dir, "f.jsonl", "json", func(o *FileOptions) { o.Rotate.Size, o.Rotate.Compress = 4096, CompressZstd })
	mustOpen(t, s)
	mustWrite(t, s, 1, 600)
	before := names(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := s.compress(ctx, s.root, rotated{name: before[0], plain: true})
	if !errors.Is(err, context.Canceled) || !slices.Equal(names(t, dir), before) {
		t.Errorf("%v, left %v", err, names(t, dir))
	}
}

// TestFileRetention checks every bound against what it leaves of ten files of
// 100 bytes, an hour apart.
func TestFileRetention(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name string
		r    FileRotate
		left int
	}{
		{"keep", FileRotate{Keep: 3}, 3},
		{"keep more than there are", FileRotate{Keep: 30}, 10},
		{"age", FileRotate{MaxAge: 4*time.Hour + time.Minute}, 4},
		{"total, with the live file's 50", FileRotate{MaxTotal: 650}, 6},
		{"total at its edge", FileRotate{MaxTotal: 649}, 5},
		{"the least of all", FileRotate{Keep: 5, MaxAge: 3 * time.Hour, MaxTotal: 450}, 3},
		{"none", FileRotate{}, 10},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		tt.r.Compress = CompressNone
		s := fileFor(t, dir, "f.jsonl", "json", nil)
		s.opt.Rotate = tt.r
		mustOpen(t, s)
		must(t, os.WriteFile(filepath.Join(dir, "f.jsonl"), make([]byte, 50), 0o640))
		strangers := []string{"g-20260102T110000.000Z.jsonl", "f.jsonl.old", "f-20260102T110000.000Z.jsonl.foreign", "precious"}
		for _, name := range strangers {
			must(t, os.WriteFile(filepath.Join(dir, name), make([]byte, 10_000), 0o640))
			must(t, os.Chtimes(filepath.Join(dir, name), now.Add(-1000*time.Hour), now.Add(-1000*time.Hour)))
		}
		for i := range 10 {
			at := now.Add(-time.Duration(i+1) * time.Hour)
			name := filepath.Join(dir, "f-"+at.Format(archiveStamp)+".jsonl")
			must(t, os.WriteFile(name, make([]byte, 100), 0o640))
			must(t, os.Chtimes(name, at, at))
		}
		must(t, s.tendRotated(context.Background(), now))
		var left []string
		for _, name := range names(t, dir) {
			if strings.HasPrefix(name, "f-") && strings.HasSuffix(name, "Z.jsonl") {
				left = append(left, name)
			}
		}
		if len(left) != tt.left || len(left) > 0 && left[len(left)-1] != "f-20260102T110000.000Z.jsonl" {
			t.Errorf("%s: left %v", tt.name, left)
		}
		for _, name := range strangers {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Errorf("%s: a file that is none of ours is gone: %v", tt.name, err)
			}
		}
		must(t, os.Remove(filepath.Join(dir, "f.jsonl")))
	}
}

// TestFileRetentionSparesWhatIsWritten: with a path of the hour of the day, the
// live file looks like a rotated one, as does another sink's.
func TestFileRetentionSparesWhatIsWritten(t *testing.T) {
	dir := t.TempDir()
	a := fileFor(t, dir, "%H.jsonl", "json", func(o *FileOptions) { o.Rotate.Keep, o.Rotate.Compress = 1, CompressGzip })
	mustOpen(t, a)
	mustWrite(t, a, 1, 3)
	live := a.current()
	b := fileFor(t, dir, "%H.jsonl", "json", func(o *FileOptions) { o.Rotate.Keep, o.Rotate.Compress = 1, CompressGzip })
	for range 3 {
		for _, s := range []*fileSink{a, b} {
			if err := s.tendRotated(context.Background(), time.Now().Add(time.Hour)); err != nil {
				t.Log(err)
			}
		}
	}
	if got := seqsIn(t, filepath.Join(dir, live), encode.Lines); !slices.Equal(got, upTo(3)) {
		t.Errorf("live file holds %v", got)
	}
}

func TestFileRunTendsInTheBackground(t *testing.T) {
	dir := t.TempDir()
	s := fileFor(t, dir, "f.jsonl", "json", func(o *FileOptions) {
		o.Rotate = FileRotate{Size: 4096, Keep: 2, Compress: CompressZstd}
	})
	o := outletFor(t, "f", s, func(c *Config) { c.Memory, c.Flush.Linger = 8*option.MiB, 0 })
	stop := start(o)
	offerUpTo(o, 5000)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		found := names(t, dir)
		if o.Books().Delivered == 5000 && len(found) == 3 && strings.HasSuffix(found[0], ".zst") && strings.HasSuffix(found[1], ".zst") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left %v; %+v", found, o.Books())
		}
	}
	must(t, stop())
	checkFrames(t, filepath.Join(dir, "f.jsonl"))
}

func checkFrames(t *testing.T, path string) {
	t.Helper()
	got := seqsIn(t, path, encode.Lines)
	if len(got) == 0 || got[len(got)-1] != 5000 {
		t.Errorf("the live file ends with %v", got)
	}
}

func TestFileSyncsInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fileFor(t, t.TempDir(), "f", "json", func(o *FileOptions) { o.Fsync = FsyncInterval })
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		mustOpen(t, s)
		mustWrite(t, s, 1, 2)
		s.mu.Lock()
		dirty := s.dirty
		s.mu.Unlock()
		time.Sleep(1500 * time.Millisecond)
		s.mu.Lock()
		clean := !s.dirty
		s.mu.Unlock()
		if !dirty || !clean {
			t.Errorf("dirty after a write: %v; clean a second later: %v", dirty, clean)
		}
		cancel()
		must(t, <-ended)
	})
}

func TestSamplerTellsOnceInTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := sampler{log: slog.New(slog.NewTextHandler(&out, nil))}
		for i := range 25 {
			s.tell(slog.LevelWarn, "trouble", "n", i)
			time.Sleep(time.Second)
		}
		var told []string
		for line := range strings.Lines(out.String()) {
			_, rest, _ := strings.Cut(line, "msg=")
			told = append(told, strings.TrimSpace(rest))
		}
		want := []string{"trouble n=0", "trouble n=10 untold=9", "trouble n=20 untold=9"}
		if fmt.Sprint(told) != fmt.Sprint(want) {
			t.Errorf("told %q, expected %q", told, want)
		}
	})
}
