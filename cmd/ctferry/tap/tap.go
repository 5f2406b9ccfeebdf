// Package tap gives live events to whoever asks, each time by a source of its
// own: the command line's -E, and the leases of the service's verb watch. It
// joins control, which declares what it needs of live events, with source,
// which has them, because neither may know the other. Batches are the source's
// and the caller's only until his function returns.
package tap

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/flow"
)

// Tap opens an event socket for every watch. Its fields are only read; several
// watches may be under way at once.
type Tap struct {
	Identity source.Identity
	Log      *slog.Logger

	Buffer option.Size // of a watch that does not say, effective bytes; 0 is source's default
	Max    option.Size // what a buffer may grow to; 0 is source's default

	// Opened, if not nil, is told the effective size of a watch's buffer once it
	// listens.
	Opened func(buffer uint64)
}

// Watch implements control.Tap. The first call of fn is with an empty batch:
// from then on nothing is missed. fn is called by the goroutine that reads the
// socket, so while it waits events pile up in the socket's buffer; what does not
// fit becomes a gap record. What was queued when ctx ends is still handed on.
func (t *Tap) Watch(ctx context.Context, o control.WatchOptions, fn func(*flow.Batch) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := &taker{fn: fn, cancel: cancel}
	s, err := source.NewIn(o.NetNS, t.config(&o), t.Identity, types(o.Types), out, t.Log)
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	if t.Opened != nil {
		t.Opened(s.Books()[0].Buffer)
	}
	out.Take(flow.NewBatch(0))
	if err := s.Run(ctx); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	return out.err
}

func (t *Tap) config(o *control.WatchOptions) source.Config {
	cfg := source.Default()
	cfg.Tables, cfg.Filter = []flow.Table{o.Table}, o.Filter
	cfg.Receive = "socket" // a ring is memory from the start, and -b says what a queue holds
	if t.Buffer != 0 {
		cfg.Buffer = t.Buffer
	}
	if t.Max != 0 {
		cfg.Max = t.Max
	}
	if o.Buffer > 0 {
		cfg.Buffer = option.Size(o.Buffer)
	}
	cfg.Max = max(cfg.Max, cfg.Buffer)
	return cfg
}

// types are the kernel's events that are asked for; none is all.
func types(asked flow.Types) flow.Types {
	kernel := source.Default().Events
	if asked == 0 {
		return kernel
	}
	return asked & kernel
}

// taker hands on what a watcher is told of: events and gaps, not the agent's
// own state. The source calls it from one goroutine at a time.
type taker struct {
	fn     func(*flow.Batch) error
	cancel context.CancelCauseFunc
	err    error // fn's; after it nothing more is handed on
}

// private reports whether a record is the source's own affair: its status, and
// that nobody watched before it began.
func private(e *flow.Event) bool {
	return e.Type == flow.TypeStatus || e.Type == flow.TypeGap && e.Gap.Scope == "restart"
}

// Take implements source.Taker.
func (t *taker) Take(b *flow.Batch) float64 {
	if t.err != nil || b.Len() == 1 && private(&b.Events()[0]) {
		return 0
	}
	if t.err = t.fn(b); t.err != nil {
		t.cancel(t.err)
	}
	return 0
}
