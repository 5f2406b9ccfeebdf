package frontend

import (
	"context"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/source/flow"
)

// Hosts carry out requests: this host alone, or one or more nodes over NATS.
type Hosts interface {
	// Call has every host carry out q and gives an answer for each. rows, which
	// may be nil, is never called by two goroutines at once; its error ends the
	// call.
	Call(ctx context.Context, q *control.Request, rows func(node string, b *flow.Batch) error) []Answer

	// Several reports whether more than one host may answer: then every line
	// says whose it is.
	Several() bool

	Close() error
}

// Answer is what became of a request on one host.
type Answer struct {
	Node   string          // "" is this host
	Result *control.Result // as far as it got; may be nil
	Err    error           // why the request was not carried out, or not to its end
	Silent bool            // the host did not answer, or not to the end: exit code 3
}

// Local makes Hosts of one Caller, which is asked as this host is. closed is
// called by Close and may be nil.
func Local(c control.Caller, closed func() error) Hosts { return local{c, closed} }

type local struct {
	caller control.Caller
	closed func() error
}

func (l local) Call(ctx context.Context, q *control.Request, rows func(string, *flow.Batch) error) []Answer {
	var each func(*flow.Batch) error
	if rows != nil {
		each = func(b *flow.Batch) error { return rows("", b) }
	}
	result, err := l.caller.Call(ctx, q, each)
	return []Answer{{Result: result, Err: err}}
}

func (l local) Several() bool { return false }

func (l local) Close() error {
	if l.closed == nil {
		return nil
	}
	return l.closed()
}
