package natsconn_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// freeAddress returns a loopback address at which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// mute listens and never says a word.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestDialNobodyThere(t *testing.T) {
	noLeaks(t)
	a, b := freeAddress(t), freeAddress(t)
	start := time.Now()
	err := refused(t, natsconn.Config{URLs: []string{"nats://" + a, "nats://" + b}, Ordered: true})
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) || natsconn.IsConfig(err) {
		t.Errorf("got %v, of the configuration class: %v", err, natsconn.IsConfig(err))
	}
	want := "nats: cannot connect to nats://" + a + ": dial tcp " + a + ": connect: connection refused; " +
		"nats://" + b + ": dial tcp " + b + ": connect: connection refused"
	if err.Error() != want {
		t.Errorf("got  %v\nwant %v", err, want)
	}
	var de *natsconn.DialError
	if !errors.As(err, &de) || len(de.Attempts) != 2 {
		t.Errorf("got %#v", err)
	}
}

func TestDialUnknownHost(t *testing.T) {
	noLeaks(t)
	err := refused(t, natsconn.Config{URLs: []string{"nats://nowhere.invalid:4222"}})
	if natsconn.IsConfig(err) || !strings.Contains(err.Error(), "nowhere.invalid") {
		t.Errorf("got %v", err)
	}
}

// A refused password must show although the next server is merely away.
func TestDialRefusedBesideAbsent(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.Token = option.NewSecret("right") })
	conf := b.Config()
	conf.URLs = []string{b.ClientURL(), "nats://" + freeAddress(t)}
	conf.Ordered, conf.Token = true, option.NewSecret("wrong")
	wantAuth(t, refused(t, conf), nats.ErrAuthorization)
}

// The servers that were not the first stay candidates for a reconnect.
func TestDialKeepsAllServers(t *testing.T) {
	noLeaks(t)
	b1, b2 := natstest.Start(t), natstest.Start(t)
	back := make(chan string, 1)
	conf := b1.Config()
	conf.URLs = []string{"nats://" + freeAddress(t), b1.ClientURL(), b2.ClientURL()}
	conf.Ordered = true
	nc := dial(t, conf, natsconn.Callbacks{Reconnected: func(url string) { back <- url }})
	if nc.ConnectedUrl() != b1.ClientURL() {
		t.Fatalf("connected to %s", nc.ConnectedUrl())
	}
	b1.Stop()
	if url := wait(t, "reconnect", back); url != b2.ClientURL() {
		t.Errorf("reconnected to %s, want %s", url, b2.ClientURL())
	}
	echo(t, nc)
}

func TestDialTimeout(t *testing.T) {
	noLeaks(t)
	start := time.Now()
	err := refused(t, natsconn.Config{URLs: []string{"nats://" + mute(t)}, ConnectTimeout: 200 * time.Millisecond})
	if took := time.Since(start); took < 150*time.Millisecond || took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if natsconn.IsConfig(err) {
		t.Errorf("of the configuration class: %v", err)
	}
}

func TestDialContext(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	conf := natsconn.Config{URLs: []string{"nats://" + mute(t)}, ConnectTimeout: time.Minute}
	_, err := natsconn.Dial(ctx, conf, natsconn.Callbacks{}, nil)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// The end of Dial's context does not touch the connection that came of it.
func TestDialContextEndsAfterwards(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	ctx, cancel := context.WithCancel(context.Background())
	lost := make(chan error, 1)
	nc, err := natsconn.Dial(ctx, b.Config(), natsconn.Callbacks{Disconnected: func(err error) { lost <- err }}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	cancel()
	select {
	case err := <-lost:
		t.Fatalf("lost: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	echo(t, nc)
}

func TestDialInvalid(t *testing.T) {
	noLeaks(t)
	err := refused(t, natsconn.Config{})
	if !natsconn.IsConfig(err) || !strings.HasPrefix(err.Error(), "urls: ") {
		t.Errorf("got %v", err)
	}
}

func TestOptionsTakeEffect(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	nc := b.Dial(t, func(c *natsconn.Config) { c.InboxPrefix, c.NoEcho, c.Name = "_INBOX_ann", true, "ann" })
	if inbox := nc.NewRespInbox(); !strings.HasPrefix(inbox, "_INBOX_ann.") {
		t.Errorf("inbox %s", inbox)
	}
	sub, err := nc.SubscribeSync("x")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish("x", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := sub.NextMsg(100 * time.Millisecond); !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("got an echo, or %v", err)
	}
	if nc.Opts.Name != "ann" || nc.Opts.MaxReconnect != -1 || nc.Opts.RetryOnFailedConnect {
		t.Errorf("options %+v", nc.Opts)
	}
}

func TestWebsocket(t *testing.T) {
	noLeaks(t)
	address := freeAddress(t)
	b := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.Adjust = func(o *server.Options) {
			o.Websocket.Host, o.Websocket.NoTLS = "127.0.0.1", true
			o.Websocket.Port = portOf(t, address)
		}
	})
	echo(t, b.Dial(t, func(c *natsconn.Config) { c.URLs = []string{"ws://" + address} }))
}

// What is logged holds no secret, and one line for each turn of events.
func TestLog(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.Token = option.NewSecret("s3cret") })
	var buf syncBuffer
	log := slog.New(slog.NewTextHandler(&buf, nil))
	back := make(chan string, 1)
	conf := b.Config()
	conf.Token = option.NewSecret("s3cret")
	nc, err := natsconn.Dial(within(t), conf, natsconn.Callbacks{Reconnected: func(url string) { back <- url }}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	b.Stop()
	time.Sleep(500 * time.Millisecond) // several rounds of failing
	b.Restart(t)
	wait(t, "reconnect", back)
	text := buf.String()
	for _, want := range []string{"nats connection lost", "nats reconnect failed", "nats connection restored"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "nats reconnect failed"); n > 3 {
		t.Errorf("%d lines of failed reconnects in half a second", n)
	}
	if strings.Contains(text, "s3cret") {
		t.Errorf("a secret in the log:\n%s", text)
	}
}
