package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == listenVerb {
		exit(goListen()) // the test binary is the bare Go loop too
	}
	os.Exit(testnet.Main(m))
}

// built is ctferry, built once a test run. A path that stays lets the linker rest
// where nothing has changed.
func built(t *testing.T) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var buildOnce = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // one build a test run
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	path := filepath.Join(os.TempDir(), fmt.Sprintf("ctferry-benchtest-%d-%x", os.Getuid(), crc32.ChecksumIEEE([]byte(folder))), "ctferry")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "../../cmd/ctferry")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// smallLab is a laboratory for tiny loads.
func smallLab(t *testing.T, ferry string) *lab {
	t.Helper()
	testnet.New(t) // skips where there are none
	l, err := newLab(t.Context(), lab{ferry: ferry, rounds: 2, scale: 0.001, out: t.Output()}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(l.dir); err == nil {
			t.Errorf("%s is left", l.dir)
		}
	})
	return l
}

// TestSmoke runs three rows as "make bench" does, with next to no load, into a document.
func TestSmoke(t *testing.T) {
	testnet.New(t)
	var out bytes.Buffer
	document := filepath.Join(t.TempDir(), "BENCHMARKS.md")
	args := []string{"-ctferry", built(t), "-rounds", "1", "-scale", "0.002", "-rows", "^(real|idle|restore)$", "-o", document, "-dir", t.TempDir()}
	if err := bench(t.Context(), args, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Benchmarks", begin, end, "CPU an event, real packets on lo", "ctferry json, socket", "CPU while nothing happens",
		"restore of 200 saved entries, wall time", "restore of 100 saved entries, wall time", "1 rounds"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the document has no %q:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "ctferry json, socket | -") {
		t.Errorf("the socket was not measured:\n%s", text)
	}
}

// TestSamplesCountExactly takes each of our subjects under a known load.
func TestSamplesCountExactly(t *testing.T) {
	l := smallLab(t, built(t))
	for _, s := range []subject{l.bareC(), l.bareGo(), l.ferryAs(ferryFile("socket")), l.ferryAs(ferryFile("ring"))} {
		t.Run(s.name, func(t *testing.T) {
			got, err := l.take(t.Context(), s, load{churn: testnet.Churn{Entries: 300, Update: true}})
			if errors.Is(err, errMissing) {
				testnet.Unavailable(t, "%v", err)
			}
			if err != nil && s.name == "ctferry json, ring" && os.Getuid() != 0 {
				testnet.Unavailable(t, "the ring needs CAP_BPF: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.made.Events() != 900 || got.counted.received != 900 || got.missing() != 0 {
				t.Errorf("%v", got)
			}
			if got.cpu <= 0 || got.generator <= 0 || got.peak < 100<<10 {
				t.Errorf("CPU %v, generator %v, peak %d", got.cpu, got.generator, got.peak)
			}
			if ferry := strings.HasPrefix(s.name, "ctferry"); ferry != (got.counted.bytes > 900*300) {
				t.Errorf("%d bytes written", got.counted.bytes)
			}
		})
	}
}

// TestPeersCount takes the peers under a load that they can stand.
func TestPeersCount(t *testing.T) {
	l := smallLab(t, "/bin/true")
	for _, s := range []subject{l.conntrackEvents(), l.ulogdJSON()} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			got, err := l.take(t.Context(), s, load{churn: testnet.Churn{Entries: 40, Rate: 1000}})
			if errors.Is(err, errMissing) {
				t.Skipf("a peer: %v", err) // never required: nothing of ours is untested without it
			}
			if err != nil || got.counted.received != 80 {
				t.Errorf("%v: %v", got, err)
			}
		})
	}
}

// TestRowSurvivesAFailingSubject has a subject that ends at once, and one that is absent.
func TestRowSurvivesAFailingSubject(t *testing.T) {
	l := smallLab(t, "/bin/true")
	broken := subject{name: "broken", count: countSaid, prepare: func(string) ([]string, error) {
		return []string{"/bin/sh", "-c", "echo reason >&2; exit 3"}, nil
	}}
	absent := subject{name: "absent", prepare: func(string) ([]string, error) { return nil, errMissing }}
	good := l.bareGo()
	got, err := alternate(t.Context(), l, 2, []subject{broken, absent, good}, func(subject) load { return l.fullRate(100_000) })
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.samples[good.name]); n != 2 {
		t.Errorf("%d samples of the good one, expected 2", n)
	}
	if note := got.line("m", broken, good, "ns", sample.cpuAnEvent).note; !strings.Contains(note, "exit status 3") || !strings.Contains(note, "reason") {
		t.Errorf("note %q does not say why", note)
	}
	if note := got.line("m", absent, good, "ns", sample.cpuAnEvent).note; note != "not installed" {
		t.Errorf("note %q", note)
	}
	left, err := filepath.Glob(filepath.Join(l.dir, "sample-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	if _, err := alternate(t.Context(), l, 1, []subject{broken, absent}, func(subject) load { return load{} }); err == nil {
		t.Error("a row of which every subject failed has no error")
	}
}

// TestRowSurvivesAFailingRow goes on with the next.
func TestMeasureGoesOn(t *testing.T) {
	l := &lab{out: io.Discard}
	fine := row{"fine", func(context.Context, *lab) ([]line, error) { return []line{{measure: "fine"}}, nil }}
	bad := row{"bad", func(context.Context, *lab) ([]line, error) {
		return []line{{measure: "half"}}, errors.New("no such disk")
	}}
	lines, err := l.measure(t.Context(), []row{bad, fine})
	if err != nil || len(lines) != 3 || lines[0].measure != "half" || lines[1].note != "failed: no such disk" || lines[2].measure != "fine" {
		t.Errorf("%+v, %v", lines, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.measure(ctx, []row{bad, fine}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestInterruptLeavesNothing is interrupted in the middle of a sample.
func TestInterruptLeavesNothing(t *testing.T) {
	l := smallLab(t, "/bin/true")
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	_, err := alternate(ctx, l, 100, []subject{l.bareGo()}, func(subject) load {
		return load{churn: testnet.Churn{Entries: 1 << 20, Rate: 1000}}
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if left, err := filepath.Glob(filepath.Join(l.dir, "sample-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-rounds", "3", "-rows", "^cpu$", "-scale", "0.5", "-o", "X.md", "-dir", "/d"}, io.Discard)
	if err != nil || o.lab.rounds != 3 || !o.rows.MatchString("cpu") || o.rows.MatchString("cpus") || o.report != "X.md" || o.dir != "/d" {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err = parse(nil, io.Discard); err != nil || o.lab.rounds != 5 || o.lab.ferry != "bin/ctferry" || o.dir == "" {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"-rounds", "0"}, {"-scale", "0"}, {"-scale", "2"}, {"-rows", "("}, {"-nice", "-21"}, {"-nice", "20"}, {"more"}, {"-nosuch"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	if _, err := parse([]string{"-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}

func TestBenchRefuses(t *testing.T) {
	for _, args := range [][]string{{"-rows", "nosuch"}, {"-ctferry", "/nosuch/ctferry"}, {"-dir", "/nosuch"}} {
		if err := bench(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

// TestRowsAreNamed holds names to what -rows can select one by one.
func TestRowsAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows() {
		if r.name == "" || strings.ToLower(r.name) != r.name || seen[r.name] || r.run == nil {
			t.Errorf("row %q", r.name)
		}
		seen[r.name] = true
	}
}
