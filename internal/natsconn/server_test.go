package natsconn_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// newServer makes a server that is shut down with the test.
func newServer(t *testing.T, c natsconn.ServerConfig) *natsconn.Server {
	t.Helper()
	s, err := natsconn.NewServer(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func TestListenTaken(t *testing.T) {
	noLeaks(t)
	address, store := mute(t), t.TempDir()
	for name, tt := range map[string]struct {
		conf natsconn.ServerConfig
		want string
	}{
		"clients":   {natsconn.ServerConfig{Listen: address, StoreDir: store}, "nats_server.listen: address " + address + " is in use"},
		"leafnodes": {natsconn.ServerConfig{LeafListen: address, StoreDir: store}, "nats_server.leaf_listen: address " + address + " is in use"},
	} {
		t.Run(name, func(t *testing.T) {
			err := newServer(t, tt.conf).Start(within(t))
			if err == nil || err.Error() != tt.want || !errors.Is(err, syscall.EADDRINUSE) || !natsconn.IsConfig(err) {
				t.Errorf("got %v", err)
			}
			if entries, _ := os.ReadDir(store); len(entries) != 0 {
				t.Errorf("the store was touched: %v", entries)
			}
		})
	}
}

// When the address is lost between the probe and nats-server's own listen, its
// fatal error becomes Start's, and the process lives.
func TestListenTakenLate(t *testing.T) {
	noLeaks(t)
	for name, set := range map[string]func(*natsconn.ServerConfig, string){
		"nats_server.listen":      func(c *natsconn.ServerConfig, a string) { c.Listen = a },
		"nats_server.leaf_listen": func(c *natsconn.ServerConfig, a string) { c.Listen, c.LeafListen = "127.0.0.1:0", a },
	} {
		t.Run(name, func(t *testing.T) {
			address := freeAddress(t)
			var taken net.Listener
			conf := natsconn.ServerConfig{StoreDir: t.TempDir(), Adjust: func(*server.Options) {
				var err error
				if taken, err = net.Listen("tcp", address); err != nil {
					t.Error(err)
				}
			}}
			set(&conf, address)
			s := newServer(t, conf)
			err := s.Start(within(t))
			if want := name + ": address " + address + " is in use"; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			taken.Close()
		})
	}
}

// A server that failed for a taken address starts once it is free.
func TestStartAgainAfterFailure(t *testing.T) {
	noLeaks(t)
	address := freeAddress(t)
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, natsconn.ServerConfig{Listen: address, StoreDir: t.TempDir()})
	if err := s.Start(within(t)); err == nil {
		t.Fatal("started")
	}
	l.Close()
	if err := s.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(within(t)); err == nil || !strings.Contains(err.Error(), "already running") {
		t.Errorf("second start: %v", err)
	}
	if want := "nats://" + address; s.ClientURL() != want {
		t.Errorf("URL %s, want %s", s.ClientURL(), want)
	}
}

func TestListenImpossible(t *testing.T) {
	noLeaks(t)
	err := newServer(t, natsconn.ServerConfig{Listen: "192.0.2.1:4222"}).Start(within(t)) // TEST-NET-1, RFC 5737
	if err == nil || !strings.HasPrefix(err.Error(), "nats_server.listen: address 192.0.2.1:4222: ") {
		t.Errorf("got %v", err)
	}
}

func TestStoreTaken(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	first := newServer(t, natsconn.ServerConfig{StoreDir: dir})
	if err := first.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	second := newServer(t, natsconn.ServerConfig{StoreDir: dir})
	err := second.Start(within(t))
	if want := "nats_server.store_dir: " + dir + " is in use by another server"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	first.Shutdown()
	if err := second.Start(within(t)); err != nil {
		t.Errorf("after the first one's end: %v", err)
	}
}

func TestStoreImpossible(t *testing.T) {
	noLeaks(t)
	path := file(t, "not a directory")
	blocked := t.TempDir()
	if err := os.WriteFile(filepath.Join(blocked, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{path, filepath.Join(path, "below"), blocked} {
		err := newServer(t, natsconn.ServerConfig{StoreDir: dir}).Start(within(t))
		if err == nil || !strings.HasPrefix(err.Error(), "nats_server.store_dir: ") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// The end of ctx ends the wait; what was begun is undone before the next start.
func TestStartContext(t *testing.T) {
	noLeaks(t)
	s := newServer(t, natsconn.ServerConfig{Listen: "127.0.0.1:0", StoreDir: t.TempDir()})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Start(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	s.Shutdown()
	if err := s.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	echo(t, dial(t, natsconn.Config{URLs: []string{s.ClientURL()}}, natsconn.Callbacks{}))
}

func TestShutdown(t *testing.T) {
	noLeaks(t)
	s := newServer(t, natsconn.ServerConfig{Listen: "127.0.0.1:0"})
	s.Shutdown() // before Start: nothing
	if err := s.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 3 { // at once, and again
		wg.Go(s.Shutdown)
	}
	wg.Wait()
	s.Shutdown()
	if _, err := s.InProcessConn(); err == nil {
		t.Error("an in-process connection to a server that is down")
	}
	l, err := net.Listen("tcp", strings.TrimPrefix(s.ClientURL(), "nats://"))
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	l.Close()
}

// Accounts and users are the caller's values; a restart takes them again.
func TestAccountsSurviveRestart(t *testing.T) {
	noLeaks(t)
	a, z := server.NewAccount("A"), server.NewAccount("Z")
	b := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.StoreDir = ""
		c.Accounts = []*server.Account{a, z}
		c.Users = []*server.User{natstest.User("ann", "pw", nil, nil), natstest.User("zoe", "pw", nil, nil)}
		c.Users[0].Account, c.Users[1].Account = a, z
	})
	for range 3 {
		ann := b.Dial(t, func(c *natsconn.Config) { c.User, c.Password = "ann", option.NewSecret("pw") })
		zoe := b.Dial(t, func(c *natsconn.Config) { c.User, c.Password = "zoe", option.NewSecret("pw") })
		echo(t, ann)
		sub, err := zoe.SubscribeSync("x")
		if err != nil || zoe.Flush() != nil {
			t.Fatal(err)
		}
		if err := ann.Publish("x", nil); err != nil || ann.Flush() != nil {
			t.Fatal(err)
		}
		if _, err := sub.NextMsg(50 * time.Millisecond); !errors.Is(err, nats.ErrTimeout) {
			t.Errorf("a message crossed accounts: %v", err)
		}
		b.Stop()
		b.Restart(t)
	}
}

func TestNoAuthUser(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.Users = []*server.User{natstest.User("guest", "pw", []string{"echo.>"}, []string{"echo.>"})}
		c.NoAuthUser = "guest"
	})
	echo(t, b.Dial(t))
}

func TestJetStreamLimits(t *testing.T) {
	noLeaks(t)
	for name, tt := range map[string]struct {
		set        natsconn.JetStream
		mem, store int64
	}{
		"default": {natsconn.JetStream{}, natsconn.DefaultMaxMemory, natsconn.DefaultMaxStore},
		"set":     {natsconn.JetStream{MaxMemory: 1 << 20, MaxStore: 2 << 20}, 1 << 20, 2 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			js, err := natstest.Start(t, func(c *natsconn.ServerConfig) { c.JetStream = tt.set }).Dial(t).JetStream()
			if err != nil {
				t.Fatal(err)
			}
			for storage, limit := range map[nats.StorageType]int64{nats.MemoryStorage: tt.mem, nats.FileStorage: tt.store} {
				conf := nats.StreamConfig{Name: storage.String(), Subjects: []string{storage.String()}, Storage: storage}
				conf.MaxBytes = limit + 1
				if _, err := js.AddStream(&conf); err == nil {
					t.Errorf("%v: a stream above the limit", storage)
				}
				conf.MaxBytes = limit
				if _, err := js.AddStream(&conf); err != nil {
					t.Errorf("%v: a stream at the limit: %v", storage, err)
				}
			}
		})
	}
}

// What nats-server logs, and a client's refusal is one such thing, goes to slog.
func TestServerLog(t *testing.T) {
	noLeaks(t)
	var buf syncBuffer
	log := slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := natsconn.NewServer(natsconn.ServerConfig{Listen: "0.0.0.0:0"}, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	if url := s.ClientURL(); !strings.HasPrefix(url, "nats://127.0.0.1:") {
		t.Errorf("URL %s", url)
	}
	echo(t, dial(t, natsconn.Config{URLs: []string{s.ClientURL()}}, natsconn.Callbacks{}))
	s.Shutdown()
	for _, want := range []string{"nats server ready", "Server is ready", "takes anyone who reaches it"} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("no %q in\n%s", want, buf.String())
		}
	}
}

// A client that is refused over and over cannot flood the log.
func TestServerLogIsSampled(t *testing.T) {
	noLeaks(t)
	var buf syncBuffer
	s, err := natsconn.NewServer(natsconn.ServerConfig{Listen: "127.0.0.1:0", Token: option.NewSecret("right")}, slog.New(slog.NewTextHandler(&buf, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	if err := s.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	for range 60 {
		wantAuth(t, refused(t, natsconn.Config{URLs: []string{s.ClientURL()}, Token: option.NewSecret("wrong")}), nats.ErrAuthorization)
	}
	if n := strings.Count(buf.String(), "authentication error"); n < 3 || n > 40 {
		t.Errorf("%d lines for 60 refusals", n)
	}
	if strings.Contains(buf.String(), "wrong") {
		t.Errorf("a secret in the log:\n%s", buf.String())
	}
}
