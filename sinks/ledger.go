package sinks

import (
	"sync"
	"time"

	"github.com/ctferry/ctferry/sinks/spool"
	"github.com/ctferry/ctferry/source/flow"
)

// reason says why a record was dropped.
type reason uint8

// The reasons, in the order in which the books list them.
const (
	dropMemory         reason = iota // the queue was full
	dropPoison                       // never acceptable, and no dead-letter file is configured
	dropDeadLetterFull               // never acceptable, and the dead-letter file is at its bound
	dropDeadLetter                   // never acceptable, and the dead-letter file could not be written
	dropShutdown                     // not delivered when the time to drain was over
	dropDisk                         // the spool could not store it
	dropSpool                        // the spool was full, and this was the oldest
	dropDamage                       // the spool could not be read there
	dropUnwanted                     // offered before a reload, and no longer wanted after it
	reasons
)

var reasonNames = [reasons]string{"memory", "poison", "dead_letter_full", "dead_letter_error", "shutdown",
	"spool_error", "spool_full", "spool_damaged", "unwanted"}

// String gives the reason's name, as it stands in metrics and gap records.
func (r reason) String() string { return reasonNames[r] }

// ledger keeps one sink's books. Every entry leaves them balanced, so whoever
// reads them, at any moment, sees them so.
type ledger struct {
	name   string
	stored bool // what is held waits on disk: nothing is lost by a stop, and the books stay open

	mu      sync.Mutex
	closed  bool // what was held has been written off: what settles now is in the books already
	count   flow.SinkBooks
	dropped [reasons]uint64
	errors  [len(classNames)]uint64
	seen    [feeds]spool.Losses // those of the spool that are in the books
	health  Health
}

// Health is when things last happened to a sink, and how long they take. It is
// no part of the books.
type Health struct {
	LastSuccess time.Time     // the other side acknowledged something; zero: never
	LastError   time.Time     // an attempt failed; zero: never
	Writes      uint64        // batches given to the sink, whatever became of them
	WriteTime   time.Duration // that these took, together
}

// offer enters n records of which lost found no room.
func (l *ledger) offer(n, lost uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count.Offered += n
	if l.closed {
		l.dropped[dropShutdown] += n
		return
	}
	l.count.Held += n - lost
	l.dropped[dropMemory] += lost
}

// deliver enters records that the other side has acknowledged.
func (l *ledger) deliver(n, bytes, lastSeq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.count.Held -= n
	l.count.Delivered += n
	l.count.Bytes += bytes
	l.count.LastSeq = max(l.count.LastSeq, lastSeq)
	l.health.LastSuccess = time.Now()
}

// wrote notes how long the sink took over a batch.
func (l *ledger) wrote(took time.Duration) {
	l.mu.Lock()
	l.health.Writes++
	l.health.WriteTime += took
	l.mu.Unlock()
}

// bury enters a record that was held and went to the dead-letter file.
func (l *ledger) bury() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.count.Held--
	l.count.DeadLettered++
}

// drop enters a record that was held and is lost.
func (l *ledger) drop(why reason) { l.dropMany(why, 1) }

// dropMany is drop for n records.
func (l *ledger) dropMany(why reason, n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.count.Held -= n
	l.dropped[why] += n
}

// recover enters records that an earlier run, or an earlier configuration of
// the sink, has left in the spool.
func (l *ledger) recover(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.count.Recovered += n
	l.count.Held += n
}

// shrink corrects the books by n records of the spool that the sink does not
// want as it is now: recover entered them, or an offer before a reload.
func (l *ledger) shrink(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	recovered := min(n, l.count.Recovered)
	l.count.Held -= n
	l.count.Recovered -= recovered
	l.dropped[dropUnwanted] += n - recovered
}

// notice enters what the spool has lost of a feed since the last time.
func (l *ledger) notice(of feed, now spool.Losses) (full, damaged uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := &l.seen[of]
	full = now.Dropped.Records - min(seen.Dropped.Records, now.Dropped.Records)
	damaged = now.Damaged.Records - min(seen.Damaged.Records, now.Damaged.Records)
	if l.closed && full+damaged > l.count.Held {
		return 0, 0 // it was written off already
	}
	l.count.Held -= full + damaged
	l.dropped[dropSpool] += full
	l.dropped[dropDamage] += damaged
	if full+damaged > 0 {
		*seen = now
	}
	return full, damaged
}

// begin notes what a feed had lost before anything of it was in the books.
func (l *ledger) begin(of feed, lost spool.Losses) {
	l.mu.Lock()
	l.seen[of] = lost
	l.mu.Unlock()
}

// forgo enters n records as dropped by the spool, for all that lost says: the
// others of it have their fate already.
func (l *ledger) forgo(of feed, n uint64, lost spool.Losses) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.count.Held -= n
	l.dropped[dropSpool] += n
	l.seen[of].Dropped.Records += lost.Dropped.Records
	l.seen[of].Damaged.Records += lost.Damaged.Records
}

// strand writes off n records that were in memory alone, with a sink that never
// came back; the books are closed then.
func (l *ledger) strand(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	l.count.Held -= n
	l.dropped[dropShutdown] += n
}

// close writes off what the queue says is lost. Later entries change nothing,
// but offers, which are then lost at once.
func (l *ledger) close(q queue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count.Up = false
	if l.closed || l.stored {
		return
	}
	l.closed = true
	lost := q.leave(l.count.Held)
	l.count.Held -= lost
	l.dropped[dropShutdown] += lost
}

// abandon writes off what waits on disk for a sink that is gone for good.
func (l *ledger) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.dropped[dropShutdown] += l.count.Held
	l.count.Held = 0
}

// attempt notes how the last attempt to reach the other side ended.
func (l *ledger) attempt(class Class, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count.Up = err == nil
	if err != nil {
		l.errors[class]++
		l.count.LastError = err.Error()
		l.health.LastError = time.Now()
	}
}

func (l *ledger) retry() {
	l.mu.Lock()
	l.count.Retries++
	l.mu.Unlock()
}

// books gives a copy of the account as it is now. Every reason and every class
// is in it, at zero too.
func (l *ledger) books() flow.SinkBooks {
	l.mu.Lock()
	b, dropped, errs := l.count, l.dropped, l.errors
	l.mu.Unlock()
	b.Name = l.name
	b.Dropped = make([]flow.Drop, 0, len(dropped))
	for why, n := range dropped {
		b.Dropped = append(b.Dropped, flow.Drop{Reason: reason(why).String(), Count: n})
	}
	b.Errors = make([]flow.Drop, 0, len(errs))
	for class, n := range errs {
		b.Errors = append(b.Errors, flow.Drop{Reason: Class(class).String(), Count: n})
	}
	return b
}
