package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
	"golang.org/x/sys/unix"
)

// letters reads a dead-letter file.
func letters(t *testing.T, path string) []deadLetter {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	var all []deadLetter
	for line := range strings.Lines(string(data)) {
		var l deadLetter
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Errorf("line %q: %v", line, err)
		}
		all = append(all, l)
	}
	return all
}

func refuseAll(context.Context, int, *Batch) error {
	return &Error{Class: Poison, Err: errors.New("too strange")}
}

func TestDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "dead.jsonl")
		sink := &script{write: func(_ context.Context, _ int, b *Batch) error {
			return &Error{Class: Poison, Poison: []int{1}, Err: errors.New("too strange")}
		}}
		sink.write = func(_ context.Context, try int, b *Batch) error {
			if try == 1 {
				return &Error{Class: Poison, Poison: []int{1}, Err: errors.New("too strange")}
			}
			return nil
		}
		o := outletFor(t, "siem", sink, func(c *Config) { c.DeadLetter.Path = path })
		offerUpTo(o, 3)
		must(t, start(o)())
		checkBooks(t, o, flow.SinkBooks{Offered: 3, Delivered: 2, DeadLettered: 1})
		got := letters(t, path)
		want := deadLetter{
			Time: time.Now().UTC(), Sink: "siem", Reason: "too strange", EventType: "new",
			Run: "01000000000000000000000000000000", Seq: 2, ContentType: o.format.ContentType, Value: []byte(`{"seq":2}`),
		}
		if len(got) != 1 || !got[0].Time.Equal(want.Time) {
			t.Fatalf("got %+v", got)
		}
		a, _ := json.Marshal(got[0])
		b, _ := json.Marshal(want)
		if string(a) != string(b) {
			t.Errorf("got  %s\nwant %s", a, b)
		}
	})
}

// TestDeadLettersBound fills the file to its bound and not a byte further.
func TestDeadLettersBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "dead.jsonl")
		sink := &script{write: refuseAll}
		o := outletFor(t, "s", sink, func(c *Config) { c.DeadLetter = DeadLetter{path, 4 * option.KiB} })
		offerUpTo(o, 100)
		must(t, start(o)())
		n := uint64(len(letters(t, path)))
		// The gap that tells of the 100-n is refused as well.
		checkBooks(t, o, flow.SinkBooks{Offered: 101, DeadLettered: n, Dropped: []flow.Drop{{Count: 101 - n}}})
		info, err := os.Stat(path)
		must(t, err)
		if size := info.Size(); size > 4096 || size < 4096-300 || dropped(o.Books(), dropDeadLetterFull) != 101-n || info.Mode().Perm() != 0o640 {
			t.Errorf("%d letters in %d bytes, mode %v, %+v", n, size, info.Mode(), o.Books())
		}
	})
}

// TestDeadLettersFile: a torn line is mended, a file that was moved away is made
// anew, and one that cannot be written costs the record but not the sink.
func TestDeadLettersFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dead.jsonl")
	d := newDeadLetters(DeadLetter{path, option.MiB}, "s", "application/json")
	cause := errors.New("no")
	must(t, os.WriteFile(path, []byte("{\"seq\":7}\n{\"seq\":"), 0o640))
	for seq := uint64(1); seq <= 2; seq++ {
		if why, err := d.add(recordNo(seq), cause); why != reasons || err != nil {
			t.Fatalf("%v %v", why, err)
		}
	}
	if got := seqsOfLetters(letters(t, path)); !slices.Equal(got, []uint64{7, 1, 2}) {
		t.Errorf("letters %v", got)
	}
	rename(t, path, path+".1")
	if why, err := d.add(recordNo(3), cause); why != reasons || err != nil {
		t.Fatalf("%v %v", why, err)
	}
	if got := seqsOfLetters(letters(t, path)); !slices.Equal(got, []uint64{3}) {
		t.Errorf("letters %v", got)
	}
	must(t, os.Remove(path))
	must(t, os.Mkdir(path, 0o755))
	if why, err := d.add(recordNo(4), cause); why != dropDeadLetter || err == nil {
		t.Errorf("%v %v", why, err)
	}
	must(t, os.Remove(path))
	must(t, os.Symlink("elsewhere", path))
	if why, err := d.add(recordNo(4), cause); why != dropDeadLetter || err == nil {
		t.Errorf("a symbolic link was followed: %v %v", why, err)
	}
	must(t, d.close())
}

