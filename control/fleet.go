package control

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/ctferry/ctferry/source/flow"
)

// Answer is what a request came to on one node.
type Answer struct {
	Node   string
	Result *Result // never nil; as far as it got
	Err    error   // as of Client.Node's Caller
}

// Fleet are all nodes of a site.
type Fleet struct {
	c      *Client
	expect []string

	// Ended, if there is one, is told as each node comes to its end: a watch
	// of many may lose one of them long before it ends.
	Ended func(Answer)
}

// Fleet gives all nodes of the site. A node that is frozen is not seen when the
// client asks who is there; if it is among those expected, or has answered this
// client before, it is awaited nevertheless, and named when it does not answer.
func (c *Client) Fleet(expect ...string) *Fleet { return &Fleet{c: c, expect: expect} }

// Call sends a request to every node and tells what became of it on each, in
// the order of their names. Rows come as the nodes send them, a batch of one
// node at a time, in no order among nodes; Event.Origin.Node tells whose they
// are. The error is one that ended the call as a whole: ctx's, rows', ErrAbsent
// or ErrSlow if no node answers and none was expected, or ErrDenied.
func (f *Fleet) Call(ctx context.Context, q *Request, rows func(*flow.Batch) error) ([]Answer, error) {
	found, err := f.c.discover(ctx)
	if err != nil {
		return nil, err
	}
	return f.call(ctx, q, rows, f.c.known.union(found, f.expect))
}

// call sends a request to every node, those that are expected among them.
func (f *Fleet) call(ctx context.Context, q *Request, rows func(*flow.Batch) error, expect []string) ([]Answer, error) {
	deadline, bounded := ctx.Deadline()
	own := f.c.prepare(q, deadline, bounded)
	l := f.c.newInquiry(own, f.c.subjects.Fleet(own.Table, own.Verb), true, expect, rows)
	if f.Ended != nil {
		l.ended = func(st *incoming) { f.Ended(st.answer(own)) }
	}
	err := l.run(ctx)
	var all []Answer
	for _, st := range l.streams {
		all = append(all, st.answer(own))
	}
	slices.SortFunc(all, func(a, b Answer) int { return strings.Compare(a.Node, b.Node) })
	switch {
	case err != nil || len(all) > 0:
	case l.unheard:
		err = absent("", l.subject)
	default:
		err = slow("", f.c.o.Silence, 0)
	}
	return all, err
}

// nodeCaller is a Caller for one node.
type nodeCaller struct {
	c    *Client
	node string
}

// Call implements Caller.
func (n nodeCaller) Call(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
	deadline, bounded := ctx.Deadline()
	own := n.c.prepare(q, deadline, bounded)
	parts, err := own.parts()
	switch {
	case err != nil:
		return &Result{Request: own.ID, Node: n.node}, err
	case len(parts) > 1:
		return n.callParts(ctx, own, parts, rows)
	}
	return n.callOne(ctx, own, rows)
}

// callOne sends a request that is whole.
func (n nodeCaller) callOne(ctx context.Context, own *Request, rows func(*flow.Batch) error) (*Result, error) {
	l := n.c.newInquiry(own, n.c.subjects.Node(n.node, own.Table, own.Verb), false, []string{n.node}, rows)
	err := l.run(ctx)
	a := l.stream(n.node).answer(own)
	if err == nil {
		err = a.Err
	}
	return a.Result, err
}

// knownNodes are the names of nodes that once answered.
type knownNodes struct {
	mu    sync.Mutex
	names map[string]string // by token
}

// maxKnown bounds what a client remembers.
const maxKnown = 16384

// union notes those that were found, and gives all names: those known and those
// expected.
func (k *knownNodes) union(found []NodeInfo, expect []string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.names == nil {
		k.names = map[string]string{}
	}
	for i := range found {
		if node := found[i].Node; len(k.names) < maxKnown || k.names[Token(node)] != "" {
			k.names[Token(node)] = node
		}
	}
	all := maps.Clone(k.names)
	for _, node := range expect {
		if all[Token(node)] == "" {
			all[Token(node)] = node
		}
	}
	return slices.Sorted(maps.Values(all))
}
