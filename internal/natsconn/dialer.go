package natsconn

import (
	"context"
	"net"
	"sync"
	"time"
)

// dialer is nats.go's CustomDialer. It bounds the name lookup too, which
// nats.go does without a limit and under the connection's lock. While Dial
// runs, the end of Dial's context breaks what is under way; a context is kept
// in the struct because nats.go's dialler takes none.
type dialer struct {
	timeout time.Duration

	mu    sync.Mutex
	ctx   context.Context // Dial's, while it runs; then nil
	stops []func() bool   // end the watch of ctx over each connection made
	last  error           // of the latest attempt; nats.go hides a refusal
}

// Dial opens a connection to host:port.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	parent := d.context()
	ctx, cancel := context.WithTimeout(parent, d.timeout)
	defer cancel()
	var nd net.Dialer
	conn, err := nd.DialContext(ctx, network, address)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = err
	if err != nil {
		return nil, err
	}
	if d.ctx != nil {
		d.stops = append(d.stops, context.AfterFunc(d.ctx, func() { _ = conn.Close() }))
	}
	return conn, nil
}

func (d *dialer) context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx != nil {
		return d.ctx
	}
	return context.Background()
}

// release lets go of Dial's context, so that its end no longer touches the
// connection. It reports false if it already has.
func (d *dialer) release() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	alive := d.ctx.Err() == nil
	for _, stop := range d.stops {
		stop()
	}
	d.ctx, d.stops = nil, nil
	return alive
}

// lastError returns the error of the latest attempt to open a connection.
func (d *dialer) lastError() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}
