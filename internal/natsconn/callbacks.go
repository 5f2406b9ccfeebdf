package natsconn

import (
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// Callbacks tell the owner of a connection what happens to it. Any may be nil.
// They come from nats.go's goroutines, one or two at a time, so they must be
// safe for concurrent use, return soon, and not close the connection.
type Callbacks struct {
	// Disconnected: the connection broke, err may be nil. Reconnecting goes on.
	Disconnected func(err error)
	// Reconnected: it stands again, at this URL.
	Reconnected func(url string)
	// ReconnectFailed: one attempt, or a round of them, failed. IsConfig tells
	// whether an operator is needed.
	ReconnectFailed func(err error)
	// PermissionDenied: the server refused a subject that was published or
	// subscribed to. The publish returned nil long before.
	PermissionDenied func(*PermissionError)
	// SlowConsumer: messages to a subscription were dropped because it does not
	// keep up; dropped counts all of that subscription's so far.
	SlowConsumer func(subject string, dropped int)
	// LameDuck: the server is about to go; the client will be moved.
	LameDuck func()
	// Error: any other asynchronous error.
	Error func(err error)
	// Closed: the connection is gone for good, by the caller's Close or because
	// the server sent an error that nats.go takes for final. err may be nil.
	Closed func(err error)
}

// Sampling of what can repeat without end, in the log only; callbacks get all.
const (
	logBurst  = 3
	logWindow = 10 * time.Second
)

// observer turns nats.go's callbacks into log lines and our own callbacks.
type observer struct {
	cb     Callbacks
	log    *slog.Logger
	sample sampler
}

func newObserver(cb Callbacks, log *slog.Logger) *observer {
	return &observer{cb: cb, log: log, sample: sampler{burst: logBurst, window: logWindow}}
}

// register sets all of nats.go's callbacks.
func (ob *observer) register(o *nats.Options) {
	o.DisconnectedErrCB = func(_ *nats.Conn, err error) { ob.disconnected(err) }
	o.ReconnectedCB = func(nc *nats.Conn) { ob.reconnected(nc.ConnectedUrlRedacted()) }
	o.ReconnectErrCB = func(_ *nats.Conn, err error) { ob.reconnectFailed(err) }
	o.LameDuckModeHandler = func(nc *nats.Conn) { ob.lameDuck(nc.ConnectedUrlRedacted()) }
	o.ClosedCB = func(nc *nats.Conn) { ob.closed(nc.LastError()) }
	o.AsyncErrorCB = ob.async
}

func (ob *observer) disconnected(err error) {
	if err != nil { // without one we closed it ourselves
		ob.log.Warn("nats connection lost", "err", err)
	}
	call(ob.cb.Disconnected, err)
}

func (ob *observer) reconnected(url string) {
	ob.log.Info("nats connection restored", "url", url)
	call(ob.cb.Reconnected, url)
}

func (ob *observer) reconnectFailed(err error) {
	ob.warn("nats reconnect failed", "err", err)
	call(ob.cb.ReconnectFailed, err)
}

func (ob *observer) lameDuck(url string) {
	ob.log.Warn("nats server announced its shutdown", "url", url)
	if ob.cb.LameDuck != nil {
		ob.cb.LameDuck()
	}
}

func (ob *observer) closed(err error) {
	ob.log.Debug("nats connection closed", "err", err)
	call(ob.cb.Closed, err)
}

// async sorts what nats.go sends to its error handler.
func (ob *observer) async(nc *nats.Conn, sub *nats.Subscription, err error) {
	if pe := AsPermissionError(err); pe != nil {
		ob.warn("nats permission denied", "op", pe.Op, "subject", pe.Subject, "err", err)
		call(ob.cb.PermissionDenied, pe)
		return
	}
	if errors.Is(err, nats.ErrSlowConsumer) && sub != nil {
		dropped, _ := sub.Dropped()
		ob.warn("nats subscription too slow", "subject", sub.Subject, "dropped", dropped)
		if ob.cb.SlowConsumer != nil {
			ob.cb.SlowConsumer(sub.Subject, dropped)
		}
		return
	}
	ob.failed(err)
}

// failed reports any other asynchronous error; during a reconnect that is why
// the server, once reached, would not have us.
func (ob *observer) failed(err error) {
	ob.warn("nats error", "err", err)
	call(ob.cb.Error, err)
}

// warn writes a sampled log line.
func (ob *observer) warn(msg string, args ...any) {
	if ok, skipped := ob.sample.allow(time.Now()); ok {
		ob.log.Warn(msg, append(args, "suppressed", skipped)...)
	}
}

// call calls f unless it is nil.
func call[T any](f func(T), v T) {
	if f != nil {
		f(v)
	}
}
