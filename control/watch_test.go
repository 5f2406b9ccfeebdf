package control

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/source/flow"
)

// ticker is a Tap that gives an event every so often, numbered by its mark, and
// a gap after the fifth.
type ticker struct {
	origin *flow.Origin
	every  time.Duration
	each   int // events at once
	open   atomic.Int64
	asked  atomic.Pointer[WatchOptions]
}

func (k *ticker) Watch(ctx context.Context, o WatchOptions, fn func(*flow.Batch) error) error {
	k.open.Add(1)
	defer k.open.Add(-1)
	k.asked.Store(&o)
	b := flow.NewBatch(k.each + 1)
	for i := uint32(0); ; {
		if wait(ctx, k.every) != nil {
			return nil
		}
		b.Reset()
		for range k.each {
			if i == 5 {
				e, lost := b.Next(), uint64(3)
				e.Type, e.Table, e.Origin, e.Time, e.TimeSource = flow.TypeGap, flow.TableConntrack, k.origin, 1, flow.TimeReceived
				e.Gap = &flow.Gap{Scope: "kernel", Source: "host", Reason: "receive_buffer", Lost: &lost}
			}
			fillRow(b.Next(), k.origin, i)
			b.Events()[b.Len()-1].Type = flow.TypeNew
			i++
			if b.Free() == 0 {
				break
			}
		}
		if err := fn(b); err != nil {
			return err
		}
	}
}

// watching runs a node whose live events come from a ticker.
func watching(t *testing.T, b *natstest.Broker, k *ticker, change ...func(*ServiceOptions)) *testNode {
	k.origin = newOrigin("edge-1", 1)
	return runNode(t, b.Dial(t), k.origin, &Executor{Tap: k, Node: "edge-1"}, change...).serving(t)
}

func watchAll() *Request { return &Request{Verb: VerbWatch, Table: TableConntrack} }

// TestWatch: events come as they happen, gaps among them, until the caller
// wants no more; then the node stops.
func TestWatch(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	k := &ticker{every: 5 * time.Millisecond, each: 1}
	n := watching(t, b, k)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	marks, gaps := 0, 0
	q := watchAll()
	q.Types, q.Buffer = flow.TypesOf(flow.TypeNew), 1<<20
	res, err := newClient(t, b.Dial(t)).Node("edge-1").Call(ctx, q, func(b *flow.Batch) error {
		for i := range b.Events() {
			switch e := &b.Events()[i]; {
			case e.Type == flow.TypeGap && *e.Gap.Lost == 3:
				gaps++
			case e.Mark != uint32(marks):
				t.Errorf("event %d came as number %d", e.Mark, marks)
			default:
				marks++
			}
		}
		if marks == 300 {
			cancel()
		}
		return nil
	})
	if err != nil || gaps != 1 || marks < 300 || res.Count != uint64(marks+1) {
		t.Errorf("%d events, %d gaps, %+v, %v", marks, gaps, res, err)
	}
	if o := k.asked.Load(); o.Types != q.Types || o.Buffer != 1<<20 || o.Table != flow.TableConntrack {
		t.Errorf("asked for %+v", o)
	}
	eventually(t, "the watch ends on the node", func() bool { return k.open.Load() == 0 && n.underWay() == 0 })
}

// TestWatchQuietly: a watch without events lasts, and ends when its caller is
// heard no more.
func TestWatchQuietly(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	k := &ticker{every: time.Hour, each: 1}
	watching(t, b, k)
	f := newFreezer(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	if _, err := newClient(t, b.Dial(t)).Node("edge-1").Call(ctx, watchAll(), nil); err != nil {
		t.Error(err)
	}
	eventually(t, "the watch ends on the node", func() bool { return k.open.Load() == 0 })
	failed := make(chan error, 1)
	go func() {
		_, err := newClient(t, b.Dial(t, f.through)).Node("edge-1").Call(within(t), watchAll(), nil)
		failed <- err
	}()
	eventually(t, "the watch begins", func() bool { return k.open.Load() == 1 })
	f.set(true)
	eventually(t, "the lease ends", func() bool { return k.open.Load() == 0 })
	wantOnly(t, <-failed, ErrSlow)
	f.set(false)
}

// TestSlowWatcher: a watcher that is alive and takes nothing for too long is cut,
// and told so. One that is merely slower than the events loses some of them where
// they are read, and a gap tells.
func TestSlowWatcher(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	k := &ticker{every: time.Millisecond, each: 100}
	watching(t, b, k)
	rows := 0
	res, err := newClient(t, b.Dial(t)).Node("edge-1").Call(within(t), watchAll(), func(b *flow.Batch) error {
		rows += b.Len()
		time.Sleep(time.Second)
		return nil
	})
	var cut *Error
	if !errors.As(err, &cut) || cut.Code != CodeCut || cut.Message != "the caller left no room for live events for 300ms" || res.Count != uint64(rows) {
		t.Errorf("got %+v, %v after %d rows", res, err, rows)
	}
	eventually(t, "the watch ends on the node", func() bool { return k.open.Load() == 0 })
}

// TestWatchers: as many watches as may be, and one more is refused; those that
// have ended make room.
func TestWatchers(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	k := &ticker{every: 20 * time.Millisecond, each: 1}
	n := watching(t, b, k, func(o *ServiceOptions) { o.Config.Watchers = 2 })
	c := newClient(t, b.Dial(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var watches sync.WaitGroup
	for range 2 {
		watches.Go(func() {
			if _, err := c.Node("edge-1").Call(ctx, watchAll(), nop); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "two watch", func() bool { return k.open.Load() == 2 })
	_, err := c.Node("edge-1").Call(within(t), watchAll(), nop)
	var busy *Error
	if !errors.As(err, &busy) || busy.Code != CodeBusy {
		t.Errorf("got %v", err)
	}
	cancel()
	watches.Wait()
	eventually(t, "nobody watches", func() bool { return n.underWay() == 0 })
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := c.Node("edge-1").Call(ctx, watchAll(), nop); err != nil {
		t.Error(err)
	}
}

func nop(*flow.Batch) error { return nil }

// TestWatchNodeStops: a watch ends at once when the node stops, and says so.
func TestWatchNodeStops(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	k := &ticker{every: 5 * time.Millisecond, each: 1}
	n := watching(t, b, k)
	failed := make(chan error, 1)
	go func() {
		_, err := newClient(t, b.Dial(t)).Node("edge-1").Call(within(t), watchAll(), nop)
		failed <- err
	}()
	eventually(t, "the watch begins", func() bool { return k.open.Load() == 1 })
	begun := time.Now()
	n.stop(t)
	var stopping *Error
	if err := <-failed; !errors.As(err, &stopping) || stopping.Code != CodeUnavailable || time.Since(begun) > 2*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begun))
	}
}

// TestPlainWatch: a plain client watches for as long as its request says.
func TestPlainWatch(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	k := &ticker{every: 20 * time.Millisecond, each: 1}
	watching(t, b, k)
	begun := time.Now()
	all := exchange(t, b.Dial(t), "ctferry.v1.default.node.edge-1.conntrack.watch", `{"v":1,"timeout":"500ms"}`, nil)
	took := time.Since(begun)
	last := all[len(all)-2]
	if len(all) < 10 || last.Header.Get(headerKind) != "result" || took < 400*time.Millisecond || took > patience {
		t.Errorf("%d messages in %v, the last but one %v", len(all), took, last.Header)
	}
}
