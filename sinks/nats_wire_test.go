package sinks

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
)

// The sink writes to the socket itself where nobody wraps what is on it, and has
// nats.go publish elsewhere; the records arrive either way.
func TestNATSWire(t *testing.T) {
	ca := natstest.NewAuthority(t)
	cert, key := ca.Issue(t, "server", time.Hour)
	webPort := natsFreePort(t)
	plain := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.Adjust = func(o *server.Options) {
			o.Websocket.Host, o.Websocket.Port, o.Websocket.NoTLS = "127.0.0.1", webPort, true
		}
	})
	secure := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.TLS = natsconn.ServerTLS{CertFile: cert, KeyFile: key}
	})
	trusts := func(o *NATSOptions) { o.TLS = option.TLS{CAFile: ca.CAFile} }
	for at, tt := range []struct {
		name   string
		broker *natstest.Broker
		url    string
		change func(*NATSOptions)
		wire   bool
	}{
		{"tcp", plain, plain.ClientURL(), func(*NATSOptions) {}, true},
		{"in process", plain, "", func(o *NATSOptions) { o.URLs, o.InProcess = nil, plain.InProcess() }, true},
		{"websocket", plain, fmt.Sprintf("ws://127.0.0.1:%d", webPort), func(*NATSOptions) {}, false},
		{"tls", secure, secure.ClientURL(), trusts, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nc := tt.broker.Dial(t, func(c *natsconn.Config) {
				if !tt.wire && tt.broker == secure {
					c.TLS = option.TLS{CAFile: ca.CAFile}
				}
			})
			s := natsStream(t, nc, nil)
			for i, group := range []Group{GroupNone, GroupNDJSON} {
				n := openTestNATS(t, tt.url, func(o *NATSOptions) { inStream(o); tt.change(o) }, func(e *Env) { e.Group = group })
				if got := n.link.plain() != nil; got != tt.wire {
					t.Fatalf("writes by itself: %v, want %v", got, tt.wire)
				}
				before := len(natsStored(t, s))
				from := 10_000*at + 1000*i // a stream that two cases have knows the ids of the first
				natsFerry(t, n, natsRecords(from, 700))
				var rs []natsRecord
				for _, m := range natsStored(t, s)[before:] {
					rs = append(rs, natsSplit(t, n.env.Format.Framing, group, m.Data)...)
				}
				mustHaveAll(t, rs, from, 700)
			}
		})
	}
}

func natsFreePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// After a reconnect the sink writes to the new socket.
func TestNATSWireAgain(t *testing.T) {
	b := natstest.Start(t)
	n := openTestNATS(t, b.ClientURL(), nil, nil)
	before := n.link.plain()
	b.Stop()
	for deadline := time.Now().Add(natsPatience); n.link.plain() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the broker is gone, and nobody noticed")
		}
	}
	b.Restart(t)
	natsFerry(t, n, natsRecords(0, 10))
	if now := n.link.plain(); now == nil || now == before {
		t.Fatalf("writes to %p, and wrote to %p", now, before)
	}
}

// nats.go's own writes come between ours and never into one.
func TestNATSWireShared(t *testing.T) {
	b := natstest.Start(t)
	ours, theirs := natsListen(t, b.Dial(t), natsTestSubject), natsListen(t, b.Dial(t), "other")
	n := openTestNATS(t, b.ClientURL(), nil, nil)
	sent, stop, done := 0, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for ; ; sent++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := n.link.nc.Publish("other", []byte("between")); err != nil {
				t.Error(err)
				return
			}
			if sent%3 == 0 {
				_ = n.link.nc.FlushTimeout(natsPatience)
			}
		}
	}()
	rs := natsRecords(0, 3000)
	for i := range rs {
		if i%100 == 0 {
			rs[i].Value = append(rs[i].Value, strings.Repeat(" ", 200<<10)...)
		}
	}
	natsFerry(t, n, rs)
	close(stop)
	<-done
	var got []natsRecord
	for _, m := range ours.wait(t, 3000) {
		got = append(got, natsParse(t, m.Data))
	}
	mustHaveAll(t, got, 0, 3000)
	mustKeepOrder(t, got)
	if err := n.link.nc.FlushTimeout(natsPatience); err != nil {
		t.Fatal(err)
	}
	for _, m := range theirs.wait(t, sent) {
		if string(m.Data) != "between" {
			t.Fatalf("%q", m.Data)
		}
	}
}

// A server that takes nothing more ends the connection, in the time of a write,
// and what was under way is sent again.
func TestNATSWireStalls(t *testing.T) {
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.StoreDir = "" })
	p := newNATSProxy(t, b.ClientURL())
	n := openTestNATS(t, p.url(), func(o *NATSOptions) { o.PublishTimeout = 300 * time.Millisecond }, nil)
	wire := n.link.plain()
	p.deafen()
	rs := natsRecords(0, 40)
	for i := range rs {
		rs[i].Value = append(rs[i].Value, strings.Repeat(" ", 800<<10)...)
	}
	batch := &Batch{Records: rs}
	e := mustFail(t, natsWrite(t, n, batch), Retry, "connect")
	if doneOf(batch) != nil || e.Reopen {
		t.Fatalf("done %v, reopen %v", doneOf(batch), e.Reopen)
	}
	p.release()
	natsFerry(t, n, rs[:10])
	if n.link.plain() == wire {
		t.Fatal("still on the connection that stood still")
	}
}
