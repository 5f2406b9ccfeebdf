package sinks

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsInFlightBytes bounds the payload that waits for acknowledgements. One
// message may exceed it alone.
const natsInFlightBytes = 8 << 20

// natsFuture is a message under way.
type natsFuture struct {
	message *natsMessage
	ack     jetstream.PubAckFuture
}

// store sends the batch into the stream, at most max_in_flight messages at a
// time, and waits for every acknowledgement. Records are marked from the front
// only: what stands behind a message that failed is sent again with it, and the
// stream drops what it has by its id.
func (n *NATS) store(ctx context.Context, b *Batch) error {
	var under []natsFuture
	bytes := 0
	for next := 0; next < len(n.plan.messages) || len(under) > 0; {
		for next < len(n.plan.messages) && len(under) < n.o.MaxInFlight {
			m := &n.plan.messages[next]
			if len(under) > 0 && bytes+m.bytes > natsInFlightBytes {
				break
			}
			ack, err := n.push(m, b)
			if err != nil {
				n.drain(ctx, under, err)
				return n.storeFault(ctx, m, err)
			}
			under = append(under, natsFuture{m, ack})
			bytes += m.bytes
			next++
		}
		first := under[0]
		if err := n.await(ctx, first); err != nil {
			n.drain(ctx, under[1:], err)
			return n.storeFault(ctx, first.message, err)
		}
		n.done(first.message, b)
		bytes -= first.message.bytes
		under = under[1:]
	}
	return nil
}

// push sends one message. Its bytes are the connection's, or on the wire, when
// it returns: a retry is ours to make, from the records.
func (n *NATS) push(m *natsMessage, b *Batch) (jetstream.PubAckFuture, error) {
	n.header[jetstream.MsgIDHeader][0] = n.id.of(&b.Records[m.head], &b.Records[m.tail])
	msg := &nats.Msg{Subject: m.subject, Header: n.header, Data: n.body(m, b)}
	return n.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
}

// await waits for one acknowledgement; the client bounds the time. A refused
// subject gets none, so the refusal itself is watched for.
func (n *NATS) await(ctx context.Context, f natsFuture) error {
	for {
		if err := n.link.refusal(f.message.subject); err != nil {
			return err
		}
		select {
		case ack := <-f.ack.Ok():
			if ack.Duplicate {
				n.duplicates.Add(1)
			}
			return nil
		case err := <-f.ack.Err():
			return err
		case <-n.link.told:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// drain waits for what is still under way, so that nothing of this Write comes
// in between the messages of the next. A refusal has no answer to wait for; the
// connection is then closed.
func (n *NATS) drain(ctx context.Context, under []natsFuture, cause error) {
	if errors.Is(cause, nats.ErrPermissionViolation) {
		return
	}
	for _, f := range under {
		_ = n.await(ctx, f)
	}
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
