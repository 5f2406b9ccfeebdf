package control

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/ctferry/ctferry/source/flow"
	"github.com/nats-io/nats.go"
)

// carryOut does what is asked and gives what is to be told after the rows.
func (s *Service) carryOut(ctx context.Context, a *answer) (*Result, *Error) {
	if a.bound > 0 {
		var cancel context.CancelFunc
		late := &Error{Code: CodeTimeout, Message: "not done within " + a.bound.String()}
		ctx, cancel = context.WithTimeoutCause(ctx, a.bound, late)
		defer cancel()
	}
	rows := func(b *flow.Batch) error { return a.rows(ctx, b) }
	var res *Result
	var err error
	if a.q.Table == TableAgent {
		res, err = s.tellAgent(rows)
	} else {
		res, err = s.o.Caller.Call(ctx, a.q, rows)
	}
	if err == nil && a.watch {
		err = context.Cause(ctx) // a watch ends only because something ends it
	}
	switch over := a.out.ended(); {
	case over == nil:
		if more := a.chunks.flush(ctx); err == nil {
			err = more
		}
	case err == nil && (a.missed || a.chunks.held > 0): // it may be heard again, and must not take this for all
		err = over
	}
	if res != nil {
		res.Node = s.o.Origin.Node
		if res.Request == "" {
			res.Request = a.q.ID
		}
	}
	refusal := toError(ctx, err)
	if refusal != nil && a.watch && a.plain && refusal.Code == CodeTimeout {
		refusal = nil // which is how such a watch ends
	}
	return res, refusal
}

// rows sends a batch. To whoever has left nothing is sent, and a write goes on;
// so it does where its rows cannot be sent.
func (a *answer) rows(ctx context.Context, b *flow.Batch) error {
	err := a.chunks.add(ctx, b)
	if err == nil && a.watch {
		err = a.chunks.flush(ctx)
	}
	if err != nil && a.outlives() && context.Cause(ctx) == nil {
		a.out.stop(toError(ctx, err))
	}
	if over := a.out.ended(); over != nil && context.Cause(ctx) == nil {
		a.chunks.drop()
		a.missed = true
		return nil
	}
	return err
}

// finish tells how it ended, to whoever still hears.
func (a *answer) finish(ctx context.Context, res *Result, failed *Error) error {
	switch a.out.ended() {
	case errCancelled, errGone:
		return nil
	}
	if failed != nil {
		h := a.out.head
		h.Kind = kindError
		if err := a.send(ctx, errorHeaders(h.header(jsonType), failed), failed); err != nil {
			return err
		}
	}
	if res != nil {
		h := a.out.head
		h.Kind = kindResult
		if err := a.send(ctx, h.header(jsonType), res); err != nil {
			return err
		}
	}
	h := a.out.head
	h.Kind, h.Rows, h.Chunks = kindEnd, a.chunks.told, a.chunks.chunks
	return a.out.final(ctx, h.header(""), nil)
}

// send sends a value as JSON, a result without its failures if it is too long.
func (a *answer) send(ctx context.Context, h nats.Header, v any) error {
	text, err := json.Marshal(v)
	if res, ok := v.(*Result); ok && err == nil && len(text) > a.chunks.most {
		short := *res
		short.Failures = nil
		text, err = json.Marshal(&short)
	}
	if err != nil {
		return err
	}
	return a.out.final(ctx, h, text)
}

// toError says why a request failed in the words that travel. What ended ctx
// goes before what came of it.
func toError(ctx context.Context, err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if cause := context.Cause(ctx); cause != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) && errors.As(cause, &e) {
		return e
	}
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: CodeTimeout, Message: err.Error()}
	case errors.Is(err, context.Canceled):
		return &Error{Code: CodeUnavailable, Message: err.Error()}
	}
	return &Error{Code: CodeKernel, Message: err.Error()}
}
