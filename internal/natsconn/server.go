package natsconn

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"sync"

	"github.com/nats-io/nats.go"
)

// errNotRunning answers in-process clients while the server is down; they retry.
var errNotRunning = errors.New("nats_server: not running")

// Server is a nats-server inside this process. It may be started and shut down
// many times; a port chosen at the first Start is kept. Its methods may be
// called from several goroutines.
type Server struct {
	conf ServerConfig
	log  *slog.Logger

	life   sync.Mutex    // held over Start and Shutdown, each as a whole
	undone chan struct{} // guarded by life: a failed Start still being undone, or nil

	mu     sync.RWMutex // guards the rest, briefly
	run    *serverRun   // nil when down
	listen string       // the address in use, once known
}

// NewServer checks the configuration; nothing runs before Start. A nil log is
// silent.
func NewServer(c ServerConfig, log *slog.Logger) (*Server, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var p problems
	p.under("nats_server", c.problems())
	if err := p.join(); err != nil {
		return nil, err
	}
	return &Server{conf: c, log: log, listen: c.Listen}, nil
}

// Start returns when the server takes clients, or with an error that names the
// setting at fault, for example "nats_server.listen: address 127.0.0.1:4222 is
// in use". When ctx ends first, what was begun is undone in the background, and
// the next Start or Shutdown waits for that.
func (s *Server) Start(ctx context.Context) error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.current() != nil {
		return errors.New("nats_server: already running")
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	run, err := newRun(s.conf, s.address(), s.log)
	if err != nil {
		return err
	}
	if err := run.start(ctx); err != nil {
		s.undone = run.stop()
		_ = s.settle(ctx)
		return err
	}
	s.up(run)
	return nil
}

// settle waits until a failed Start is undone.
func (s *Server) settle(ctx context.Context) error {
	if s.undone == nil {
		return nil
	}
	select {
	case <-s.undone:
		s.undone = nil
		return nil
	case <-ctx.Done():
		return &FieldError{Field: "nats_server", Msg: "an earlier start is still being undone", Err: context.Cause(ctx)}
	}
}

// Shutdown closes every client, writes what the store has not yet written, and
// returns when nothing of the server runs any more. Calling it again, or before
// Start, does nothing.
func (s *Server) Shutdown() {
	s.life.Lock()
	defer s.life.Unlock()
	s.mu.Lock()
	run := s.run
	s.run = nil
	s.mu.Unlock()
	if run != nil {
		s.undone = run.stop()
	}
	_ = s.settle(context.Background())
}

// up makes a run the current one.
func (s *Server) up(run *serverRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = run
	if addr, ok := run.ns.Addr().(*net.TCPAddr); ok && s.listen != "" {
		s.listen = hostPort(hostOf(s.listen), addr.Port)
	}
	s.log.Info("nats server ready", "listen", s.listen, "store_dir", s.conf.StoreDir)
	if ip := net.ParseIP(hostOf(s.listen)); s.listen != "" && (ip == nil || !ip.IsLoopback()) && s.conf.isOpen() {
		s.log.Warn("nats server takes anyone who reaches it", "listen", s.listen)
	}
}

func (s *Server) current() *serverRun {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.run
}

func (s *Server) address() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.listen
}

// ClientURL returns where a client on this machine connects, nats:// or tls://;
// empty if the server does not listen or was never started on port 0.
func (s *Server) ClientURL() string {
	host, port, err := splitListen(s.address())
	if err != nil || port == 0 {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	u := url.URL{Scheme: "nats", Host: hostPort(host, port)}
	if s.conf.TLS.CertFile != "" {
		u.Scheme = "tls"
	}
	return u.String()
}

// InProcess returns the option that makes Dial connect to this server without a
// socket, also when it does not listen. The connection outlives a restart.
func (s *Server) InProcess() nats.Option { return nats.InProcessServer(s) }

// InProcessConn implements nats.InProcessConnProvider.
func (s *Server) InProcessConn() (net.Conn, error) {
	run := s.current()
	if run == nil {
		return nil, errNotRunning
	}
	conn, err := run.ns.InProcessConn()
	if err != nil {
		return nil, errNotRunning
	}
	return newEagerConn(conn), nil
}
