package frontend

import (
	"context"
	"errors"
	"sync"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/source/flow"
)

// Hosts carry out requests: this host alone, or one or more nodes over NATS.
type Hosts interface {
	// Call has every host carry out q and gives an answer for each. rows, which
	// may be nil, is never called by two goroutines at once; its error ends the
	// call. Of several hosts Event.Origin.Node tells whose a row is. The error is
	// one of the call as a whole.
	Call(ctx context.Context, q *control.Request, rows func(b *flow.Batch) error) ([]control.Answer, error)

	// Several reports whether more than one host may answer: then every line
	// says whose it is.
	Several() bool

	Close() error
}

// Local makes Hosts of one Caller, which is asked as this host is. closed is
// called by Close and may be nil.
func Local(c control.Caller, closed func() error) Hosts {
	return &nodes{callers: []control.Caller{c}, names: []string{""}, closed: closed}
}

// Nodes makes Hosts of nodes, a Caller for each name.
func Nodes(names []string, callers []control.Caller, closed func() error) Hosts {
	return &nodes{callers: callers, names: names, closed: closed}
}

// Fleet makes Hosts of all nodes.
func Fleet(f *control.Fleet, closed func() error) Hosts { return &fleet{f, closed} }

type fleet struct {
	*control.Fleet
	closed func() error
}

func (f *fleet) Several() bool { return true }
func (f *fleet) Close() error  { return end(f.closed) }

func end(closed func() error) error {
	if closed == nil {
		return nil
	}
	return closed()
}

// nodes are asked all at once.
type nodes struct {
	callers []control.Caller
	names   []string
	closed  func() error
}

func (n *nodes) Several() bool { return len(n.callers) > 1 }
func (n *nodes) Close() error  { return end(n.closed) }

// Call implements Hosts. One request serves all nodes: a write's ID is a node's
// own affair.
func (n *nodes) Call(ctx context.Context, q *control.Request, rows func(*flow.Batch) error) ([]control.Answer, error) {
	if len(n.callers) == 1 {
		result, err := n.callers[0].Call(ctx, q, rows)
		return []control.Answer{{Node: n.names[0], Result: result, Err: err}}, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var refused error
	one := func(b *flow.Batch) error {
		mu.Lock()
		defer mu.Unlock()
		if refused == nil {
			if refused = rows(b); refused != nil {
				cancel(refused)
			}
		}
		return refused
	}
	if rows == nil {
		one = nil
	}
	answers := make([]control.Answer, len(n.callers))
	var all sync.WaitGroup
	for i := range n.callers {
		all.Go(func() {
			answers[i].Node = n.names[i]
			answers[i].Result, answers[i].Err = n.callers[i].Call(ctx, q, one)
		})
	}
	all.Wait()
	return answers, refused
}

// silent reports whether a node did not answer, or not to the end.
func silent(err error) bool {
	return errors.Is(err, control.ErrAbsent) || errors.Is(err, control.ErrSlow) || errors.Is(err, control.ErrLost)
}
