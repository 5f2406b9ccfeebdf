package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ctferry/ctferry/cmd/ctferry/embedded"
	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/flow"
)

// service is one run: a source, a fanout, an outlet for each sink, and the
// spool between them where there is one.
type service struct {
	cfg    *configs.Config
	id     source.Identity
	log    *slog.Logger
	fanout *sinks.Fanout
	source *source.Source
	notify *notifier    // the service manager; nil: none
	store  *sinks.Store // nil without a spool

	server  *embedded.Server // nil without nats_server
	control *controller      // nil without control
	audit   *worker          // sends what control audits

	admin    *admin.Server // nil without an admin port
	begun    time.Time
	reloads  reloads
	stopping atomic.Bool

	mu       sync.Mutex // guards what a reload changes
	workers  map[string]*worker
	retiring []*worker          // replaced by a reload, still draining
	gone     []flow.SinkBooks   // the sum of the accounts of those that have drained, by name
	parked   map[string]*worker // with a spool: those that have ended because their sink was disabled
	failed   chan error
}

// worker is an outlet that runs.
type worker struct {
	cfg    sinks.Config // as configured
	outlet *sinks.Outlet
	files  string // fingerprint of the files that the sink's keys name
	cancel context.CancelFunc
	done   chan struct{}

	before    *worker // in whose place this one comes, until it runs
	inherited bool    // with a spool: the account is that of the worker that came after
}

// newService builds everything and opens the event socket; nothing runs yet.
func newService(cfg *configs.Config, log *slog.Logger) (*service, error) {
	id, err := newIdentity(cfg)
	if err != nil {
		return nil, err
	}
	s := &service{cfg: cfg, id: id, log: log, begun: time.Now(), workers: map[string]*worker{}, parked: map[string]*worker{}, failed: make(chan error, 1)}
	s.reloads.begin()
	if s.server, err = newServer(cfg, log); err != nil {
		return nil, err
	}
	if err := s.openAdmin(cfg); err != nil {
		return nil, err
	}
	if err := s.build(); err != nil {
		s.closeAdmin()
		s.closeStore()
		return nil, err
	}
	return s, nil
}

// build makes what a service consists of.
func (s *service) build() error {
	if err := s.openStore(s.cfg); err != nil {
		return err
	}
	var outlets []*sinks.Outlet
	for _, c := range s.cfg.Sinks {
		w, err := s.newWorker(c)
		if err != nil {
			return err
		}
		s.workers[c.Name] = w
		outlets = append(outlets, w.outlet)
	}
	s.fanout = s.newFanout(outlets)
	var err error
	if s.source, err = source.New(s.cfg.Source, s.id, wanted(s.cfg.Sinks), s.fanout, s.log); err != nil {
		return err
	}
	return s.addControl(s.cfg)
}

// addControl makes what serves requests, and what sends their audit.
func (s *service) addControl(cfg *configs.Config) error {
	if !cfg.Control.Enabled {
		return nil
	}
	c, err := auditConfig(cfg)
	if err != nil {
		return err
	}
	o, err := sinks.NewOutlet(s.joined(c), s.id.Node, s.id.Run, s.log)
	if err != nil {
		return err
	}
	s.audit = &worker{cfg: c, outlet: o, done: make(chan struct{})}
	feed := &auditFeed{outlet: s.audit.outlet, origin: &flow.Origin{Node: s.id.Node, Meta: s.id.Meta, BootID: s.id.BootID, Run: s.id.Run}}
	s.control, err = s.newController(cfg, feed)
	return err
}

// newWorker makes a worker in the place of the one that its sink has, if any.
func (s *service) newWorker(c sinks.Config) (*worker, error) {
	before := s.before(c.Name)
	o, err := s.newOutlet(c, before)
	if err != nil {
		return nil, err
	}
	return &worker{cfg: c, outlet: o, files: fingerprint(c), done: make(chan struct{}), before: before}, nil
}

// wanted is what the sinks together ask for.
func wanted(all []sinks.Config) flow.Types {
	var types flow.Types
	for i := range all {
		types |= all[i].Types()
	}
	return types
}

