package sinks

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsFlight is what of a batch is under way into a stream: of the plan's
// messages those from front up to next.
type natsFlight struct {
	n *NATS
	b *Batch

	first       uint64 // the number of the plan's message 0
	front, next int
	bytes       int // of payload, from front to next
	open        int // how many of those have no answer
	answered    []bool

	failed  int // the earliest that the stream refused, or -1
	why     error
	suspect bool // the link told of something since the batch began

	life  uint64 // of the connection
	since time.Time
	timer *time.Timer
}

func newNATSFlight(n *NATS, b *Batch) *natsFlight {
	n.answers.forget()
	f := &n.flight
	*f = natsFlight{
		n: n, b: b, first: n.answers.number + 1, failed: -1, life: n.link.lives(), since: time.Now(),
		answered: append(f.answered[:0], make([]bool, len(n.plan.messages))...), timer: f.timer,
	}
	if f.timer == nil {
		f.timer = time.NewTimer(n.o.PublishTimeout)
	} else {
		f.timer.Reset(n.o.PublishTimeout)
	}
	return f
}

// end marks what was delivered. Where all of a batch is, nobody looks.
func (f *natsFlight) end() {
	f.timer.Stop()
	if f.front < len(f.n.plan.messages) || len(f.n.plan.poison) > 0 {
		for i := range f.front {
			f.n.done(&f.n.plan.messages[i], f.b)
		}
	}
	f.b = nil
}

// fill sends as much as may be in flight, once half of that has been answered,
// so that messages leave together.
func (f *natsFlight) fill() error {
	messages, most := f.n.plan.messages, f.n.o.MaxInFlight
	if f.failed >= 0 || f.next-f.front > most/2 {
		return nil
	}
	for ; f.next < len(messages) && f.next-f.front < most; f.next++ {
		m := &messages[f.next]
		if f.next > f.front && f.bytes+m.bytes > natsInFlightBytes {
			break
		}
		if err := f.n.push(m, f.b); err != nil {
			return err
		}
		f.bytes += m.bytes
		f.open++
	}
	return f.n.pen.flush()
}

// await waits until the message in front is acknowledged, and passes all that are.
func (f *natsFlight) await(ctx context.Context) error {
	for before := f.front; f.front == before; f.pass() {
		if f.front == f.failed {
			return f.why
		}
		if f.suspect {
			if err := f.n.link.refusal(f.n.plan.messages[f.front].subject); err != nil {
				return err
			}
		}
		if err := f.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pass moves the front over what is acknowledged.
func (f *natsFlight) pass() {
	for f.front < f.next && f.front != f.failed && f.answered[f.front] {
		f.bytes -= f.n.plan.messages[f.front].bytes
		f.front++
	}
}

// wait waits for answers, or for news of the connection. A refused subject gets
// no answer, so the refusal itself is watched for; nor does anything that was
// under way when the connection broke.
func (f *natsFlight) wait(ctx context.Context) error {
	link := f.n.link
	select {
	case answer := <-f.n.answers.come:
		f.take(answer)
		return nil
	case <-link.told:
		f.suspect = true
		if link.lives() != f.life {
			return nats.ErrDisconnected
		}
		return nil
	case <-f.timer.C:
		left := f.n.o.PublishTimeout - time.Since(f.since)
		if left <= 0 {
			return jetstream.ErrAsyncPublishTimeout
		}
		f.timer.Reset(left)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// take notes an answer and all that have come with it.
func (f *natsFlight) take(answer *nats.Msg) {
	f.since = time.Now()
	for {
		f.note(answer)
		select {
		case answer = <-f.n.answers.come:
		default:
			return
		}
	}
}

func (f *natsFlight) note(answer *nats.Msg) {
	number, ok := f.n.answers.of(answer)
	i := number - f.first
	if !ok || number < f.first || i >= uint64(f.next) || f.answered[i] {
		return // to a message that was given up, or a second one
	}
	f.answered[i] = true
	f.open--
	duplicate, err := f.n.answers.read(answer)
	if duplicate {
		f.n.duplicates.Add(1)
	}
	if err != nil && (f.failed < 0 || int(i) < f.failed) {
		f.failed, f.why = int(i), err
	}
}

// drain waits for what is still under way, so that nothing of this Write comes
// in between the messages of the next. A refusal has no answer to wait for; the
// connection is then closed. Nor has one that is lost, or silent.
func (f *natsFlight) drain(ctx context.Context, cause error) {
	if errors.Is(cause, nats.ErrPermissionViolation) || errors.Is(cause, nats.ErrDisconnected) || errors.Is(cause, jetstream.ErrAsyncPublishTimeout) {
		return
	}
	for f.open > 0 && f.wait(ctx) == nil {
		continue
	}
}
