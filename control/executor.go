package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// batchSize is how many entries are changed, read again or handed on at once.
const batchSize = 256

// Executor carries out requests on this host's tables. It guards nothing: see
// Guard. Its methods may be called by several goroutines at once; each call has
// a Session of its own.
//
// Memory is bounded whatever the table holds: rows go through one batch, and
// what a filter finds is changed batch by batch while the table is read.
//
// An entry that is gone when its turn comes (ENOENT) is neither counted nor a
// failure where a filter found it, and a failure where a key named it. An
// update that would leave an entry as it is does not touch it, and it is not
// counted, as with conntrack -U.
type Executor struct {
	// Open connects to the tables of a namespace by its configured name; "" is
	// the process's own. A name that is not configured is fs.ErrNotExist.
	Open func(netns string) (Session, error)

	Tap  Tap    // for watch; nil: there is none
	Node string // for results

	// Origin is what the rows of a namespace say of where they were read; its
	// Run is the executor's own, since its rows have a numbering of their own.
	// With nil, rows are as the kernel gave them: without origin, time and ids.
	Origin func(netns string) *flow.Origin

	seq atomic.Uint64
}

// bounds is what a guard has a call keep to.
type bounds struct {
	spare *flow.Filter // entries that match are not touched; nil: none is spared
	most  int          // more entries than that are not touched; 0: no bound
}

// call is one request while it is carried out.
type call struct {
	x     *Executor
	q     *Request
	t     Tables
	table flow.Table
	rows  func(*flow.Batch) error // may be nil
	bound bounds
	res   *Result

	origin *flow.Origin
	info   *flow.DumpInfo
}

// Call implements Caller. Rows have the type dump, but for those of watch, and
// of create (new); rows may be nil. Of update they are the entries as they are
// afterwards, of delete as they were, of create as they were asked for.
//
// The error is an *Error, or what rows returned, or ctx's own. Where single
// entries failed it is nil, and the Result tells.
func (x *Executor) Call(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
	return x.call(ctx, q, rows, bounds{})
}

func (x *Executor) call(ctx context.Context, q *Request, rows func(*flow.Batch) error, b bounds) (*Result, error) {
	res := &Result{Request: q.ID, Node: x.Node, DryRun: q.DryRun}
	if err := q.Validate(); err != nil {
		return res, err
	}
	inner := ctx
	if q.Timeout > 0 {
		var cancel context.CancelFunc
		inner, cancel = context.WithTimeout(ctx, q.Timeout)
		defer cancel()
	}
	c := call{x: x, q: q, table: q.Table.Flow(), rows: rows, bound: b, res: res}
	if x.Origin != nil {
		c.origin = x.Origin(q.NetNS)
		c.info = &flow.DumpInfo{ID: rand.Uint64(), Reason: "request", CountersReset: q.Verb == VerbZero && !q.DryRun}
	}
	if q.Verb == VerbWatch {
		return res, c.explain(ctx, c.watch(inner))
	}
	s, err := x.Open(q.NetNS)
	if err != nil {
		return res, openError(q.NetNS, err)
	}
	c.t = s
	err = c.explain(ctx, c.run(inner))
	if closed := s.Close(); err == nil && closed != nil {
		err = fmt.Errorf("close: %w", closed)
	}
	return res, err
}

func openError(netns string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{Code: CodeNotFound, Field: "netns", Message: fmt.Sprintf("%q: no such namespace here", netns)}
	}
	return asOurs(err)
}

func (c *call) run(ctx context.Context) error {
	switch c.q.Verb {
	case VerbList:
		return c.list(ctx)
	case VerbZero:
		return c.zero(ctx)
	case VerbGet:
		return c.get(ctx)
	case VerbCount:
		return c.count(ctx)
	case VerbStats:
		cpus, err := c.t.CPUStats(ctx, c.table)
		c.res.CPUs, c.res.Count = cpus, uint64(len(cpus))
		return err
	case VerbDelete:
		return c.change(ctx, c.deletion)
	case VerbUpdate:
		return c.change(ctx, c.updating)
	case VerbCreate:
		return c.create(ctx)
	case VerbFlush:
		return c.flush(ctx)
	}
	return invalid("verb", "expected %s", verbList())
}

// explain turns what ended the call into what the caller is told.
func (c *call) explain(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return err // the caller's own doing
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: CodeTimeout, Message: fmt.Sprintf("its %v ran out", c.q.Timeout)}
	}
	var told *rowsError
	if errors.As(err, &told) {
		return told.err
	}
	return asOurs(err)
}

// rowsError is an error of the caller's function, which is none of ours.
type rowsError struct{ err error }

func (e *rowsError) Error() string { return e.err.Error() }
func (e *rowsError) Unwrap() error { return e.err }

// tell hands rows on, with what records have.
func (c *call) tell(b *flow.Batch) error {
	if c.rows == nil || b.Len() == 0 {
		return nil
	}
	if c.origin != nil {
		c.stamp(b)
	}
	if err := c.rows(b); err != nil {
		return &rowsError{err}
	}
	return nil
}

func (c *call) stamp(b *flow.Batch) {
	now := time.Now().UnixNano()
	events := b.Events()
	last := c.x.seq.Add(uint64(len(events)))
	for i := range events {
		e := &events[i]
		e.Origin, e.Seq = c.origin, last-uint64(len(events)-1-i)
		e.Time, e.TimeSource = now, flow.TimeReceived
		if e.Type == flow.TypeDump {
			e.Dump = c.info
		}
		if id, ok := e.ComputeFlowID(); ok {
			e.FlowID = id
			e.Has |= flow.HasFlowID
		}
	}
}

// wants reports whether the request is about the entry.
func (c *call) wants(e *flow.Event) bool {
	if c.q.Family != flow.FamilyUnspecified && e.Family != c.q.Family {
		return false
	}
	if c.q.Filter == nil {
		return true
	}
	e.Origin = c.origin // a filter may ask for the namespace's name
	return c.q.Filter.Match(e)
}

// spared reports whether the guard keeps the entry from being touched.
func (c *call) spared(e *flow.Event) bool {
	return c.bound.spare != nil && c.bound.spare.Match(e)
}

// fail notes an entry that did not succeed. What a failure tells of an entry is
// copied.
func (c *call) fail(index int, e *flow.Event, err error) {
	c.res.Failed++
	if len(c.res.Failures) >= MaxFailures {
		return
	}
	f := Failure{Index: index, Err: asOurs(err)}
	if e != nil {
		f.Event = copyEvent(e)
	}
	c.res.Failures = append(c.res.Failures, f)
}

// copyEvent makes a copy that stays when the batch is filled again.
func copyEvent(e *flow.Event) *flow.Event {
	out := *e
	if e.Extra != nil {
		x := *e.Extra
		out.Extra = &x
	}
	return &out
}
