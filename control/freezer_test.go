package control

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/nats-io/nats.go"
)

// freezer stands between a client and its broker and can stop to pass anything
// on, as a process that is stopped or a link that is dead would.
type freezer struct {
	broker string
	ln     net.Listener
	mu     sync.Mutex
	thawed *sync.Cond
	frozen bool
	open   []net.Conn
}

// newFreezer passes on to the broker until the test ends.
func newFreezer(t testing.TB, b *natstest.Broker) *freezer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &freezer{broker: strings.TrimPrefix(b.ClientURL(), "nats://"), ln: ln}
	f.thawed = sync.NewCond(&f.mu)
	var all sync.WaitGroup
	all.Go(func() { f.accept(&all) })
	t.Cleanup(func() {
		_ = ln.Close()
		f.set(false)
		f.mu.Lock()
		for _, c := range f.open {
			_ = c.Close()
		}
		f.mu.Unlock()
		all.Wait()
	})
	return f
}

func (f *freezer) accept(all *sync.WaitGroup) {
	for {
		in, err := f.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", f.broker)
		if err != nil {
			_ = in.Close()
			continue
		}
		f.mu.Lock()
		f.open = append(f.open, in, out)
		f.mu.Unlock()
		all.Go(func() { f.pass(in, out) })
		all.Go(func() { f.pass(out, in) })
	}
}

// pass copies until either side closes.
func (f *freezer) pass(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		f.mu.Lock()
		for f.frozen {
			f.thawed.Wait()
		}
		f.mu.Unlock()
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (f *freezer) set(frozen bool) {
	f.mu.Lock()
	f.frozen = frozen
	f.mu.Unlock()
	f.thawed.Broadcast()
}

// through has a connection go through the freezer.
func (f *freezer) through(c *natsconn.Config) { c.URLs = []string{"nats://" + f.ln.Addr().String()} }

// natsDial connects to a broker of another process.
func natsDial(t testing.TB, url string) (*nats.Conn, error) {
	t.Helper()
	nc, err := natsconn.Dial(t.Context(), natsconn.Config{URLs: []string{url}}, natsconn.Callbacks{}, nil)
	if err == nil {
		t.Cleanup(nc.Close)
	}
	return nc, err
}
