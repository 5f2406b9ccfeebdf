package main

import "time"

// closing is what a stop may take beside the sinks' own time to drain: reading
// what the kernel had queued, and closing.
const closing = 15 * time.Second

// pulse is the service's own, for the service manager.
func (s *service) pulse() *pulse {
	return &pulse{notify: s.notify, books: s.books, standstill: s.source.Standstill, log: s.log}
}

// manager notes in the log that the service manager could not be told: it has
// its own ways of finding out, so nothing ends for it.
func (s *service) manager(err error) {
	if err != nil {
		s.log.Warn("service manager not told", "err", err)
	}
}

// patience is the longest that a stop may take.
func (s *service) patience() time.Duration {
	var longest time.Duration
	for i := range s.cfg.Sinks {
		longest = max(longest, s.cfg.Sinks[i].Drain)
	}
	return longest + closing
}