func TestDeadLettersOnFullDisk(t *testing.T) {
	dir := smallDisk(t, "16k")
	path := filepath.Join(dir, "dead.jsonl")
	d := newDeadLetters(DeadLetter{path, option.MiB}, "s", "application/json")
	lost := 0
	for seq := range uint64(200) {
		if why, _ := d.add(recordNo(seq), errors.New("no")); why == dropDeadLetter {
			lost++
		}
	}
	if kept := len(letters(t, path)); lost == 0 || kept+lost != 200 {
		t.Errorf("%d kept, %d lost of 200", kept, lost)
	}
	must(t, d.close())
}

// TestDeadLettersThatCannotBeCut fills the disk under a file that may only be
// appended to: what was torn stays, and every letter behind it has a line of its
// own, also in a file that is opened with such an end.
func TestDeadLettersThatCannotBeCut(t *testing.T) {
	dir := smallDisk(t, "32k")
	path, ballast := filepath.Join(dir, "dead.jsonl"), filepath.Join(dir, "ballast")
	d := newDeadLetters(DeadLetter{path, option.MiB}, "s", "application/json")
	var kept []uint64
	add := func(seq uint64) (why reason) {
		why, err := d.add(recordNo(seq), errors.New("no"))
		if (why == reasons) != (err == nil) {
			t.Fatalf("%v %v", why, err)
		}
		if why == reasons {
			kept = append(kept, seq)
		}
		return why
	}
	seq := uint64(1)
	add(seq)
	appendOnly(t, path)
	for round := range 3 {
		must(t, os.WriteFile(ballast, make([]byte, 16<<10>>round), 0o600))
		for add(seq+1) == reasons {
			seq++
		}
		seq++
		must(t, os.Remove(ballast))
		if data, err := os.ReadFile(path); err != nil || data[len(data)-1] == '\n' {
			t.Fatalf("round %d: nothing is torn: %v", round, err)
		}
		if round == 1 {
			must(t, d.close())
		}
		for range 2 {
			if seq++; add(seq) != reasons {
				t.Fatalf("round %d: no room", round)
			}
		}
	}
	data, err := os.ReadFile(path)
	must(t, err)
	var got []uint64
	torn := 0
	for line := range strings.Lines(string(data)) {
		var l deadLetter
		if json.Unmarshal([]byte(line), &l) == nil {
			got = append(got, l.Seq)
		} else {
			torn++
		}
	}
	if !slices.Equal(got, kept) || torn != 3 {
		t.Errorf("%d torn, letters %v, kept %v", torn, got, kept)
	}
	must(t, d.close())
}

const fsAppend = 0x20 // FS_APPEND_FL of linux/fs.h

// appendOnly has a file be as chattr +a makes it: no byte of it can be taken away.
func appendOnly(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, fsAppend); err != nil {
		lacking(t, "a file that can only be appended to needs the right and a file system with it: "+err.Error())
	}
	if err := os.Truncate(path, 0); !errors.Is(err, unix.EPERM) {
		t.Fatalf("it can be cut: %v", err)
	}
}

func seqsOfLetters(all []deadLetter) []uint64 {
	var seqs []uint64
	for _, l := range all {
		seqs = append(seqs, l.Seq)
	}
	return seqs
}

// TestDeadLettersApart has dead letters of two sinks share a file, whole lines of
// each, and stay away from one that holds a sink's records.
func TestDeadLettersApart(t *testing.T) {
	dir := t.TempDir()
	sink := fileFor(t, dir, "f", "json", nil)
	mustOpen(t, sink)
	must(t, os.Link(filepath.Join(dir, "f"), filepath.Join(dir, "g")))
	d := newDeadLetters(DeadLetter{filepath.Join(dir, "g"), option.MiB}, "s", "application/json")
	rec := &Record{Value: []byte("{}")}
	if reason, err := d.add(rec, io.EOF); reason != dropDeadLetter || !errors.Is(err, unix.EWOULDBLOCK) || !strings.Contains(err.Error(), "is being written by somebody else") {
		t.Errorf("%v, %v", reason, err)
	}
	must(t, sink.shut())
	other := newDeadLetters(DeadLetter{filepath.Join(dir, "f"), option.MiB}, "o", "application/json")
	for _, d := range []*deadLetters{&d, &other} {
		if reason, err := d.add(rec, io.EOF); reason != reasons || err != nil {
			t.Errorf("%v, %v", reason, err)
		}
		defer d.close()
	}
}
