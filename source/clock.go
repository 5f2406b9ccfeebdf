package source

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// clockStep is the jump of the wall clock against the monotonic one that counts as a step.
const clockStep = 100 * time.Millisecond

// clock watches whether the host's clock can be trusted.
type clock struct {
	mu    sync.Mutex
	prev  time.Time // with both a wall and a monotonic reading
	steps uint64
	last  int64
}

func newClock() *clock { return &clock{prev: time.Now()} }

// tick compares the two clocks; it is called every second or so.
func (c *clock) tick() {
	c.observe(time.Now())
}

func (c *clock) observe(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mono := now.Sub(c.prev)
	wall := now.Round(0).Sub(c.prev.Round(0)) // Round(0) drops the monotonic reading
	c.prev = now
	if step := wall - mono; step.Abs() >= clockStep {
		c.steps++
		c.last = int64(step)
	}
}

func (c *clock) state() flow.Clock {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := flow.Clock{Steps: c.steps, Last: c.last}
	var t unix.Timex
	if state, err := unix.Adjtimex(&t); err == nil {
		synced := state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
		out.Synced = &synced
	}
	return out
}
