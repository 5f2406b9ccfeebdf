package natsconn_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// happenings are callbacks that fill channels.
type happenings struct {
	lost, failed chan error
	back         chan string
	denied       chan *natsconn.PermissionError
	errs, closed chan error
	lameDuck     chan struct{}
	slow         chan string
	dropped      atomic.Int64
}

func newHappenings() *happenings {
	return &happenings{
		lost: make(chan error, 1), failed: make(chan error, 1), back: make(chan string, 1),
		denied: make(chan *natsconn.PermissionError, 8), errs: make(chan error, 1), closed: make(chan error, 1),
		lameDuck: make(chan struct{}, 1), slow: make(chan string, 1),
	}
}

// offer puts v into ch if there is room.
func offer[T any](ch chan T, v T) {
	select {
	case ch <- v:
	default:
	}
}

func (h *happenings) callbacks() natsconn.Callbacks {
	return natsconn.Callbacks{
		Disconnected:     func(err error) { offer(h.lost, err) },
		Reconnected:      func(url string) { offer(h.back, url) },
		ReconnectFailed:  func(err error) { offer(h.failed, err) },
		PermissionDenied: func(err *natsconn.PermissionError) { offer(h.denied, err) },
		SlowConsumer:     func(subject string, n int) { h.dropped.Store(int64(n)); offer(h.slow, subject) },
		LameDuck:         func() { offer(h.lameDuck, struct{}{}) },
		Error:            func(err error) { offer(h.errs, err) },
		Closed:           func(err error) { offer(h.closed, err) },
	}
}

func TestBrokerVanishes(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	h := newHappenings()
	nc := dial(t, b.Config(), h.callbacks())
	sub, err := nc.SubscribeSync("kept")
	if err != nil {
		t.Fatal(err)
	}
	b.Stop()
	wait(t, "disconnect", h.lost)
	start := time.Now()
	if err := nc.Publish("kept", []byte("x")); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("publish while disconnected: %v", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("publish while disconnected took %v", took)
	}
	if err := wait(t, "failure", h.failed); natsconn.IsConfig(err) {
		t.Errorf("of the configuration class: %v", err)
	}
	b.Restart(t)
	if url := wait(t, "reconnect", h.back); url != b.ClientURL() {
		t.Errorf("reconnected to %s", url)
	}
	if err := nc.Publish("kept", []byte("y")); err != nil {
		t.Fatal(err)
	}
	if msg, err := sub.NextMsg(patience); err != nil || string(msg.Data) != "y" {
		t.Errorf("got %v, %v; what was published while disconnected must not come", msg, err)
	}
	nc.Close()
	wait(t, "close", h.closed)
}

func TestBrokerVanishesInProcess(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.Listen = "" })
	if url := b.ClientURL(); url != "" {
		t.Errorf("client URL %q", url)
	}
	h := newHappenings()
	nc := dial(t, natsconn.Config{ReconnectWait: 10 * time.Millisecond}, h.callbacks(), b.InProcess())
	echo(t, nc)
	b.Stop()
	wait(t, "disconnect", h.lost)
	if err := nc.Publish("x", nil); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("publish while disconnected: %v", err)
	}
	wait(t, "failure", h.failed)
	b.Restart(t)
	wait(t, "reconnect", h.back)
	echo(t, nc)
}

