package sinks

import (
	"context"
	"log/slog"
	"time"
)

// logEvery is how often one kind of trouble may be told.
const logEvery = 10 * time.Second

// sampler logs one kind of trouble: the first time at once, then at most once
// in logEvery, with the number of times that were not told. One goroutine uses it.
type sampler struct {
	log    *slog.Logger
	last   time.Time
	untold int
}

func (s *sampler) tell(level slog.Level, msg string, args ...any) {
	now := time.Now()
	if !s.last.IsZero() && now.Sub(s.last) < logEvery {
		s.untold++
		return
	}
	if s.untold > 0 {
		args = append(args, "untold", s.untold)
	}
	s.log.Log(context.Background(), level, msg, args...)
	s.last, s.untold = now, 0
}
