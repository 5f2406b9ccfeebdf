package sinks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/internal/natsconn"
)

// JetStream's codes that nats.go has no name for (nats-server, errors.json).
const (
	natsNoResources       jetstream.ErrorCode = 10023 // insufficient resources
	natsNoStorage         jetstream.ErrorCode = 10047 // insufficient storage resources
	natsNotTheStream      jetstream.ErrorCode = 10060 // expected stream does not match
	natsStoreFailed       jetstream.ErrorCode = 10077 // maximum bytes, or messages, exceeded
	natsDuplicateUnderWay jetstream.ErrorCode = 10158 // the same message id is being stored
)

// natsClass finds what an error means to an outlet. What it does not know is
// taken for trouble that passes.
func natsClass(err error) Class {
	if errors.Is(err, nats.ErrHeadersNotSupported) || errors.Is(err, nats.ErrBadSubject) || natsconn.IsConfig(err) {
		return Configuration
	}
	var js jetstream.JetStreamError
	if !errors.As(err, &js) || js.APIError() == nil {
		return Retry
	}
	switch api := js.APIError(); {
	case api.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		return Configuration
	case api.ErrorCode == natsDuplicateUnderWay, api.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum:
		return Retry // the latter is read anew at Open
	case api.Code >= 400 && api.Code < 500:
		return Configuration
	}
	return Retry
}

// natsFault makes the error that an outlet gets. Where a person has to act, the
// sink is opened anew, which reads passwords and certificates again.
func natsFault(err error) *Error {
	class := natsClass(err)
	return &Error{Class: class, Reopen: class == Configuration, Err: err}
}

// natsConfiguration is a fault that only a person can mend.
func natsConfiguration(format string, args ...any) *Error {
	return &Error{Class: Configuration, Reopen: true, Err: fmt.Errorf(format, args...)}
}

// fail makes the error of a Write: what is written before it says where.
func (n *NATS) fail(where string, err error) *Error {
	var ready *Error
	if errors.As(err, &ready) {
		return ready
	}
	nc := n.link.nc
	if !nc.IsConnected() {
		err = n.link.whyAway(err)
	}
	var js jetstream.JetStreamError
	full := errors.As(err, &js) && js.APIError() != nil && js.APIError().ErrorCode == natsStoreFailed
	e := natsFault(fmt.Errorf("%s: %w", where, natsPlain(err)))
	switch {
	case nc.IsClosed():
		e.Reopen = true // for good: nats.go does not come back
		if last := nc.LastError(); last != nil {
			e.Class, e.Err = natsClass(last), fmt.Errorf("%s: connection closed: %w", where, last)
		}
	case full:
		e.Err = fmt.Errorf("%s: cannot store: %w", where, natsPlain(err))
	case errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum):
		e.Reopen = true // the stream's limit has become smaller
	}
	return e
}

// natsWords is an error with the client's prefix taken off: where it happened
// stands before it anyway.
type natsWords struct{ error }

func (w natsWords) Error() string {
	text := strings.TrimPrefix(w.error.Error(), "nats: ")
	if _, rest, ok := strings.Cut(text, "API error: code="); ok {
		if _, words, ok := strings.Cut(rest, "description="); ok {
			return words
		}
	}
	return text
}

func (w natsWords) Unwrap() error { return w.error }

// natsPlain puts an error into plain words.
func natsPlain(err error) error {
	switch {
	case errors.Is(err, jetstream.ErrAsyncPublishTimeout):
		return fmt.Errorf("no acknowledgement in time: %w", natsWords{err})
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", err)
	}
	return natsWords{err}
}
