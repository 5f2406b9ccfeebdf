package sinks

import (
	"net"
	"strings"
	"sync"
	"testing"
)

// natsProxy stands between a client and a server, and can keep back what the
// server says, or cut the line.
type natsProxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	free  *sync.Cond
	held  bool // what the server says
	deaf  bool // to what the client says
	conns []net.Conn
}

func newNATSProxy(tb testing.TB, url string) *natsProxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &natsProxy{listener: l, target: strings.TrimPrefix(url, "nats://")}
	p.free = sync.NewCond(&p.mu)
	var all sync.WaitGroup
	all.Go(func() { p.accept(&all) })
	tb.Cleanup(func() {
		_ = l.Close()
		p.release()
		p.cut()
		all.Wait()
	})
	return p
}

func (p *natsProxy) url() string { return "nats://" + p.listener.Addr().String() }

func (p *natsProxy) accept(all *sync.WaitGroup) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		all.Go(func() { p.pump(server, client, false) })
		all.Go(func() { p.pump(client, server, true) })
	}
}

func (p *natsProxy) pump(to, from net.Conn, held bool) {
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.wait(held)
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (p *natsProxy) wait(held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for held && p.held || !held && p.deaf {
		p.free.Wait()
	}
}

// hold keeps back what the server says from now on.
func (p *natsProxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
}

// deafen takes nothing more from the client.
func (p *natsProxy) deafen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = true
}

// release lets everything through.
func (p *natsProxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held, p.deaf = false, false
	p.free.Broadcast()
}

// cut ends all connections; new ones may come.
func (p *natsProxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}
