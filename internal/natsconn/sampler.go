package natsconn

import (
	"sync"
	"time"
)

// sampler lets burst events pass in each window and counts the rest, so that a
// fault that repeats cannot flood the log. Safe for concurrent use.
type sampler struct {
	burst  int
	window time.Duration

	mu      sync.Mutex
	start   time.Time
	passed  int
	skipped int
}

// allow reports whether the event at now passes and, if so, how many before it
// did not.
func (s *sampler) allow(now time.Time) (ok bool, skipped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.start) >= s.window {
		s.start, s.passed = now, 0
	}
	if s.passed >= s.burst {
		s.skipped++
		return false, 0
	}
	s.passed++
	skipped, s.skipped = s.skipped, 0
	return true, skipped
}
