package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// record is a line as ctferry writes it, of the kernel or not.
func record(at time.Time, source string) string {
	return fmt.Sprintf(`{"schema":"ctferry.v1","event_type":"new","time":%q,"time_source":%q,"seq":3}`+"\n", at.UTC().Format(time.RFC3339Nano), source)
}

func TestKernelTime(t *testing.T) {
	at := time.Date(2026, 11, 23, 4, 1, 29, 33891880, time.UTC)
	for _, c := range []struct {
		line         string
		kernel, good bool
	}{
		{record(at, "kernel"), true, true},
		{record(at, "received"), false, true},
		{`{"event_type":"status"}`, false, true},
		{`{"time_source":"kernel"}`, false, false},
		{`{"time":"yesterday","time_source":"kernel"}`, false, false},
		{`{"time":"2026`, false, true},
	} {
		got, kernel, err := kernelTime([]byte(c.line))
		if c.good != (err == nil) || c.good && kernel != c.kernel || c.good && kernel && !got.Equal(at) {
			t.Errorf("%s: %v, %v, %v", c.line, got, kernel, err)
		}
	}
}

func TestNoteKeepsHalfALine(t *testing.T) {
	now := time.Now().Round(time.Microsecond)
	text := record(now.Add(-2*time.Millisecond), "kernel") + record(now, "received") + record(now.Add(-5*time.Millisecond), "kernel")
	for cut := range len(text) {
		var tl tail
		rest, err := tl.note([]byte(text[:cut]), now)
		if err != nil {
			t.Fatal(err)
		}
		if rest, err = tl.note(append(append([]byte{}, rest...), text[cut:]...), now); err != nil || len(rest) != 0 {
			t.Fatalf("cut at %d: %q left, %v", cut, rest, err)
		}
		if len(tl.latencies) != 2 || tl.latencies[0] != 2*time.Millisecond || tl.latencies[1] != 5*time.Millisecond {
			t.Fatalf("cut at %d: %v", cut, tl.latencies)
		}
	}
}

// TestTailFollows reads a file that appears late and grows.
func TestTailFollows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	tl := startTail(t.Context(), path, 10)
	time.Sleep(5 * tailEvery)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const records = 500
	for range records {
		line := record(time.Now(), "kernel")
		for _, part := range []string{line[:20], line[20:]} {
			if _, err := f.WriteString(part); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tl.stop(); err != nil || len(tl.latencies) != records {
		t.Errorf("%d records of %d: %v", len(tl.latencies), records, err)
	}
	for _, d := range tl.latencies {
		if d < 0 {
			t.Fatalf("a record was read %v before it was written", -d)
		}
	}
}

func TestTailSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	tl := startTail(t.Context(), filepath.Join(dir, "nosuch"), 1)
	if err := tl.stop(); err == nil {
		t.Error("a file that never came: no error")
	}
	path := filepath.Join(dir, "bad")
	if err := os.WriteFile(path, []byte(`{"time":"x","time_source":"kernel"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tl = startTail(context.Background(), path, 1)
	<-tl.done
	if err := tl.stop(); err == nil || !strings.Contains(err.Error(), "x") {
		t.Errorf("%v", err)
	}
}
