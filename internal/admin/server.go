package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The bounds of one connection. An answer may take as long as a profile.
const (
	headerTime = 5 * time.Second
	readTime   = 10 * time.Second
	writeTime  = 75 * time.Second
	idleTime   = 30 * time.Second
	maxHeader  = 8 << 10
	closeTime  = time.Second // that answers under way get at the end
)

// Server answers on the admin port.
type Server struct {
	log     *slog.Logger
	sampler *sampler
	front   atomic.Pointer[front]
	open    atomic.Int64
	http    *http.Server
	moved   chan *door // the one that takes the place of what is

	mu   sync.Mutex
	door *door
}

// Listen makes a server of a valid configuration and binds its address; nothing
// is answered before Run. take gives a snapshot; it is called by one goroutine.
// Errors name the key.
func Listen(cfg Config, take func() *Snapshot, log *slog.Logger) (*Server, error) {
	f, err := newFront(cfg)
	if err != nil {
		return nil, err
	}
	s := &Server{log: log.With("part", "admin"), sampler: newSampler(take), moved: make(chan *door, 1)}
	s.front.Store(f)
	if s.door, err = s.bind(&cfg); err != nil {
		return nil, err
	}
	handler, err := s.handler()
	if err != nil {
		return nil, errors.Join(err, s.door.Close())
	}
	s.http = &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader, Protocols: new(http.Protocols), ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.http.Protocols.SetHTTP1(true)
	return s, nil
}

func (s *Server) bind(cfg *Config) (*door, error) {
	l, err := listen(cfg)
	if err != nil {
		return nil, err
	}
	return &door{Listener: l, front: &s.front, open: &s.open}, nil
}

// Addr is the address that is bound.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.door.Addr()
}

// Close gives the address back without Run.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.door.Close()
}

// Run answers until ctx ends, then lets answers under way end for a moment. It
// returns nil.
func (s *Server) Run(ctx context.Context) error {
	var all sync.WaitGroup
	sampling, end := context.WithCancel(context.Background())
	all.Go(func() { s.sampler.run(sampling) })
	serve := func(d *door) {
		all.Go(func() {
			if err := s.http.Serve(d); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				s.log.Error("admin port closed", "err", err)
			}
		})
	}
	s.log.Info("admin port open", "address", s.Addr().String())
	serve(s.door)
	for ctx.Err() == nil {
		select {
		case d := <-s.moved:
			serve(d)
		case <-ctx.Done():
		}
	}
	late, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := s.http.Shutdown(late)
	if err != nil {
		err = s.http.Close()
	}
	err = errors.Join(err, s.Close())
	end()
	all.Wait()
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// Renew prepares another configuration: files are read and a new address is
// bound. apply puts it in force; drop gives it up. Exactly one of them is to be
// called. Calls must not overlap.
func (s *Server) Renew(cfg Config) (apply, drop func(), err error) {
	f, err := newFront(cfg)
	if err != nil {
		return nil, nil, err
	}
	was := s.front.Load().cfg
	if was.Listen == cfg.Listen && (was.Mode == cfg.Mode || cfg.Unix() == "") { // only a unix socket has a mode
		return func() { s.front.Store(f) }, func() {}, nil
	}
	if was.Listen == cfg.Listen { // the socket's path is taken, by ourselves
		return nil, nil, errors.New("admin.mode: a change needs a restart or another path")
	}
	d, err := s.bind(&cfg)
	if held := s.Addr(); errors.Is(err, syscall.EADDRINUSE) && held.Network() == "tcp" && Overlap(held.String(), cfg.Listen) {
		return nil, nil, fmt.Errorf("admin.listen: %s overlaps %s, which this process has: a change needs another port, or a restart: %w", cfg.Listen, held, syscall.EADDRINUSE)
	}
	if err != nil {
		return nil, nil, err
	}
	apply = func() {
		s.front.Store(f)
		s.mu.Lock()
		old := s.door
		s.door = d
		s.mu.Unlock()
		if err := old.Close(); err != nil {
			s.log.Warn("old admin port not closed", "err", err)
		}
		s.moved <- d
		s.log.Info("admin port moved", "address", d.Addr().String())
	}
	return apply, func() { _ = d.Close() }, nil
}
