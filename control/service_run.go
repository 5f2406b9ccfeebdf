package control

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Run serves until ctx ends, and then returns nil when everything under way has
// ended: within five seconds by itself, else with CodeUnavailable. It returns an
// error only when the connection is closed for good.
//
// A node's name belongs to the run that answers for it. Run asks for that
// before it serves, announces itself and asks again; whoever then hears another
// steps back for a random while, and tries again. It asks once more after every
// reconnect and now and then, since two runs may have been out of each other's
// sight: they notice, both step back, and one of them serves.
func (s *Service) Run(ctx context.Context) error {
	words, err := s.nc.Subscribe(s.subjects.stream(s.o.Origin.Node, anyToken), s.hear)
	if err != nil {
		return err
	}
	defer func() { _ = words.Unsubscribe() }() // of a closed connection, there is none
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(errStopping)
	var workers sync.WaitGroup
	for range s.workers() {
		workers.Go(func() { s.work(work) })
	}
	beats, still := context.WithCancel(work)
	workers.Go(func() { s.keepInTouch(beats) })
	err = s.serveByTurns(ctx)
	s.setStatus(ServiceStatus{})
	s.drain(ctx)
	still()
	stop(errStopping)
	workers.Wait()
	return err
}

// serveByTurns claims the name and serves, again and again.
func (s *Service) serveByTurns(ctx context.Context) error {
	for ctx.Err() == nil {
		sub, err := s.claim(ctx)
		if err == nil {
			err = s.hold(ctx, sub)
			_ = sub.Unsubscribe() // of a closed connection, there is none
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// hold serves until ctx ends or another run goes by the node's name.
func (s *Service) hold(ctx context.Context, sub *nats.Subscription) error {
	changes := s.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer s.nc.RemoveStatusListener(changes)
	svc, err := s.announce()
	if err != nil {
		return err
	}
	defer func() { _ = svc.Stop() }() // of a closed connection, it has stopped
	s.setStatus(ServiceStatus{Serving: true})
	s.log.Info("control serves", "node", s.o.Origin.Node, "subject", s.subjects.node(s.o.Origin.Node, ">"))
	again := time.NewTimer(jitter(s.times.again))
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case st, ok := <-changes:
			if !ok || st == nats.CLOSED {
				return nats.ErrConnectionClosed
			}
		case <-again.C:
		}
		if rival := s.contested(ctx); rival != "" {
			s.yield(rival)
			return nil
		}
		again.Reset(jitter(s.times.again))
	}
}

// drain lets what is under way come to its end, and then ends it.
func (s *Service) drain(ctx context.Context) {
	s.mu.Lock()
	s.stopping = true
	for _, a := range s.answers {
		if a.watch {
			a.stop(errStopping)
		}
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.times.drain)
	defer cancel()
	for s.underWay() > 0 && wait(ctx, 10*time.Millisecond) == nil {
	}
}

func (s *Service) underWay() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// keepInTouch beats for every answer under way.
func (s *Service) keepInTouch(ctx context.Context) {
	for wait(ctx, s.times.beat/3) == nil {
		s.mu.Lock()
		all := slices.Collect(maps.Values(s.answers))
		s.mu.Unlock()
		for _, a := range all {
			a.out.beat()
		}
	}
}
