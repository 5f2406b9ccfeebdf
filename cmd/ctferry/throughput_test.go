package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

// BenchmarkKernelToFile drives the whole program, as a process of its own, at
// the kernel's full rate: events in, JSON lines in a file out. It reports the
// rate, the CPU of the whole process for an event, its greatest resident
// memory and what was lost.
func BenchmarkKernelToFile(b *testing.B) {
	for _, encoding := range []string{"json", "protobuf", "xml"} {
		b.Run(encoding, func(b *testing.B) {
			for b.Loop() {
				measureFile(b, encoding, 300_000)
			}
		})
	}
}

func measureFile(b *testing.B, encoding string, entries int) {
	ns := loadedNamespace(b)
	dir := b.TempDir()
	cfg := writeFile(b, dir, "ctferry.yaml", "sinks: {out: {type: file, path: "+dir+"/out, encoding: "+encoding+", rotate: {size: 0}}}\n")
	p := startFerry(b, ns, "run", "-c", cfg)
	made, err := testnet.Churn{NS: ns, Entries: entries}.Run(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	peak := residentPeak(b, p.cmd.Process.Pid)
	books := p.stop(b)
	if got := books.socket(b, "", "offered"); got != made.Events() {
		b.Fatalf("%d events were made, %d offered", made.Events(), got)
	}
	state := p.cmd.ProcessState
	cpu := state.UserTime() + state.SystemTime()
	info, err := os.Stat(filepath.Join(dir, "out"))
	if err != nil {
		b.Fatal(err)
	}
	n := float64(made.Events())
	b.ReportMetric(made.PerSecond(), "events/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/n, "cpu-ns/event")
	b.ReportMetric(float64(peak)/1024, "peak-MiB")
	b.ReportMetric(float64(books.socket(b, "", "lost")+books.sink(b, "out", "dropped")), "lost")
	b.ReportMetric(float64(info.Size())/n, "B/event")
}

// residentPeak is the process's VmHWM in KiB.
func residentPeak(tb testing.TB, pid int) int {
	tb.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// loadedNamespace is a namespace that counts and stamps flows.
func loadedNamespace(tb testing.TB) *testnet.Namespace {
	tb.Helper()
	ns := testnet.New(tb)
	if err := ns.Up(); err != nil {
		tb.Fatal(err)
	}
	if err := ns.Record(); err != nil {
		tb.Fatal(err)
	}
	return ns
}

// TestLoadIntoAFileLosesNothing keeps a steady load, far below what the
// benchmark above drives, so that a busy machine can keep up: nothing is lost
// on the way into one file, and the memory stays below its bound.
func TestLoadIntoAFileLosesNothing(t *testing.T) {
	if os.Getuid() != 0 {
		testnet.Unavailable(t, "the receive buffer of 64 MiB needs root")
	}
	ns := loadedNamespace(t)
	dir := t.TempDir()
	cfg := writeFile(t, dir, "ctferry.yaml", "sinks: {out: {type: file, path: "+dir+"/out.jsonl}}\n")
	p := startFerry(t, ns, "run", "-c", cfg)
	made, err := testnet.Churn{NS: ns, Entries: 60_000, Rate: 40_000}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	peak := residentPeak(t, p.cmd.Process.Pid)
	books := p.stop(t)
	if lost := books.socket(t, "", "lost"); lost != 0 {
		t.Errorf("the kernel dropped %d events", lost)
	}
	if got := books.sink(t, "out", "delivered"); got < made.Events() || books.sink(t, "out", "dropped") != 0 {
		t.Errorf("%d of %d events delivered, %d dropped", got, made.Events(), books.sink(t, "out", "dropped"))
	}
	if got, want := lines(t, filepath.Join(dir, "out.jsonl")), books.sink(t, "out", "delivered"); got != want {
		t.Errorf("the file has %d lines of %d", got, want)
	}
	if peak > 80<<10 {
		t.Errorf("%d KiB resident: expected less than 64 MiB", peak)
	}
}
