// Package natstest runs a real nats-server with JetStream for tests, on a
// loopback port and a store directory that both survive a stop, so that a test
// can let the broker vanish and return. It issues TLS certificates too. It is
// for tests alone and knows nothing of subjects; whatever it makes ends with
// the test that asked for it.
package natstest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// patience bounds each wait for the broker.
const patience = 30 * time.Second

// Broker is a running nats-server.
type Broker struct {
	*natsconn.Server
}

// Start runs a broker with JetStream until the test ends. The functions may
// change its configuration first, for instance add Users.
func Start(tb testing.TB, change ...func(*natsconn.ServerConfig)) *Broker {
	tb.Helper()
	conf := natsconn.ServerConfig{Listen: "127.0.0.1:0", StoreDir: tb.TempDir()}
	for _, f := range change {
		f(&conf)
	}
	srv, err := natsconn.NewServer(conf, nil)
	if err != nil {
		tb.Fatal(err)
	}
	b := &Broker{Server: srv}
	b.Restart(tb)
	tb.Cleanup(b.Stop)
	return b
}

// Stop takes the broker away: every client is cut off and the port is free. The
// store stays.
func (b *Broker) Stop() { b.Shutdown() }

// Restart brings a stopped broker back, on the same port with the same store.
func (b *Broker) Restart(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.Server.Start(ctx); err != nil {
		tb.Fatal(err)
	}
}

// Config returns how to reach the broker over TCP, with quick reconnects.
func (b *Broker) Config() natsconn.Config {
	return natsconn.Config{
		URLs: []string{b.ClientURL()}, Name: "test",
		ReconnectWait: 10 * time.Millisecond, ReconnectMaxWait: 100 * time.Millisecond,
	}
}

// Dial connects over TCP until the test ends. The functions may change the
// configuration first, for instance set User and Password.
func (b *Broker) Dial(tb testing.TB, change ...func(*natsconn.Config)) *nats.Conn {
	tb.Helper()
	conf := b.Config()
	for _, f := range change {
		f(&conf)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nc, err := natsconn.Dial(ctx, conf, natsconn.Callbacks{}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	return nc
}

// User makes a user who may publish and subscribe to these subjects only; nil
// means everything. Replies need a place in subscribe, such as "_INBOX.>".
func User(name, password string, publish, subscribe []string) *server.User {
	u := &server.User{Username: name, Password: password, Permissions: &server.Permissions{}}
	if publish != nil {
		u.Permissions.Publish = &server.SubjectPermission{Allow: slices.Clone(publish)}
	}
	if subscribe != nil {
		u.Permissions.Subscribe = &server.SubjectPermission{Allow: slices.Clone(subscribe)}
	}
	return u
}