// run delivers until ctx ends or something that cannot be mended fails, then
// drains every sink to its deadline.
func (s *service) run(ctx context.Context, hup <-chan os.Signal, load func() (*configs.Config, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.server != nil {
		if err := s.server.Start(ctx); err != nil {
			s.closeAdmin()
			s.closeStore()
			return err
		}
		defer s.server.Shutdown() // after every sink has drained
	}
	endStore := s.runStore()
	for _, w := range s.workers {
		s.start(w)
	}
	endAdmin := s.runAdmin()
	s.log.Info("started", "version", version, "node", s.id.Node, "sinks", len(s.workers))
	read, served := make(chan error, 1), s.serve(ctx)
	go func() { read <- s.source.Run(ctx) }()
	told := make(chan struct{})
	go func() { defer close(told); s.pulse().run(ctx) }()
	s.manager(s.notify.ready())
	trim()
	var err error
	for running := true; running; {
		select {
		case <-hup:
			s.manager(s.notify.reloading())
			s.reload(load)
			s.manager(s.notify.ready())
		case err = <-s.failed:
			running = false
		case err = <-read:
			read, running = nil, false
		case err = <-served:
			served, running = nil, false
		}
	}
	s.stopping.Store(true)
	s.manager(s.notify.stopping(s.patience()))
	cancel()
	<-told
	if read != nil {
		err = errors.Join(err, <-read)
	}
	if served != nil {
		err = errors.Join(err, <-served)
	}
	s.closeAudit()
	endStore()
	s.stopWorkers()
	endAdmin()
	s.closeStore()
	s.logBooks()
	if errors.Is(err, sinks.ErrReaderGone) {
		return nil // whoever read us has seen enough
	}
	return err
}

// serve runs control, if there is any; what it gives is sent how it ended, which
// it does before ctx only if the configuration is wrong.
func (s *service) serve(ctx context.Context) <-chan error {
	if s.control == nil {
		return nil
	}
	s.start(s.audit)
	served := make(chan error, 1)
	go func() { served <- s.control.run(ctx) }()
	return served
}

// closeAudit writes what the audit still has to say.
func (s *service) closeAudit() {
	if s.control == nil {
		return
	}
	if err := s.control.auditor.Close(); err != nil {
		s.log.Error("audit not closed", "err", err)
	}
}

// start runs a worker once the one that it replaces has ended, so that a key's
// records keep their order over a reload.
func (s *service) start(w *worker) {
	ctx, cancel := context.WithCancel(context.Background())
	before := w.before
	w.cancel, w.before = cancel, nil
	go func() {
		defer s.ended(w)
		if before != nil {
			<-before.done
		}
		if err := w.outlet.Run(ctx); err != nil {
			select {
			case s.failed <- fmt.Errorf("sink %q: %w", w.outlet.Name(), err):
			default:
			}
		}
	}()
}

// ended notes that a worker has ended.
func (s *service) ended(w *worker) {
	close(w.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
}

// stopWorkers lets every sink drain to its deadline, all at once.
func (s *service) stopWorkers() {
	s.mu.Lock()
	all := append(slices.Collect(maps.Values(s.workers)), s.retiring...)
	s.mu.Unlock()
	if s.audit != nil {
		all = append(all, s.audit)
	}
	for _, w := range all {
		w.cancel()
	}
	for _, w := range all {
		<-w.done
	}
	s.mu.Lock()
	s.settle()
	s.mu.Unlock()
}

// retire keeps the account of a worker that a reload replaced; mu is held.
func (s *service) retire(w *worker) {
	s.retiring = append(s.retiring, w)
	s.settle()
}

// settle lets go of the workers that have drained, and of their queues' memory;
// what stays is the sum of their accounts, by name. mu is held.
func (s *service) settle() {
	draining := len(s.retiring)
	s.retiring = slices.DeleteFunc(s.retiring, func(w *worker) bool {
		select {
		case <-w.done:
			s.part(w)
			return true
		default:
			return false
		}
	})
	if len(s.retiring) < draining {
		debug.FreeOSMemory() // a queue is large and a reload rare
	}
}

// books is the account of everything.
func (s *service) books() flow.Books {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := flow.Books{Sinks: slices.Clone(s.gone)}
	b.Sockets, b.Events = s.source.Account()
	for _, w := range s.retiring {
		if !w.inherited {
			b.Sinks = addSinkBooks(b.Sinks, w.outlet.Books())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.parked)) {
		b.Sinks = addSinkBooks(b.Sinks, s.parked[name].outlet.Books())
	}
	for _, c := range s.cfg.Sinks {
		b.Sinks = addSinkBooks(b.Sinks, s.workers[c.Name].outlet.Books())
	}
	if s.audit != nil {
		b.Sinks = addSinkBooks(b.Sinks, s.audit.outlet.Books())
	}
	return b
}

// logBooks writes the final account.
func (s *service) logBooks() {
	b := s.books()
	for _, k := range b.Sockets {
		s.log.Info("event socket closed", "netns", k.NetNS, "offered", k.Offered, "received", k.Received, "lost", k.Lost,
			"emitted", k.Emitted, "excluded", k.Excluded, "malformed", k.Malformed, "foreign", k.Foreign)
		if t := k.Track; t.Max > 0 {
			s.log.Info("tracked flows", "netns", k.NetNS, "flows", t.Flows, "added", t.Added, "ended", t.Ended, "untracked", t.Untracked,
				"synthetic", t.Synthetic, "interim", t.Interim, "suppressed", t.Suppressed, "reconciled", t.Reconciled, "failed", t.Failed)
		}
	}
	for _, k := range b.Sinks {
		s.log.Info("sink closed", "sink", k.Name, "offered", k.Offered, "recovered", k.Recovered, "delivered", k.Delivered,
			"dropped", k.DroppedTotal(), "dead_lettered", k.DeadLettered, "held", k.Held)
	}
	if !b.Balanced() {
		s.log.Error("books do not balance: please report this")
	}
}
