package sinks

import (
	"log/slog"
	"time"
)

// deliver sees a batch through: it answers true when the fate of every record
// is in the books. Order is kept: nothing is written before what stands ahead
// of it has been settled, but for what the sink itself acknowledged.
//
// recs are the queue's own slots, which are the courier's until release, so
// what is left over is moved together in place.
func (c *courier) deliver(recs []Record, frames []frames) bool {
	c.left = recs
	limit := len(recs) // how many at once; a sink that says Split halves it for the rest of the batch
	for len(recs) > 0 {
		if !c.open() {
			return false
		}
		n := min(limit, len(recs))
		err := c.write(recs[:n], frames)
		frames = nil // of what is left over they may be others
		if err == nil {
			c.settle(recs[:n], true)
			recs = recs[n:]
			c.left = recs
			continue
		}
		class, e := judge(err)
		buried := 0
		if class == Poison {
			buried = c.buryNamed(recs[:n], e)
		}
		left := c.settle(recs[:n], false)
		recs = recs[n-left:]
		c.left = recs
		if !c.failed(class, err) {
			return false
		}
		c.opened = c.opened && (e == nil || !e.Reopen)
		switch {
		case left == 0 || buried > 0:
		case class == Split && left == 1:
			c.bury(&recs[0], err)
			recs = recs[1:]
			c.left = recs
		case class == Split:
			limit = (left + 1) / 2
		default:
			c.o.ledger.retry()
			c.pause(class)
		}
	}
	return true
}

// write gives a batch to the sink. The marks of what is done are clear before.
func (c *courier) write(recs []Record, frames []frames) error {
	done := c.done[:len(recs)]
	clear(done)
	c.batch = Batch{Records: recs, frames: frames, done: done}
	begun := time.Now()
	err := c.o.sink.Write(c.work, &c.batch)
	c.o.ledger.wrote(time.Since(begun))
	return err
}

// settle enters what was delivered into the books and moves the other records,
// in their order, to the end. It answers how many those are.
func (c *courier) settle(recs []Record, all bool) (left int) {
	var n, bytes, last uint64
	free := len(recs)
	for i := len(recs) - 1; i >= 0; i-- {
		switch {
		case all || c.done[i]:
			n++
			bytes += uint64(len(recs[i].Value))
			last = max(last, recs[i].Seq)
		case recs[i].Value == nil: // buried
		default:
			free--
			recs[free] = recs[i]
		}
	}
	if n > 0 {
		c.o.ledger.deliver(n, bytes, last)
		c.worked()
	}
	if all {
		c.o.ledger.attempt(Retry, nil)
	}
	return len(recs) - free
}

// buryNamed buries the records that the error names, or all that are not done.
func (c *courier) buryNamed(recs []Record, e *Error) (buried int) {
	named := e.Poison
	if len(named) == 0 {
		for i := range recs {
			named = append(named, i)
		}
	}
	for _, i := range named {
		if i < 0 || i >= len(recs) || c.done[i] || recs[i].Value == nil {
			continue
		}
		c.bury(&recs[i], e)
		recs[i].Value = nil
		buried++
	}
	return buried
}

// bury gives up a record: into the dead-letter file if it can be.
func (c *courier) bury(rec *Record, cause error) {
	why, err := c.dead.add(rec, cause)
	if err == nil && why == reasons {
		c.o.ledger.bury()
		c.burial.tell(slog.LevelError, "record refused for good, kept in the dead-letter file", "seq", rec.Seq, "cause", cause)
		return
	}
	c.o.ledger.drop(why)
	c.o.lose(rec, why)
	c.burial.tell(slog.LevelError, "record refused for good, dropped", "reason", why, "seq", rec.Seq, "cause", cause, "err", err)
}