// A publish that meets an attempt to reconnect to a server that swallows
// everything waits for its end, and no longer: the bound that Dial promises.
func TestPublishMeetsReconnect(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	silent := "nats://" + mute(t)
	h := newHappenings()
	conf := b.Config()
	conf.URLs, conf.Ordered, conf.ConnectTimeout = []string{b.ClientURL(), silent}, true, 500*time.Millisecond
	nc := dial(t, conf, h.callbacks())
	b.Stop()
	wait(t, "disconnect", h.lost)
	for range 50 {
		start := time.Now()
		if err := nc.Publish("x", nil); !errors.Is(err, nats.ErrReconnectBufExceeded) {
			t.Fatalf("publish while disconnected: %v", err)
		}
		if took := time.Since(start); took > 2*conf.ConnectTimeout+time.Second {
			t.Fatalf("publish took %v", took)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestPermissions(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.Users = []*server.User{natstest.User("ann", "pw", []string{"ok.>"}, []string{"ok.>"})}
	})
	for name, connect := range map[string]func(natsconn.Callbacks) *nats.Conn{
		"tcp": func(cb natsconn.Callbacks) *nats.Conn {
			conf := b.Config()
			conf.User, conf.Password = "ann", option.NewSecret("pw")
			return dial(t, conf, cb)
		},
		"in process": func(cb natsconn.Callbacks) *nats.Conn {
			return dial(t, natsconn.Config{User: "ann", Password: option.NewSecret("pw")}, cb, b.InProcess())
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHappenings()
			nc := connect(h.callbacks())
			if err := nc.Publish(`secret."x"`, nil); err != nil {
				t.Fatalf("publish: %v", err)
			}
			denied(t, h, natsconn.OpPublish, `secret."x"`, "")
			if _, err := nc.QueueSubscribeSync("secret.>", "group"); err != nil {
				t.Fatal(err)
			}
			denied(t, h, natsconn.OpSubscribe, "secret.>", "group")
			sub, err := nc.SubscribeSync("secret.z")
			if err != nil {
				t.Fatal(err)
			}
			denied(t, h, natsconn.OpSubscribe, "secret.z", "")
			if _, err := sub.NextMsg(patience); !natsconn.IsAuth(err) || natsconn.AsPermissionError(err).Subject != "secret.z" {
				t.Errorf("next message: %v", err)
			}
			if err := nc.Publish("ok.x", nil); err != nil || nc.Flush() != nil {
				t.Errorf("the connection suffered: %v", err)
			}
		})
	}
}

// denied waits for the report of one refusal.
func denied(t *testing.T, h *happenings, op, subject, queue string) {
	t.Helper()
	err := wait(t, "refusal", h.denied)
	if err.Op != op || err.Subject != subject || err.Queue != queue || !natsconn.IsAuth(err) {
		t.Errorf("got %+v", err)
	}
}

func TestSlowConsumer(t *testing.T) {
	noLeaks(t)
	h := newHappenings()
	b := natstest.Start(t)
	nc := dial(t, b.Config(), h.callbacks())
	sub, err := nc.SubscribeSync("busy")
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.SetPendingLimits(1, -1); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := nc.Publish("busy", nil); err != nil {
			t.Fatal(err)
		}
	}
	if subject := wait(t, "slow consumer", h.slow); subject != "busy" || h.dropped.Load() == 0 {
		t.Errorf("subject %q, dropped %d", subject, h.dropped.Load())
	}
}

func TestLameDuck(t *testing.T) {
	noLeaks(t)
	ns, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		LameDuckDuration: 50 * time.Millisecond, LameDuckGracePeriod: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	h := newHappenings()
	dial(t, natsconn.Config{URLs: []string{ns.ClientURL()}}, h.callbacks())
	done := make(chan struct{})
	go func() { defer close(done); ns.LameDuckShutdown() }()
	wait(t, "announcement", h.lameDuck)
	wait(t, "end of the server", done)
}

// JetStream's own errors come to the publisher, through the same connection.
func TestJetStreamSurvivesRestart(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	h := newHappenings()
	nc := dial(t, b.Config(), h.callbacks())
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish("s.1", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	b.Stop()
	b.Restart(t)
	wait(t, "reconnect", h.back)
	info, err := js.StreamInfo("S")
	if err != nil || info.State.Msgs != 1 {
		t.Fatalf("stream after the restart: %+v, %v", info, err)
	}
	if ack, err := js.Publish("s.2", nil); err != nil || ack.Sequence != 2 {
		t.Errorf("got %+v, %v", ack, err)
	}
}
