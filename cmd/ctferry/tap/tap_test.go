package tap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/flow"
)

func TestMain(m *testing.M) { os.Exit(testnet.Main(m)) }

// tracked makes a namespace with traffic's rules.
func tracked(t *testing.T) *testnet.Namespace {
	t.Helper()
	ns := testnet.New(t)
	if err := errors.Join(ns.Up(), ns.Record(), ns.Lay(testnet.Track())); err != nil {
		t.Fatal(err)
	}
	return ns
}

// seen is what a watch handed on.
type seen struct {
	types   map[flow.Type]int
	stamped int
	lost    uint64
	opened  chan struct{}
}

// watch runs a watch until stop, and gives what it saw and its error.
func watch(t *testing.T, tap *Tap, o control.WatchOptions, refuse error) (stop func() (*seen, error)) {
	t.Helper()
	s := &seen{types: map[flow.Type]int{}, opened: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	done := make(chan error, 1)
	go func() {
		done <- tap.Watch(ctx, o, func(b *flow.Batch) error {
			if b.Len() == 0 {
				close(s.opened)
				return nil
			}
			for i := range b.Events() {
				s.take(&b.Events()[i])
			}
			return refuse
		})
	}()
	select {
	case <-s.opened:
	case err := <-done:
		t.Fatalf("the watch ended: %v", err)
	}
	return func() (*seen, error) {
		if refuse == nil {
			cancel()
		}
		defer cancel()
		return s, <-done
	}
}

func (s *seen) take(e *flow.Event) {
	s.types[e.Type]++
	if e.Seq != 0 && e.Time != 0 && e.Origin != nil && e.Origin.Node == "edge-1" {
		s.stamped++
	}
	if e.Type == flow.TypeGap {
		s.lost += *e.Gap.Lost
	}
}

func newTap() *Tap {
	return &Tap{Identity: source.Identity{Node: "edge-1"}, Log: slog.New(slog.DiscardHandler)}
}

// TestWatchHandsOnEvents counts events of all kinds and of some, of all flows
// and of some.
func TestWatchHandsOnEvents(t *testing.T) {
	ns := tracked(t)
	filter, err := flow.ParseFilter(map[string]any{"mark": 7})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name               string
		o                  control.WatchOptions
		created, destroyed int
	}{
		{"all", control.WatchOptions{Table: flow.TableConntrack}, 70, 70},
		{"new", control.WatchOptions{Table: flow.TableConntrack, Types: flow.TypesOf(flow.TypeNew)}, 70, 0},
		{"filter", control.WatchOptions{Table: flow.TableConntrack, Filter: filter}, 20, 20},
		{"expect", control.WatchOptions{Table: flow.TableExpect}, 0, 0},
	} {
		tap, o := newTap(), c.o
		o.NetNS = ns.Path()
		var buffer uint64
		tap.Opened = func(n uint64) { buffer = n }
		stop := watch(t, tap, o, nil)
		for mark, n := range map[uint32]int{0: 50, 7: 20} {
			if _, err := (testnet.Churn{NS: ns, Entries: n, Mark: mark}).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s, err := stop() // what is queued is handed on
		if err != nil || s.types[flow.TypeNew] != c.created || s.types[flow.TypeDestroy] != c.destroyed ||
			s.stamped != c.created+c.destroyed+s.types[flow.TypeUpdate] || s.types[flow.TypeStatus] != 0 || buffer == 0 {
			t.Errorf("%s: %v: %+v, buffer %d", c.name, err, s, buffer)
		}
	}
}

// TestWatchTellsOfALoss overflows a small buffer while the watcher waits.
func TestWatchTellsOfALoss(t *testing.T) {
	ns := tracked(t)
	tap := newTap()
	tap.Buffer, tap.Max = 208*option.KiB, 208*option.KiB
	hold, first := make(chan struct{}), true
	s := &seen{types: map[flow.Type]int{}, opened: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- tap.Watch(ctx, control.WatchOptions{NetNS: ns.Path(), Table: flow.TableConntrack}, func(b *flow.Batch) error {
			if b.Len() == 0 {
				close(s.opened)
			} else if first {
				first = false
				<-hold
			}
			for i := range b.Events() {
				s.take(&b.Events()[i])
			}
			return nil
		})
	}()
	<-s.opened
	if _, err := (testnet.Churn{NS: ns, Entries: 1000}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(hold)
	time.Sleep(50 * time.Millisecond)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := uint64(s.types[flow.TypeNew] + s.types[flow.TypeDestroy]); s.lost == 0 || got+s.lost != 2000 {
		t.Errorf("%d events, %d lost: expected 2000 in all", got, s.lost)
	}
}

// TestWatchEnds ends by the watcher's own error, and by a namespace that is not.
func TestWatchEnds(t *testing.T) {
	ns := tracked(t)
	enough := errors.New("enough")
	stop := watch(t, newTap(), control.WatchOptions{NetNS: ns.Path(), Table: flow.TableConntrack}, enough)
	if _, err := (testnet.Churn{NS: ns, Entries: 10}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := stop(); !errors.Is(err, enough) || s.types[flow.TypeNew] == 0 {
		t.Errorf("%v: %+v", err, s)
	}
	err := newTap().Watch(t.Context(), control.WatchOptions{NetNS: "no-such-namespace", Table: flow.TableConntrack}, nil)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no namespace: %v", err)
	}
}

// TestWatchFindsNamedNamespaces reads a namespace by its name under /run/netns
// and stamps the name.
func TestWatchFindsNamedNamespaces(t *testing.T) {
	name := fmt.Sprintf("ctferry-tap-%d", os.Getpid())
	ns := testnet.NewNamed(t, name)
	if err := errors.Join(ns.Up(), ns.Record(), ns.Lay(testnet.Track())); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var churn sync.WaitGroup
	err := newTap().Watch(ctx, control.WatchOptions{NetNS: name, Table: flow.TableConntrack}, func(b *flow.Batch) error {
		if b.Len() == 0 {
			churn.Go(func() { testnet.Churn{NS: ns, Entries: 1}.Run(ctx) })
			return nil
		}
		if got := b.Events()[0].Origin.NetNS; got != name {
			t.Errorf("namespace %q, expected %q", got, name)
		}
		cancel()
		return nil
	})
	churn.Wait()
	if err != nil {
		t.Fatal(err)
	}
}
