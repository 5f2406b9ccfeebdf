package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

// TestChaos is the fault suite: every case breaks something under a real load
// of the kernel's events, with the program as a process of its own, and counts
// what became of each event. With CHAOS=long (make chaos) the faults last as
// long as the promises say; without, each is as short as it can be and still
// be a fault. The figures of all cases stand in one table at the end (-v).
func TestChaos(t *testing.T) {
	if os.Getuid() != 0 {
		testnet.Unavailable(t, "the fault suite stops brokers, fills disks and enters namespaces, which needs root")
	}
	var rows []*figures
	runAll := func(t *testing.T, cases []chaosCase, together bool) {
		for _, c := range cases {
			row := &figures{name: c.name}
			rows = append(rows, row)
			t.Run(c.slug(), func(t *testing.T) {
				if together {
					t.Parallel()
				}
				begin := time.Now()
				defer func() { row.seal(t, begin) }()
				c.run(t, row)
			})
		}
	}
	t.Run("light", func(t *testing.T) { runAll(t, chaosLight(), !chaosLong()) })
	t.Run("heavy", func(t *testing.T) { runAll(t, chaosHeavy(), false) })
	t.Logf("\n%s", chaosTable(rows))
}

// chaosCase is one row of the table of promises.
type chaosCase struct {
	name string
	run  func(*testing.T, *figures)
}

func (c chaosCase) slug() string {
	return strings.NewReplacer(" ", "-", ",", "").Replace(c.name)
}

// chaosLight are the cases that mostly wait: the short form runs them side by side.
func chaosLight() []chaosCase {
	return []chaosCase{
		{"kafka stopped", chaosKafka},
		{"nats stopped, refused, full", chaosNATS},
		{"kafka dead at the stop", chaosKafkaStop},
		{"kill -9 with spool", chaosKill},
		{"disk full", chaosDisk},
		{"disk full under the spool", chaosSpoolDisk},
		{"strangers", chaosStrangers},
	}
}

// chaosHeavy are the cases that need the machine for themselves.
func chaosHeavy() []chaosCase {
	return []chaosCase{
		{"sinks that never answer", chaosFrozen},
		{"sinks that never answer, overflow", chaosFrozenOverflow},
		{"program stopped", chaosStopped},
		{"program stopped, reliable", chaosReliable},
		{"endurance", chaosEndurance},
	}
}

// chaosNamespace is a named one, because the program finds it by that.
func chaosNamespace(t *testing.T) *testnet.Namespace {
	t.Helper()
	_, name, _ := strings.Cut(strings.ToLower(t.Name()), "/")
	ns := testnet.NewNamed(t, fmt.Sprintf("ctferry-%s-%d", strings.ReplaceAll(name, "/", "-"), os.Getpid()))
	if err := errors.Join(ns.Up(), ns.Record()); err != nil {
		t.Fatal(err)
	}
	return ns
}

// chaosLong is whether the faults are to last as long as the promises say.
func chaosLong() bool { return os.Getenv("CHAOS") == "long" }

// inLong gives the figure of the form that is being run.
func inLong[T any](long, short T) T {
	if chaosLong() {
		return long
	}
	return short
}

// chaosRate is the usual load, in events a second: the short form runs beside
// other tests, and reads everything back with the race detector on.
func chaosRate() int { return inLong(8000, 2500) }

// figures are one row of the table.
type figures struct {
	name, verdict string
	took          time.Duration
	told          []string
}

// tell adds a figure.
func (f *figures) tell(format string, args ...any) {
	f.told = append(f.told, fmt.Sprintf(format, args...))
}

func (f *figures) seal(t *testing.T, begin time.Time) {
	f.took, f.verdict = time.Since(begin).Round(100*time.Millisecond), "held"
	switch {
	case t.Failed():
		f.verdict = "BROKEN"
	case t.Skipped():
		f.verdict = "skipped"
	}
}

func chaosTable(rows []*figures) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\tpromise\ttook\tfigures")
	for _, r := range rows {
		if r.verdict == "" {
			continue // not asked for
		}
		for i, told := range append(r.told, "")[:max(1, len(r.told))] {
			if i == 0 {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.name, r.verdict, r.took, told)
				continue
			}
			fmt.Fprintf(w, "\t\t\t%s\n", told)
		}
	}
	_ = w.Flush()
	return out.String()
}

// load is traffic in the background.
type load struct {
	cancel context.CancelFunc
	done   chan struct{}
	made   testnet.Churned
	err    error
}

// startLoad makes and deletes entries at so many events a second until it is
// stopped; 0 is as fast as the kernel takes them.
func startLoad(t *testing.T, c testnet.Churn) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel, done: make(chan struct{})}
	c.Entries = testnet.MaxEntries - c.First
	go func() {
		defer close(l.done)
		for ctx.Err() == nil && l.err == nil {
			made, err := c.Run(ctx)
			l.made.Created += made.Created
			l.made.Updated += made.Updated
			l.made.Deleted += made.Deleted
			l.made.Elapsed += made.Elapsed
			if ctx.Err() == nil {
				l.err = err
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-l.done })
	return l
}

// stop ends the load and tells how much it was.
func (l *load) stop(t *testing.T) testnet.Churned {
	t.Helper()
	l.cancel()
	<-l.done
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l.made
}
