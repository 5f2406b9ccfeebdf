package natsconn

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// serverRun is one life of the embedded server; nats-server cannot be started
// a second time.
type serverRun struct {
	ns      *server.Server
	log     *serverLog
	lock    *os.File      // on the store directory, or nil
	started chan struct{} // closed when nats-server's own Start has returned
}

// newRun checks the addresses, locks the store and builds the server. The
// addresses come first: when a second instance is started by mistake its error
// names the address, and it must not have touched the first one's store.
func newRun(c ServerConfig, listen string, log *slog.Logger) (*serverRun, error) {
	if err := probe("listen", listen); err != nil {
		return nil, err
	}
	if err := probe("leaf_listen", c.LeafListen); err != nil {
		return nil, err
	}
	opts, err := c.options(listen)
	if err != nil {
		return nil, err
	}
	run := &serverRun{log: newServerLog(log, listen, c.LeafListen), started: make(chan struct{})}
	if c.StoreDir != "" {
		if run.lock, err = lockStore(c.StoreDir); err != nil {
			return nil, err
		}
	}
	if run.ns, err = server.NewServer(opts); err != nil {
		run.unlock()
		return nil, &FieldError{Field: "nats_server", Err: err}
	}
	run.ns.SetLoggerV2(run.log, false, false, false)
	return run, nil
}

// probe tries to listen on an address for a moment.
func probe(field, address string) error {
	if address == "" {
		return nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return listenError(field, address, err)
	}
	return l.Close()
}

// start runs nats-server's Start, which returns when the listeners stand and
// JetStream has recovered its store, and waits for it as long as ctx allows.
func (r *serverRun) start(ctx context.Context) error {
	go func() {
		defer close(r.started)
		r.ns.Start()
	}()
	select {
	case err := <-r.log.fatal:
		return err
	case <-ctx.Done():
		return &FieldError{Field: "nats_server", Msg: "not ready in time", Err: context.Cause(ctx)}
	case <-r.started:
	}
	select {
	case err := <-r.log.fatal: // it may have come just before
		return err
	default:
	}
	if !r.ns.ReadyForConnections(time.Second) {
		return &FieldError{Field: "nats_server", Msg: "started, but takes no clients"}
	}
	return nil
}

// stop shuts the server down and returns a channel that is closed when nothing
// of it runs any more. A Start that is still recovering a store cannot be
// stopped, so it is waited for.
func (r *serverRun) stop() chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-r.started
		r.ns.Shutdown()
		r.ns.WaitForShutdown()
		r.unlock()
	}()
	return done
}

func (r *serverRun) unlock() {
	if r.lock != nil {
		_ = r.lock.Close()
	}
}

// options builds nats-server's options anew for each run; it writes into them.
func (c ServerConfig) options(listen string) (*server.Options, error) {
	o := &server.Options{
		ServerName: c.Name, MaxPayload: c.MaxPayload, MaxConn: c.MaxConnections,
		Users: c.Users, Nkeys: c.NkeyUsers, Accounts: c.Accounts,
		SystemAccount: c.SystemAccount, NoAuthUser: c.NoAuthUser, Authorization: c.Token.Reveal(),
		DontListen: listen == "", DisableJetStreamBanner: true,
	}
	o.Host, o.Port = listenOptions(listen)
	o.LeafNode.Host, o.LeafNode.Port = listenOptions(c.LeafListen)
	c.applyJetStream(o)
	var p problems
	conf, err := c.TLS.config()
	p.nested("nats_server", err)
	if conf != nil {
		o.TLS, o.TLSConfig, o.TLSVerify, o.TLSHandshakeFirst = true, conf, c.TLS.Verify, c.TLS.HandshakeFirst
	}
	for i, leaf := range c.Leafnodes {
		remote, err := leaf.remote()
		p.nested("nats_server.leafnodes["+strconv.Itoa(i)+"]", err)
		o.LeafNode.Remotes = append(o.LeafNode.Remotes, remote)
	}
	if err := p.join(); err != nil {
		return nil, err
	}
	if c.Adjust != nil {
		c.Adjust(o)
	}
	o.NoSigs, o.NoLog = true, true
	return o, nil
}

// listenOptions turns host:port into nats-server's options, in which 0 is "none"
// and -1 "any".
func listenOptions(address string) (host string, port int) {
	host, port, err := splitListen(address)
	if err == nil && port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port
}

func (c ServerConfig) applyJetStream(o *server.Options) {
	if c.StoreDir == "" {
		return
	}
	o.JetStream, o.StoreDir = true, c.StoreDir
	o.JetStreamMaxMemory, o.JetStreamMaxStore = c.JetStream.MaxMemory, c.JetStream.MaxStore
	orDefault(&o.JetStreamMaxMemory, DefaultMaxMemory)
	orDefault(&o.JetStreamMaxStore, DefaultMaxStore)
	o.JetStreamDomain = c.JetStream.Domain
	o.SyncInterval, o.SyncAlways = c.JetStream.SyncInterval, c.JetStream.SyncAlways
}
