package top

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ctferry/ctferry/cmd/ctferry/connect"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// Remote reads a node's status records over NATS.
type Remote struct {
	target *connect.Target
	node   string
	wait   time.Duration

	nc     *nats.Conn
	client *control.Client
	past   history
}

// NewRemote finds how the node is reached; wait is how long it may be silent. It
// asks nothing yet. Errors are connect's.
func NewRemote(o connect.Options, node string, wait time.Duration) (*Remote, error) {
	target, err := connect.ThisHost().Find(o)
	if err != nil {
		return nil, err
	}
	return &Remote{target: target, node: node, wait: wait}, nil
}

// Read asks the node for its status records.
func (r *Remote) Read(ctx context.Context) (*Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, r.wait+patience)
	defer cancel()
	if err := r.dial(ctx); err != nil {
		return nil, err
	}
	snap := &admin.Snapshot{}
	_, err := r.client.Node(r.node).Call(ctx, &control.Request{Verb: control.VerbStats, Table: control.TableAgent},
		func(b *flow.Batch) error {
			for i := range b.Events() {
				take(snap, &b.Events()[i])
			}
			return nil
		})
	switch {
	case errors.Is(err, control.ErrDenied):
		return nil, &UsageError{err}
	case err != nil:
		return nil, fmt.Errorf("%s: %w", cmp.Or(r.nc.ConnectedUrlRedacted(), r.target.From), err)
	case snap.Node == "":
		return nil, fmt.Errorf("node %s answered without a status record", r.node)
	}
	reading := newReading(snap, true)
	r.past.add(&reading.Snapshot)
	return reading, nil
}

// dial connects unless there is a connection, which comes back by itself as long
// as the server has not ended it for good.
func (r *Remote) dial(ctx context.Context) error {
	if r.nc != nil && !r.nc.IsClosed() {
		return nil
	}
	nc, err := r.target.Dial(ctx)
	var usage *connect.UsageError
	if errors.As(err, &usage) {
		return &UsageError{err}
	}
	if err != nil {
		return err
	}
	client, err := control.NewClient(nc, control.ClientOptions{
		Prefix: r.target.Subjects.Prefix, Site: r.target.Subjects.Site, User: connect.User(), Discover: r.wait, Silence: r.wait,
	})
	if err != nil {
		nc.Close()
		return &UsageError{err}
	}
	r.nc, r.client = nc, client
	return nil
}

// Close closes the connection.
func (r *Remote) Close() {
	if r.nc != nil {
		r.nc.Close()
	}
}

// take adds a status record to a snapshot: each holds the whole node and the
// books of one sink.
func take(s *admin.Snapshot, e *flow.Event) {
	if e.Agent == nil || e.Origin == nil {
		return
	}
	a := e.Agent
	if a.Sink != nil {
		own := *a.Sink
		own.Dropped = append([]flow.Drop(nil), own.Dropped...)
		s.Books.Sinks = append(s.Books.Sinks, own)
		if own.LastError != "" && !own.Up {
			s.Errors = append(s.Errors, admin.Failure{Part: "sink " + own.Name, Text: own.LastError})
		}
	}
	if s.Node != "" {
		return
	}
	s.Time, s.Node, s.Run = time.Unix(0, e.Time), cmp.Or(e.Origin.Node, "?"), fmt.Sprintf("%x", e.Origin.Run)
	s.Version, s.Kernel, s.Uptime = a.Version, a.Kernel, time.Duration(a.Uptime).Seconds()
	s.Settings = admin.Settings{Acct: a.Acct, Timestamp: a.Stamps, Events: a.Events}
	s.Clock, s.EventCost = a.Clock, ctnetlink.EventCost
	s.Tables = append([]flow.TableFill(nil), a.Tables...)
	s.Books.Sockets = append([]flow.SocketBooks(nil), a.Sockets...)
	s.Warnings = append([]string(nil), a.Warnings...)
}
