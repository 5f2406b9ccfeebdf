package sinks

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"
)

// courier is the consumer's side of an outlet: it takes batches from the queue
// and sees each through. One goroutine owns it. Its steps answer whether to go
// on; when one says no, err tells why, nil for a stop.
type courier struct {
	o    *Outlet
	stop <-chan struct{} // closed: deliver what is there, then end
	work context.Context // ended: deliver nothing more
	err  error

	stopping bool
	opened   bool
	failures int // in a row
	timer    *time.Timer
	batch    Batch
	done     []bool   // the batch's marks, used again for each
	left     []Record // of what the queue gave last: those that have no fate yet
	trouble  sampler
	recovery sampler
	burial   sampler
	dead     deadLetters
}

func newCourier(o *Outlet, stop <-chan struct{}, work context.Context) *courier {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &courier{
		o:        o,
		stop:     stop,
		work:     work,
		timer:    timer,
		done:     make([]bool, o.cfg.Flush.Count),
		trouble:  sampler{log: o.log},
		recovery: sampler{log: o.log},
		burial:   sampler{log: o.log},
		dead:     newDeadLetters(o.cfg.DeadLetter, o.cfg.Name, o.format.ContentType),
	}
}

// run carries until it is told to stop and has delivered all, or the work ends.
func (c *courier) run() error {
	for c.open() {
		recs, frames := c.next()
		if len(recs) == 0 || !c.deliver(recs, frames) {
			break
		}
		c.o.queue.release()
	}
	return c.err
}

// open makes the sink ready, as often as it takes. A broker that is away when
// the service starts is like one that goes away later.
func (c *courier) open() bool {
	for !c.opened {
		if c.over() || c.stopping && c.idle() {
			return false
		}
		err := c.o.sink.Open(c.work)
		class, _ := judge(err)
		if class == Split || class == Poison {
			class = Retry // there are no records yet that could be meant
		}
		if err == nil {
			c.opened = true
			c.o.ledger.attempt(Retry, nil)
			break
		}
		if !c.failed(class, err) {
			return false
		}
		c.pause(class)
	}
	return true
}

// idle reports whether nothing waits, nor a gap that could be told.
func (c *courier) idle() bool {
	n, _ := c.o.queue.waiting()
	return n == 0 && !c.o.putGap()
}

// next waits for a batch. It gives none when it is time to end.
func (c *courier) next() ([]Record, []frames) {
	flush, first := c.o.cfg.Flush, time.Time{}
	for !c.over() {
		n, size := c.o.queue.waiting()
		lingered := time.Duration(0)
		if n > 0 && first.IsZero() {
			first = time.Now()
		} else if n > 0 {
			lingered = time.Since(first)
		}
		switch {
		case n == 0 && c.o.putGap():
		case n == 0 && c.stopping:
			return nil, nil
		case n == 0:
			c.sleep(-1, c.o.wake)
		case c.stopping, lingered >= flush.Linger, c.o.enough(mark{recs: uint64(n), bytes: size}):
			return c.o.queue.take(flush.Count, uint64(flush.Bytes))
		default:
			c.sleep(flush.Linger-lingered, c.o.wake)
		}
	}
	return nil, nil
}

// over reports whether the work has ended.
func (c *courier) over() bool { return c.work.Err() != nil }

// sleep waits for d, without end if d is negative, or until wake, if it is
// given, or the spool says so, the stop (once) or the end of the work.
func (c *courier) sleep(d time.Duration, wake <-chan struct{}) {
	var timeout <-chan time.Time
	if d >= 0 {
		c.timer.Reset(d)
		timeout = c.timer.C
	}
	stop := c.stop
	if c.stopping {
		stop = nil
	}
	woken := c.o.woken
	if wake == nil {
		woken = nil
	}
	select {
	case <-wake:
	case <-woken:
	case <-timeout:
	case <-stop:
		c.stopping = true
	case <-c.work.Done():
	}
	c.timer.Stop()
}

// failed enters a failed attempt into the books and the log. It answers false
// when there must be no other attempt.
func (c *courier) failed(class Class, err error) bool {
	if c.over() {
		return false // the sink was cut short; that is no failure of its own
	}
	c.o.ledger.attempt(class, err)
	if errors.Is(err, ErrReaderGone) {
		c.err = err
		return false
	}
	switch class {
	case Configuration:
		c.trouble.tell(slog.LevelError, "sink cannot work until its configuration or the other side is mended", "err", err)
	case Retry:
		c.trouble.tell(slog.LevelWarn, "sink failed, will try again", "err", err)
	}
	return true
}

// worked notes that records got through.
func (c *courier) worked() {
	if c.failures > 0 {
		c.recovery.tell(slog.LevelInfo, "sink works again", "failures", c.failures)
	}
	c.failures = 0
}

// pause waits before the next attempt. A stop cuts the wait short: the sink
// gets one attempt at once, and more for as long as it may drain.
func (c *courier) pause(class Class) {
	retry := c.o.cfg.Retry
	limit := retry.Max
	if shifted := retry.Initial << min(c.failures, 32); shifted > 0 && shifted < limit {
		limit = shifted
	}
	wait := limit
	if class == Configuration {
		wait = retry.Max
	} else {
		// Full jitter: many nodes that lost the same broker must not come back together.
		wait = rand.N(limit)
	}
	c.failures++
	c.sleep(wait, nil)
}
