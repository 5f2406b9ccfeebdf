package control

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// rows sends one message of rows as soon as the window has room, or for a
// caller without one, in pace.
func (o *outgoing) rows(ctx context.Context, h nats.Header, body []byte) error {
	o.sending.Lock()
	defer o.sending.Unlock()
	if err := o.room(ctx); err != nil {
		return err
	}
	if err := o.publish(h, body); err != nil {
		return &Error{Code: CodeUnavailable, Message: "the answer cannot be sent: " + err.Error()}
	}
	if o.window > 0 {
		return nil
	}
	if err := o.flush(ctx); err != nil {
		return err
	}
	return wait(ctx, time.Duration(len(body))*time.Second/pace)
}

// flush waits until the server has taken what was sent.
func (o *outgoing) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, o.times.silence)
	defer cancel()
	if err := o.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("the NATS server takes no more: %w", err)
	}
	return nil
}

// room waits until a message may be sent.
func (o *outgoing) room(ctx context.Context) error {
	begun := time.Now()
	for {
		free, left, err := o.credit(begun)
		if free || err != nil {
			return err
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-o.moved:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// credit tells whether there is room, and else how long to wait for it. Whoever
// waited since begun in vain ends the answer.
func (o *outgoing) credit(begun time.Time) (free bool, left time.Duration, err error) {
	o.mu.Lock()
	over, heard := o.over, o.heard
	free = o.window == 0 || o.sent-o.acked < o.window
	o.mu.Unlock()
	left = o.times.silence - time.Since(heard)
	why := errSilent(o.times.silence)
	if patience := o.times.slow - time.Since(begun); o.live && patience < left { // however often it speaks
		left, why = patience, errSlow(o.times.slow)
	}
	switch {
	case over != nil:
		return false, 0, over
	case !free && left <= 0:
		o.stop(why)
		return false, 0, why
	}
	return free, left, nil
}

// beat keeps both sides in touch: it sends a message without rows if the answer
// has been quiet, and ends an answer whose caller is.
func (o *outgoing) beat() {
	if o.window == 0 || !o.sending.TryLock() { // a message is on its way, or waits for the caller
		return
	}
	defer o.sending.Unlock()
	o.mu.Lock()
	due := o.over == nil && time.Since(o.last) >= o.times.beat && o.sent-o.acked < o.window
	silent := time.Since(o.heard) > o.times.silence
	o.mu.Unlock()
	if silent {
		o.stop(errSilent(o.times.silence))
	} else if due {
		h := o.head
		h.Kind = kindRows
		_ = o.publish(h.header(""), []byte{'\n'}) // if it fails, so does the next, which is told
	}
}

// final sends one of the last messages, which no window holds back. While the
// connection is lost it tries again, for a bound.
func (o *outgoing) final(ctx context.Context, h nats.Header, body []byte) error {
	o.sending.Lock()
	defer o.sending.Unlock()
	ctx, cancel := context.WithTimeout(ctx, o.times.late)
	defer cancel()
	for {
		err := o.publish(h, body)
		if err == nil || !errors.Is(err, nats.ErrReconnectBufExceeded) && !errors.Is(err, nats.ErrDisconnected) {
			return err
		}
		if wait(ctx, o.times.late/100) != nil {
			return err
		}
	}
}

// publish numbers a message and sends it. The caller holds sending.
func (o *outgoing) publish(h nats.Header, body []byte) error {
	o.mu.Lock()
	inbox, seq := o.inbox, o.sent
	o.mu.Unlock()
	h[headerSeq] = []string{strconv.FormatUint(seq, 10)}
	err := o.nc.PublishMsg(&nats.Msg{Subject: inbox, Reply: o.subject, Header: h, Data: body})
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent++
	o.last = time.Now()
	return nil
}

// wait waits for d, or for the end of ctx.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
