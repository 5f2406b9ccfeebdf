package sinks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ctferry/ctferry/internal/natsconn"
)

// natsMaxDenied bounds how many refused subjects are remembered; a batch that
// meets more has none of its records counted as delivered.
const natsMaxDenied = 1024

// natsWriteBuffer is how much nats.go gathers before it writes to the socket.
// Its own 32 KiB are 45 records of JSON.
const natsWriteBuffer = 32 << 10

// natsLink is one connection and what nats.go told about it. Its callbacks come
// from nats.go's goroutines; the sink's own calls from the outlet's.
type natsLink struct {
	nc *nats.Conn

	mu        sync.Mutex
	denied    map[string]*natsconn.PermissionError // by subject, since the last forget
	inbox     *natsconn.PermissionError            // a refused subscription or reply: no acknowledgement can arrive
	overflow  bool
	wire      *natsWire
	lost      uint64 // how often the connection broke
	newest    error  // the latest asynchronous error, as nats.go made it
	reconnect error  // why the latest attempt to reconnect failed; nil once connected
	refused   func() // called at each refusal, or nil
	told      chan struct{}
}

// dialNATS connects.
func dialNATS(ctx context.Context, o *NATSOptions, env Env) (*natsLink, error) {
	l := &natsLink{denied: map[string]*natsconn.PermissionError{}, told: make(chan struct{}, 1)}
	opts := []nats.Option{nats.WriteBufferSize(natsWriteBuffer)}
	if o.InProcess != nil {
		opts = append(opts, o.InProcess)
	}
	opts = append(opts, l.tap)
	nc, err := natsconn.Dial(ctx, o.connection(env), natsconn.Callbacks{
		PermissionDenied: l.deny,
		Error:            l.failed,
		ReconnectFailed:  l.away,
		Reconnected:      func(string) { l.away(nil) },
		Disconnected:     l.broke,
		Closed:           l.broke,
	}, env.Log, opts...)
	if err != nil {
		return nil, err
	}
	l.nc = nc
	return l, nil
}

// connection is the part of the options that natsconn knows.
func (o *NATSOptions) connection(env Env) natsconn.Config {
	return natsconn.Config{
		URLs: o.URLs, Name: fmt.Sprintf("ctferry/%s/%s", natsToken(env.Node), env.Name),
		CredsFile: o.CredsFile, NkeyFile: o.NkeyFile, Token: o.Token, TokenFile: o.TokenFile,
		User: o.User, Password: o.Password, PasswordFile: o.PasswordFile,
		TLS: o.TLS, TLSHandshakeFirst: o.TLSHandshakeFirst,
		InboxPrefix: o.InboxPrefix, ConnectTimeout: o.ConnectTimeout,
	}
}

func (l *natsLink) deny(pe *natsconn.PermissionError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case pe.Op == natsconn.OpSubscribe, pe.Op == natsconn.OpReply:
		l.inbox = pe
	case len(l.denied) >= natsMaxDenied || pe.Subject == "":
		l.overflow = true
	default:
		l.denied[pe.Subject] = pe
	}
	l.newest = pe.Err
	if l.refused != nil {
		l.refused()
	}
	l.tell()
}

func (l *natsLink) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.newest = err
	l.tell()
}

func (l *natsLink) away(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reconnect = err
}

// broke notes that nothing under way will be answered.
func (l *natsLink) broke(error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost++
	l.tell()
}

// lives tells one connection from the next.
func (l *natsLink) lives() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// tell wakes whoever waits for news.
func (l *natsLink) tell() {
	select {
	case l.told <- struct{}{}:
	default:
	}
}

// forget begins a new account of refusals.
func (l *natsLink) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.denied)
	l.inbox, l.overflow = nil, false
}

// refusal gives the refusal of a publish to the subject, or one that concerns
// every subject, or nil.
func (l *natsLink) refusal(subject string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	pe, ok := l.denied[subject]
	switch {
	case ok:
		return pe
	case l.inbox != nil:
		return l.inbox
	case l.overflow:
		return l.newest
	}
	return nil
}

// anyRefusal gives some refusal, or nil.
func (l *natsLink) anyRefusal() error {
	l.mu.Lock()
	subjects := slices.Sorted(maps.Keys(l.denied))
	l.mu.Unlock()
	return l.refusal(strings.Join(subjects[:min(len(subjects), 1)], ""))
}

// settled waits until the callbacks have told of everything up to the
// connection's last error. nats.go calls them in order, from a goroutine of
// their own.
func (l *natsLink) settled(ctx context.Context) bool {
	for {
		l.mu.Lock()
		newest := l.newest
		l.mu.Unlock()
		if newest == l.nc.LastError() {
			return true
		}
		select {
		case <-l.told:
		case <-ctx.Done():
			return false
		}
	}
}

// ask runs one request to the server, bounded in time and cut short by a
// refusal, which JetStream's client would otherwise show as silence.
func (l *natsLink) ask(ctx context.Context, timeout time.Duration, request func(context.Context) error) error {
	l.forget()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	l.onRefusal(cancel)
	defer l.onRefusal(nil)
	err := request(ctx)
	if refused := l.anyRefusal(); err != nil && refused != nil {
		return refused
	}
	return err
}

func (l *natsLink) onRefusal(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = f
}

// whyAway explains an error of a connection that is not up.
func (l *natsLink) whyAway(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reconnect != nil {
		return fmt.Errorf("not connected: %w", l.reconnect)
	}
	if errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrDisconnected) {
		return fmt.Errorf("connection lost: %w", nats.ErrDisconnected)
	}
	return err
}
