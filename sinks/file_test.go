package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	"golang.org/x/sys/unix"
)

// fileFor makes a file sink of path below dir.
func fileFor(t testing.TB, dir, path, encoding string, change func(*FileOptions)) *fileSink {
	t.Helper()
	opt := NewFileOptions().(*FileOptions)
	opt.Path, opt.Base = filepath.Join(dir, path), dir
	if change != nil {
		change(opt)
	}
	if err := opt.Validate(); err != nil {
		t.Fatal(err)
	}
	env := Env{Name: "archive", Node: "edge-1", Format: encode.Formats()[encoding], Group: GroupNone, Log: slog.New(slog.DiscardHandler)}
	sink, err := opt.New(env)
	if err != nil {
		t.Fatal(err)
	}
	return sink.(*fileSink)
}

// batchFrom makes a batch of records first to last.
func batchFrom(first, last uint64) *Batch {
	b := &Batch{}
	for seq := first; seq <= last; seq++ {
		b.Records = append(b.Records, *recordNo(seq))
	}
	return b
}

// lent gives a batch with its frames, as a queue in memory does, in several pieces.
func lent(b *Batch, framing encode.Framing) *Batch {
	return through(newMemory(1<<30, 4<<10, framing, false), b.Records)
}

func mustOpen(t testing.TB, s *fileSink) {
	t.Helper()
	if err := s.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func mustWrite(t testing.TB, s *fileSink, first, last uint64) {
	t.Helper()
	if err := s.Write(context.Background(), batchFrom(first, last)); err != nil {
		t.Fatal(err)
	}
}

// names lists the files below dir.
func names(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			found = append(found, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

// seqsIn reads the numbers of a file's records; the file must hold nothing else.
func seqsIn(t testing.TB, path string, framing encode.Framing) []uint64 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return seqsOf(t, path, framing, data)
}

func seqsOf(t testing.TB, path string, framing encode.Framing, data []byte) []uint64 {
	t.Helper()
	records, rest := split(framing, data)
	if len(rest) > 0 {
		t.Errorf("%s ends with half a record, %q", path, rest)
	}
	var seqs []uint64
	for _, r := range records {
		var seq uint64
		if n, err := fmt.Sscanf(string(r), `{"seq":%d}`, &seq); n != 1 || err != nil || string(r) != fmt.Sprintf(`{"seq":%d}`, seq) {
			t.Errorf("%s holds %q", path, r)
		}
		seqs = append(seqs, seq)
	}
	return seqs
}

func TestFileWrites(t *testing.T) {
	for _, encoding := range []string{"json", "protobuf"} {
		for _, policy := range []FileFsync{FsyncNone, FsyncInterval, FsyncBatch} {
			dir := t.TempDir()
			s := fileFor(t, dir, "flows", encoding, func(o *FileOptions) { o.Fsync, o.Mode = policy, 0o664 })
			mustOpen(t, s)
			mustWrite(t, s, 1, 3)
			mustWrite(t, s, 4, 4)
			path := filepath.Join(dir, "flows")
			if got := seqsIn(t, path, s.env.Format.Framing); !slices.Equal(got, upTo(4)) {
				t.Errorf("%s, %s: %v", encoding, policy, got)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o664 {
				t.Errorf("mode %v, expected 0664 whatever the umask is", info.Mode())
			}
			if policy == FsyncBatch && s.synced != s.size {
				t.Errorf("acknowledged at %d, synced to %d", s.size, s.synced)
			}
		}
	}
}

func TestFileContinues(t *testing.T) {
	dir := t.TempDir()
	for run := range uint64(3) {
		s := fileFor(t, dir, "f", "json", nil)
		if err := s.Open(context.Background()); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, s, 2*run+1, 2*run+2)
		if err := s.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if got := seqsIn(t, filepath.Join(dir, "f"), encode.Lines); !slices.Equal(got, upTo(6)) {
		t.Errorf("got %v", got)
	}
}

// TestFileHealsAfterCrash cuts the file at every byte between two runs.
func TestFileHealsAfterCrash(t *testing.T) {
	for _, encoding := range []string{"json", "protobuf"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		framing := encode.Formats()[encoding].Framing
		var whole []byte
		for seq := uint64(1); seq <= 4; seq++ {
			whole = appendFrame(whole, framing, recordNo(seq).Value)
		}
		for cut := range len(whole) + 1 {
			if err := os.WriteFile(path, whole[:cut], 0o640); err != nil {
				t.Fatal(err)
			}
			kept, _ := split(framing, whole[:cut])
			s := fileFor(t, dir, "f", encoding, nil)
			if err := s.Open(context.Background()); err != nil {
				t.Fatal(err)
			}
			mustWrite(t, s, 9, 9)
			want := append(upTo(uint64(len(kept))), 9)
			if got := seqsIn(t, path, framing); !slices.Equal(got, want) {
				t.Fatalf("%s cut at %d: %v, expected %v", encoding, cut, got, want)
			}
			if err := s.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestFileSetsForeignAside(t *testing.T) {
	dir := t.TempDir()
	foreign := strings.Repeat("not a record ", maxTorn/8)
	if err := os.WriteFile(filepath.Join(dir, "f.jsonl"), []byte(foreign), 0o640); err != nil {
		t.Fatal(err)
	}
	s := fileFor(t, dir, "f.jsonl", "json", nil)
	mustOpen(t, s)
	mustWrite(t, s, 1, 2)
	found := names(t, dir)
	if len(found) != 2 || found[1] != "f.jsonl" || !strings.HasSuffix(found[0], ".jsonl.foreign") {
		t.Fatalf("found %v", found)
	}
	if data, err := os.ReadFile(filepath.Join(dir, found[0])); err != nil || string(data) != foreign {
		t.Errorf("the foreign file was changed: %v", err)
	}
	if got := seqsIn(t, filepath.Join(dir, "f.jsonl"), encode.Lines); !slices.Equal(got, upTo(2)) {
		t.Errorf("got %v", got)
	}
}

// TestFileMoved does to the file what logrotate and its like do.
func TestFileMoved(t *testing.T) {
	tests := []struct {
		name string
		do   func(t *testing.T, s *fileSink, path string)
		live []uint64
		old  []uint64
	}{
		{"renamed", func(t *testing.T, _ *fileSink, path string) { rename(t, path, path+".1") }, []uint64{3, 4}, []uint64{1, 2}},
		{"renamed and made again", func(t *testing.T, _ *fileSink, path string) {
			rename(t, path, path+".1")
			if err := os.WriteFile(path, nil, 0o640); err != nil {
				t.Fatal(err)
			}
		}, []uint64{3, 4}, []uint64{1, 2}},
		{"renamed, and told so", func(t *testing.T, s *fileSink, path string) {
			rename(t, path, path+".1")
			s.Reopen()
		}, []uint64{3, 4}, []uint64{1, 2}},
		{"deleted", func(t *testing.T, _ *fileSink, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, []uint64{3, 4}, nil},
		{"emptied", func(t *testing.T, _ *fileSink, path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		}, []uint64{3, 4}, nil},
		{"told though nothing moved", func(_ *testing.T, s *fileSink, _ string) { s.Reopen() }, upTo(4), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			s := fileFor(t, dir, "f", "json", nil)
			mustOpen(t, s)
			mustWrite(t, s, 1, 2)
			tt.do(t, s, path)
			mustWrite(t, s, 3, 3)
			mustWrite(t, s, 4, 4)
			if got := seqsIn(t, path, encode.Lines); !slices.Equal(got, tt.live) {
				t.Errorf("live file holds %v, expected %v", got, tt.live)
			}
			if tt.old != nil {
				if got := seqsIn(t, path+".1", encode.Lines); !slices.Equal(got, tt.old) {
					t.Errorf("moved file holds %v, expected %v", got, tt.old)
				}
			}
		})
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestFileRotatesBySize(t *testing.T) {
	for i := range 4 {
		encoding := []string{"json", "protobuf"}[i%2]
		dir := t.TempDir()
		s := fileFor(t, dir, "f.log", encoding, func(o *FileOptions) { o.Rotate.Size = 4096 })
		mustOpen(t, s)
		const last = 3000
		for seq := uint64(1); seq <= last; seq += 50 {
			b := batchFrom(seq, seq+49)
			if i >= 2 {
				b = lent(b, s.env.Format.Framing)
			}
			must(t, s.Write(context.Background(), b))
		}
		var got []uint64
		found := names(t, dir) // rotated names sort by time, "f.log" behind "f-…"
		for _, name := range found {
			path := filepath.Join(dir, name)
			info, err := os.Stat(path)
			if err != nil || info.Size() > 4096 || name != "f.log" && info.Size() < 4096-20 {
				t.Errorf("%s has %d bytes, %v", name, info.Size(), err)
			}
			got = append(got, seqsIn(t, path, s.env.Format.Framing)...)
		}
		if len(found) < 8 || !slices.Equal(got, upTo(last)) {
			t.Errorf("%s: %d files hold %d records, expected %d in order", encoding, len(found), len(got), last)
		}
	}
}

// TestFileLentAsGathered writes the same batches as they stand in a queue and record
// by record: the same files come of it, wherever they end.
func TestFileLentAsGathered(t *testing.T) {
	for _, encoding := range []string{"json", "protobuf"} {
		for _, size := range []option.Size{4096, 4097, 9_999, 12_345, 70_000, 0} {
			var got [2][]string
			for way := range got {
				dir := t.TempDir()
				s := fileFor(t, dir, "f.log", encoding, func(o *FileOptions) { o.Rotate.Size, o.Rotate.Keep = size, 1000 })
				mustOpen(t, s)
				for from, n := uint64(1), uint64(1); from < 3000; from, n = from+n, n*3%1001 {
					b := batchFrom(from, from+n-1)
					if n%10 == 3 {
						b.Records[n/2].Value = pattern(n, 5000) // larger than some files may be
					}
					if way == 1 {
						b = lent(b, s.env.Format.Framing)
					}
					must(t, s.Write(context.Background(), b))
				}
				for _, name := range names(t, dir) {
					data, err := os.ReadFile(filepath.Join(dir, name))
					must(t, err)
					got[way] = append(got[way], string(data))
				}
			}
			if !slices.Equal(got[0], got[1]) {
				t.Errorf("%s, files of %d bytes: %d of gathered records, %d of lent", encoding, size, len(got[0]), len(got[1]))
			}
		}
	}
}

func TestFileRotatesByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := fileFor(t, dir, "f.jsonl", "json", func(o *FileOptions) { o.Rotate.Interval = time.Hour })
		time.Sleep(30*time.Minute - time.Duration(time.Now().UnixNano()%int64(time.Hour))%time.Hour + time.Hour)
		mustOpen(t, s) // at half past
		for seq := uint64(1); seq <= 6; seq++ {
			mustWrite(t, s, seq, seq)
			time.Sleep(20 * time.Minute) // :30 :50 | :10 :30 :50 | :10
		}
		found := names(t, dir)
		want := [][]uint64{{1, 2}, {3, 4, 5}, {6}}
		if len(found) != 3 {
			t.Fatalf("found %v", found)
		}
		for i, name := range found {
			if got := seqsIn(t, filepath.Join(dir, name), encode.Lines); !slices.Equal(got, want[i]) {
				t.Errorf("%s holds %v, expected %v", name, got, want[i])
			}
		}
	})
}

// TestFileRotatesWhatAnEarlierRunLeft starts behind the end of the interval.
func TestFileRotatesWhatAnEarlierRunLeft(t *testing.T) {
	for _, age := range []time.Duration{0, 3 * time.Hour} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f.jsonl")
		if err := os.WriteFile(path, []byte("{\"seq\":1}\n"), 0o640); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
		s := fileFor(t, dir, "f.jsonl", "json", func(o *FileOptions) { o.Rotate.Interval = 2 * time.Hour })
		mustOpen(t, s)
		if n := len(names(t, dir)); n != map[bool]int{true: 2, false: 1}[age > 0] {
			t.Errorf("%d files after %v", n, age)
		}
	}
}

func TestFileTemplate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := fileFor(t, dir, "%Y/{node}-%m%d.jsonl", "json", nil)
		mustOpen(t, s)
		for seq := uint64(1); seq <= 4; seq++ {
			mustWrite(t, s, seq, seq)
			time.Sleep(12 * time.Hour)
		}
		if got := names(t, dir); !slices.Equal(got, []string{"2000/edge-1-0101.jsonl", "2000/edge-1-0102.jsonl"}) {
			t.Fatalf("found %v", got)
		}
		if got := seqsIn(t, filepath.Join(dir, "2000/edge-1-0102.jsonl"), encode.Lines); !slices.Equal(got, []uint64{3, 4}) {
			t.Errorf("second day holds %v", got)
		}
	})
}

func TestFileOpenErrors(t *testing.T) {
	tests := []struct {
		name  string
		make  func(t *testing.T, dir string)
		class Class
		is    error
	}{
		{"the directory is missing", func(t *testing.T, dir string) { must(t, os.Remove(dir)) }, Configuration, fs.ErrNotExist},
		{"the path is a directory", func(t *testing.T, dir string) { must(t, os.Mkdir(filepath.Join(dir, "f"), 0o755)) }, Configuration, unix.EISDIR},
		{"the path is a pipe", func(t *testing.T, dir string) { must(t, unix.Mkfifo(filepath.Join(dir, "f"), 0o600)) }, Configuration, nil},
		{"a link leads out", func(t *testing.T, dir string) { must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "f"))) }, Configuration, unix.ELOOP},
		{"a link leads elsewhere in the directory", func(t *testing.T, dir string) { must(t, os.Symlink("g", filepath.Join(dir, "f"))) }, Configuration, unix.ELOOP},
		{"another sink writes it", func(t *testing.T, dir string) { mustOpen(t, fileFor(t, dir, "f", "json", nil)) }, Retry, unix.EWOULDBLOCK},
		{"another sink writes it by another name", func(t *testing.T, dir string) {
			mustOpen(t, fileFor(t, dir, "g", "json", nil))
			must(t, os.Link(filepath.Join(dir, "g"), filepath.Join(dir, "f")))
		}, Retry, unix.EWOULDBLOCK},
		{"another sink writes it through a directory's link", func(t *testing.T, dir string) {
			must(t, os.Symlink(dir, dir+".link"))
			mustOpen(t, fileFor(t, dir+".link", "f", "json", nil))
		}, Retry, unix.EWOULDBLOCK},
		{"dead letters go there", func(t *testing.T, dir string) {
			d := newDeadLetters(DeadLetter{filepath.Join(dir, "f"), option.MiB}, "s", "application/json")
			if reason, err := d.add(&Record{Value: []byte("{}")}, io.EOF); reason != reasons || err != nil {
				t.Fatal(reason, err)
			}
			t.Cleanup(func() { must(t, d.close()) })
		}, Retry, unix.EWOULDBLOCK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "d")
			must(t, os.Mkdir(dir, 0o755))
			tt.make(t, dir)
			s := fileFor(t, dir, "f", "json", nil)
			err := s.Open(context.Background())
			if class, _ := judge(err); err == nil || class != tt.class || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v (%v), expected %v", err, class, tt.class)
			}
			if at := (*fs.PathError)(nil); errors.As(err, &at) && !filepath.IsAbs(at.Path) {
				t.Errorf("%v: not the whole path", err)
			}
			must(t, s.Close(context.Background()))
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkFile writes records of 700 bytes in batches as an outlet makes them.
func BenchmarkFile(b *testing.B) {
	s := fileFor(b, b.TempDir(), "f", "json", func(o *FileOptions) { o.Rotate.Keep = 1 })
	mustOpen(b, s)
	batch := batchFrom(1, 1300)
	for i := range batch.Records {
		batch.Records[i].Value = make([]byte, 700)
	}
	batch.done = make([]bool, len(batch.Records))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		must(b, s.Write(context.Background(), batch))
		n += len(batch.Records)
		if s.size > 200<<20 {
			b.StopTimer()
			must(b, s.tendRotated(context.Background(), time.Now()))
			b.StartTimer()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
}
