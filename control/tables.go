package control

import (
	"context"

	"github.com/ctferry/ctferry/source/flow"
)

// Caller carries out requests. Rows come in batches, which are rows' until it
// returns; its error ends the request. The result comes with an error too, as
// far as it got. The error is an *Error where the request was refused.
type Caller interface {
	Call(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error)
}

// Tables are the operations on one namespace's tables that the kernel has; a
// *ctnetlink.Conn satisfies it.
type Tables interface {
	Dump(ctx context.Context, table flow.Table, o flow.DumpOptions, fn func(*flow.Batch) error) (uint64, error)
	Get(ctx context.Context, k flow.Key, b *flow.Batch) error
	GetZero(ctx context.Context, k flow.Key, b *flow.Batch) error
	GetExpect(ctx context.Context, k flow.ExpectKey, b *flow.Batch) error
	Apply(ctx context.Context, changes []flow.Change) []error
	Flush(ctx context.Context, o flow.FlushOptions) error
	FlushExpect(ctx context.Context, helper string) error
	Stats(ctx context.Context) (flow.TableFill, error)
	CPUStats(ctx context.Context, table flow.Table) ([]flow.CPUStats, error)
}

// Session is a connection to the tables of one namespace, closed after the request.
type Session interface {
	Tables
	Close() error
}

// Tap gives live events of one namespace.
type Tap interface {
	// Watch calls fn with batches of stamped events, gaps among them, until ctx
	// ends (nil) or fn or the reading fails.
	Watch(ctx context.Context, o WatchOptions, fn func(*flow.Batch) error) error
}

// WatchOptions say what to watch.
type WatchOptions struct {
	NetNS  string
	Table  flow.Table
	Types  flow.Types // of new, update and destroy
	Filter *flow.Filter
	Buffer int // bytes of the event socket's buffer; 0 is the default
}
