package admin

import (
	"context"
	"sync"
	"time"
)

// The rhythm of sampling. Rates are over rateSamples ticks.
const (
	sampleEvery = time.Second
	rateSamples = 5
	patience    = 2 * time.Second  // for a fresh snapshot; after it the last one serves
	standstill  = 10 * time.Second // of the reader, or of sampling, that is told as ill; a reader goes round once a second
)

// sampler takes snapshots in one goroutine: should the service's locks be held
// for good, that goroutine waits for them and nobody else does.
type sampler struct {
	take func() *Snapshot

	mu      sync.Mutex
	last    *Snapshot
	waiting chan struct{} // closed once a snapshot has been taken that began later; nil: nobody waits
	past    []*Snapshot   // the last ticks, oldest first; the goroutine's alone
	wake    chan struct{} // somebody waits
}

func newSampler(take func() *Snapshot) *sampler {
	return &sampler{take: take, wake: make(chan struct{}, 1)}
}

// run takes a snapshot each second, and when somebody asks, until ctx ends.
func (s *sampler) run(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	s.sample(true)
	for {
		select {
		case <-ctx.Done():
			s.sample(false) // for those who wait
			return
		case <-tick.C:
			s.sample(true)
		case <-s.wake:
			s.sample(false)
		}
	}
}

// sample takes a snapshot; one of the second is kept for rates.
func (s *sampler) sample(tick bool) {
	s.mu.Lock()
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	snap := s.take()
	var was *Snapshot
	if len(s.past) > 0 {
		was = s.past[0]
		snap.Rates = rates(was, snap)
	}
	snap.Buffers = buffers(was, snap)
	snap.fill()
	if tick {
		s.past = append(s.past, snap)
		if len(s.past) > rateSamples {
			s.past = append([]*Snapshot(nil), s.past[1:]...)
		}
	}
	s.mu.Lock()
	s.last = snap
	s.mu.Unlock()
	if waiting != nil {
		close(waiting)
	}
}

// fresh gives a snapshot that was begun after the call, or after a while the
// last one; nil if there is none yet.
func (s *sampler) fresh(ctx context.Context) *Snapshot {
	s.mu.Lock()
	if s.waiting == nil {
		s.waiting = make(chan struct{})
	}
	taken := s.waiting
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-taken:
	case <-t.C:
	case <-ctx.Done():
	}
	return s.latest()
}

// latest gives the last snapshot, at once. Time that passed since counts as the
// reader's: who cannot be asked stands still.
func (s *sampler) latest() *Snapshot {
	s.mu.Lock()
	snap := s.last
	s.mu.Unlock()
	if snap == nil {
		return nil
	}
	if late := time.Since(snap.Time) - sampleEvery; late > sampleEvery {
		old := *snap
		old.Standstill += late.Seconds()
		return &old
	}
	return snap
}
