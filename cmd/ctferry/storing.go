package main

import (
	"context"
	"fmt"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/sinks/spool"
)

// openStore opens the spool if there is to be one. Sinks that are no longer
// configured lose their place in it; a sink that is disabled keeps its own.
func (s *service) openStore(cfg *configs.Config) error {
	if cfg.Spool.Mode == sinks.SpoolOff {
		s.warnLeft(cfg)
		return nil
	}
	store, err := sinks.OpenStore(cfg.Spool, s.log)
	if err == nil {
		s.store, err = store, store.Forget(cfg.Named())
	}
	if err != nil {
		return fmt.Errorf("spool.dir: %w", err)
	}
	return nil
}

// warnLeft tells of records that wait in a spool which the configuration has
// turned off. Whoever runs without a file has none in mind.
func (s *service) warnLeft(cfg *configs.Config) {
	if len(cfg.Files) == 0 {
		return
	}
	st, err := spool.ReadStatus(cfg.Spool.Dir)
	if err != nil {
		return // there is none, or it is another's
	}
	for i := range st.Cursors {
		if c := &st.Cursors[i]; c.Lag.Records > 0 {
			s.log.Warn("records wait in the spool, which is off", "dir", st.Dir, "sink", c.Name, "records", c.Lag.Records)
		}
	}
}

// newOutlet makes a sink's outlet; before is the worker in whose place it comes.
func (s *service) newOutlet(c sinks.Config, before *worker) (*sinks.Outlet, error) {
	if s.store == nil {
		return sinks.NewOutlet(s.joined(c), s.id.Node, s.id.Run, s.log)
	}
	var o *sinks.Outlet
	if before != nil {
		o = before.outlet
	}
	return sinks.NewStoredOutlet(s.joined(c), s.id.Node, s.id.Run, s.store, o, s.log)
}

func (s *service) newFanout(outlets []*sinks.Outlet) *sinks.Fanout {
	if s.store == nil {
		return sinks.NewFanout(outlets...)
	}
	return sinks.NewStoredFanout(s.store, outlets...)
}

// runStore writes to the disk; the function that it gives ends that, when what
// waits has been written. The source must have ended before.
func (s *service) runStore() (end func()) {
	if s.store == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.store.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			s.log.Error("spool not written", "err", err)
		}
	}
}

// closeStore gives the spool back. Every outlet must have ended.
func (s *service) closeStore() {
	if s.store == nil {
		return
	}
	st, err := s.store.Status()
	if err != nil {
		s.log.Error("spool not measured", "err", err)
	}
	if err := s.store.Close(); err != nil {
		s.log.Error("spool not closed", "err", err)
	}
	s.log.Info("spool closed", "dir", st.Dir, "segments", st.Segments, "bytes", st.Bytes, "records", st.Records,
		"refused", st.Faults.Refused.Records, "faults", st.Faults.Writes+st.Faults.Syncs+st.Faults.Saves, "last_fault", st.Faults.Last)
}

// forget removes the places of sinks that a configuration which was refused
// has made; mu is held.
func (s *service) forget() {
	if s.store == nil {
		return
	}
	keep := s.cfg.Named()
	for _, w := range s.retiring {
		keep[w.outlet.Name()] = true
	}
	if err := s.store.Forget(keep); err != nil {
		s.log.Error("spool keeps the place of a sink that is not configured", "err", err)
	}
}

// before finds the worker in whose place one of this name comes: the one that
// runs, or one that drains still, or one that was disabled and whose account
// goes on. mu is held.
func (s *service) before(name string) *worker {
	if w := s.workers[name]; w != nil {
		return w
	}
	for i := len(s.retiring) - 1; i >= 0; i-- {
		if w := s.retiring[i]; w.outlet.Name() == name && !w.inherited {
			return w
		}
	}
	return s.parked[name]
}

// part enters a worker that has ended into the accounts of those that are gone.
// With a spool the account goes on with the one that came in its place, or
// rests while the sink is disabled; a sink that was removed has no place in the
// spool any longer. mu is held.
func (s *service) part(w *worker) {
	name := w.outlet.Name()
	switch {
	case w.inherited:
		return
	case s.store != nil && s.cfg.Named()[name]:
		s.parked[name] = w
		return
	case s.store != nil:
		if err := s.store.Retire(w.outlet); err != nil {
			s.log.Error("spool keeps the place of a sink that was removed", "sink", name, "err", err)
		}
	}
	s.gone = addSinkBooks(s.gone, w.outlet.Books())
}
