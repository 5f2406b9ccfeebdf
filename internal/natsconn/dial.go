package natsconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Dial connects to the first server that accepts, each tried once and bounded
// by ConnectTimeout; the end of ctx stops it. It returns the joined FieldErrors
// of an invalid configuration, a FieldError for a file it cannot use, or a
// *DialError. IsConfig tells whether trying again is of use. A nil log is
// silent. The options come last and win, above all Server.InProcess, with which
// URLs are not needed.
//
// The connection reconnects for ever, but the server can still end it for good
// with an error that nats.go takes for final; Callbacks.Closed tells.
//
// Publish fails at once while it is disconnected, with one exception: nats.go
// holds its lock during each attempt to reconnect, so a publish that meets one
// waits for its end, at most ConnectTimeout for the connect and as much again
// for the handshake.
func Dial(ctx context.Context, c Config, cb Callbacks, log *slog.Logger, opts ...nats.Option) (*nats.Conn, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	inProcess, err := isInProcess(opts)
	if err != nil {
		return nil, err
	}
	if p := c.problems(inProcess); len(p.errs) > 0 {
		return nil, p.join()
	}
	c = c.withDefaults()
	l := &link{conf: c, observer: newObserver(cb, log), extra: opts}
	if inProcess {
		return l.first(ctx, []string{"in process"})
	}
	return l.first(ctx, c.order())
}

// isInProcess reports whether the options ask for a server in this process.
func isInProcess(opts []nats.Option) (bool, error) {
	var probe nats.Options
	for _, opt := range opts {
		if err := opt(&probe); err != nil {
			return false, fmt.Errorf("nats option: %w", err)
		}
	}
	return probe.InProcessServer != nil, nil
}

// order returns the URLs as they are to be tried.
func (c Config) order() []string {
	urls := append([]string(nil), c.URLs...)
	if !c.Ordered {
		rand.Shuffle(len(urls), func(i, j int) { urls[i], urls[j] = urls[j], urls[i] })
	}
	return urls
}

// link is one connection being made, and what it needs to be made again.
type link struct {
	conf     Config
	observer *observer
	extra    []nats.Option
	conn     atomic.Pointer[nats.Conn] // set once connected, for delay
}

// first tries the servers one by one. Given all of them at once nats.go would
// return the last reason only, and hide a refused password behind the next
// server's refused connection.
func (l *link) first(ctx context.Context, urls []string) (*nats.Conn, error) {
	failed := &DialError{}
	for _, url := range urls {
		nc, err := l.try(ctx, url)
		if err == nil && len(urls) > 1 {
			err = nc.SetServerPool(urls)
		}
		if err == nil {
			l.conn.Store(nc)
			return nc, nil
		}
		if field := (*FieldError)(nil); errors.As(err, &field) {
			return nil, err
		}
		failed.Attempts = append(failed.Attempts, Attempt{URL: url, Err: err})
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}

// try connects to one server.
func (l *link) try(ctx context.Context, url string) (*nats.Conn, error) {
	d := &dialer{timeout: l.conf.ConnectTimeout, ctx: ctx}
	o, err := l.options(d)
	if err != nil {
		return nil, err
	}
	if o.InProcessServer == nil {
		o.Servers = []string{url}
	}
	nc, err := o.Connect()
	if alive := d.release(); !alive {
		if nc != nil {
			nc.Close()
		}
		return nil, context.Cause(ctx)
	}
	if errors.Is(err, nats.ErrNoServers) && d.lastError() != nil {
		err = d.lastError()
	}
	return nc, err
}

// options builds nats.go's options; see the package comment for why these.
func (l *link) options(d *dialer) (nats.Options, error) {
	o := nats.GetDefaultOptions()
	c := l.conf
	o.Name, o.InboxPrefix, o.NoEcho = c.Name, c.InboxPrefix, c.NoEcho
	o.NoRandomize, o.IgnoreDiscoveredServers = c.Ordered, c.IgnoreDiscovered
	o.Timeout, o.DrainTimeout, o.FlusherTimeout = c.ConnectTimeout, c.DrainTimeout, c.WriteTimeout
	o.PingInterval, o.MaxPingsOut = c.PingInterval, c.MaxPingsOut
	o.CustomDialer, o.SkipHostLookup = d, true

	o.RetryOnFailedConnect = false // the caller retries, and learns why
	o.MaxReconnect = -1
	o.IgnoreAuthErrorAbort = true // a password may be put right while we wait
	o.CustomReconnectDelayCB = l.delay
	o.ReconnectOnFlusherError = true
	o.ReconnectBufSize = -1
	o.PermissionErrOnSubscribe = true

	l.observer.register(&o)
	if err := c.applyAuth(&o, l.observer.failed); err != nil {
		return o, err
	}
	if err := c.applyTLS(&o); err != nil {
		return o, err
	}
	for _, opt := range l.extra {
		if err := opt(&o); err != nil {
			return o, fmt.Errorf("nats option: %w", err)
		}
	}
	return o, nil
}

// delay is the pause after the n-th round (from 1) of servers failed: doubling
// from ReconnectWait to ReconnectMaxWait, a random half of it taken off. It is
// also the one moment at which nats.go shows a handshake that failed in the
// round before; there is no callback for that.
func (l *link) delay(n int) time.Duration {
	if nc := l.conn.Load(); nc != nil {
		if err := nc.LastError(); err != nil {
			l.observer.reconnectFailed(err)
		}
	}
	wait := l.conf.ReconnectMaxWait
	if shift := n - 1; shift < 16 {
		wait = min(wait, l.conf.ReconnectWait<<shift)
	}
	return wait/2 + rand.N(wait/2+1)
}
