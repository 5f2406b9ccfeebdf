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
	begun time.Time // keeps a monotonic reading

	mu     sync.Mutex
	offset int64 // wall minus monotonic clock at the last tick, ns
	steps  uint64
	last   int64
}

func newClock() *clock {
	now := time.Now()
	return &clock{begun: now, offset: now.UnixNano()}
}

// earliest is when something was, by the wall clock of then or that of now, whichever
// says the earlier time: it may have been set in between.
func earliest(then, now time.Time) int64 {
	return min(then.UnixNano(), now.UnixNano()-max(int64(now.Sub(then)), 0))
}

// tick compares the two clocks; it is called every second or so.
func (c *clock) tick() {
	now := time.Now()
	c.observe(now.UnixNano(), now.Sub(c.begun))
}

// observe takes one reading of the wall clock and of the monotonic one.
func (c *clock) observe(wall int64, mono time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	offset := wall - int64(mono)
	step := offset - c.offset
	c.offset = offset // a slow drift is no step, however long it lasts
	if time.Duration(step).Abs() >= clockStep {
		c.steps++
		c.last = step
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
