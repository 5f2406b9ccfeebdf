package sinks

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// natsInFlightBytes bounds the payload that waits for acknowledgements. One
// message may exceed it alone.
const natsInFlightBytes = 8 << 20

// store sends the batch into the stream, at most max_in_flight messages at a
// time, and waits for every acknowledgement. Records are marked from the front
// only: what stands behind a message that failed is sent again with it, and the
// stream drops what it has by its id.
func (n *NATS) store(ctx context.Context, b *Batch) error {
	f := newNATSFlight(n, b)
	defer f.end()
	for f.front < len(n.plan.messages) {
		if err := f.fill(); err != nil {
			at := min(f.next, len(n.plan.messages)-1)
			f.drain(ctx, err)
			return n.storeFault(ctx, &n.plan.messages[at], err)
		}
		if err := f.await(ctx); err != nil {
			at := f.front
			f.drain(ctx, err)
			return n.storeFault(ctx, &n.plan.messages[at], err)
		}
	}
	return nil
}

// push sends one message, or has it ready for the pen's flush: a retry is ours to
// make, from the records.
func (n *NATS) push(m *natsMessage, b *Batch) error {
	return n.pen.publish(m.subject, n.answers.next(), n.id.of(&b.Records[m.head], &b.Records[m.tail]), n.body.of(m)...)
}

// storeFault makes the error of a message. Silence where a stream should be is
// looked into at once: it may be starting, or not take the subject.
func (n *NATS) storeFault(ctx context.Context, m *natsMessage, err error) error {
	where := "stream " + n.o.JetStream.Stream + ": subject " + m.subject
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		if found := n.checkStream(ctx, m.subject); found != nil {
			return found
		}
	}
	return n.fail(where, err)
}
