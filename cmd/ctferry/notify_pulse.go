package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// statusEvery is how often the service manager is told the rates.
const statusEvery = 5 * time.Second

// pulse is what keeps the service manager informed while the service runs. It
// looks at the reader, never at a broker: a sink that is down is in the status
// line and is no reason for a restart.
type pulse struct {
	notify     *notifier
	books      func() flow.Books
	standstill func() time.Duration // how long ago the reader last went round its loop
	log        *slog.Logger
}

// run tells the rates every few seconds and answers the watchdog at half its
// interval, unless the reader stands still. It returns when ctx ends, at once
// if there is no service manager.
func (p *pulse) run(ctx context.Context) {
	if p.notify == nil {
		return
	}
	status := time.NewTicker(statusEvery)
	defer status.Stop()
	guard := p.notify.guard
	beat := time.NewTicker(max(guard/2, time.Millisecond))
	defer beat.Stop()
	if guard == 0 {
		beat.Stop()
	}
	before, at := p.books(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			p.beat(guard)
		case <-status.C:
			books, now := p.books(), time.Now()
			p.tell("STATUS=" + statusLine(&before, &books, now.Sub(at)))
			before, at = books, now
		}
	}
}

// beat answers the watchdog if the reader has gone round since the last time it did.
func (p *pulse) beat(guard time.Duration) {
	if still := p.standstill(); still > guard/2 {
		p.log.Error("the reader stands still: the watchdog is not answered", "for", still)
		return
	}
	p.tell("WATCHDOG=1")
}

func (p *pulse) tell(assignment string) {
	if err := p.notify.tell(assignment); err != nil {
		p.log.Warn("service manager not told", "err", err)
	}
}
