package sinks

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// publish sends the batch to core NATS and waits until the server has read it
// all: its answer to a ping comes behind everything that it had to say about
// the messages before. What it refused is then known; the rest counts as
// delivered, which says nothing about subscribers.
func (n *NATS) publish(ctx context.Context, b *Batch) error {
	nc := n.link.nc
	life, before := nc.Stats().Reconnects, nc.LastError()
	for i := range n.plan.messages {
		m := &n.plan.messages[i]
		if err := n.pen.publish(m.subject, nil, nil, n.body.of(m)...); err != nil {
			return n.fail("subject "+m.subject, err)
		}
	}
	if err := n.pen.flush(); err != nil {
		return n.fail("flush", err)
	}
	ctx, cancel := context.WithTimeout(ctx, n.o.PublishTimeout)
	defer cancel()
	if err := nc.FlushWithContext(ctx); err != nil {
		return n.fail("flush", err)
	}
	if nc.Stats().Reconnects != life {
		// The answer came from another connection than some of the messages went to.
		return n.fail("flush", nats.ErrDisconnected)
	}
	if nc.LastError() != before {
		return n.refused(ctx, b)
	}
	if len(n.plan.poison) > 0 { // otherwise all is delivered, and nobody looks at the marks
		_ = n.sift(b)
	}
	return nil
}

// refused finds out which messages the server would not have.
func (n *NATS) refused(ctx context.Context, b *Batch) error {
	if !n.link.settled(ctx) || !errors.Is(n.link.nc.LastError(), nats.ErrPermissionViolation) {
		return n.fail("flush", fmt.Errorf("the connection is in trouble: %w", n.link.nc.LastError()))
	}
	return n.sift(b)
}

// sift marks what was not refused as delivered and gives the first refusal.
func (n *NATS) sift(b *Batch) (first error) {
	for i := range n.plan.messages {
		m := &n.plan.messages[i]
		err := n.link.refusal(m.subject)
		switch {
		case err == nil:
			n.done(m, b)
		case first == nil:
			first = n.fail("subject "+m.subject, err)
		}
	}
	return first
}
