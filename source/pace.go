package source

import (
	"time"

	"github.com/ctferry/ctferry/source/ctnetlink"
)

// The rhythm of reading: a full batch means again at once, a short one a pause
// in which the kernel gathers the next, two empty ones a wait until something
// comes. A pause costs no event as long as the buffer has room for what comes
// meanwhile; it costs latency, half of it on average. Each round costs the same
// whatever it brings, so where there is much to do the pause is longer.
const (
	batchSlots  = 64               // so few that they, and what is made of them, stay in the processor's nearest caches
	lookSlots   = 4 * batchSlots   // events that may be read at once between two looks at how full the buffer is
	pause       = time.Millisecond // the least, and between looks at other things
	steadyTime  = 2 * time.Millisecond
	busyTime    = 10 * time.Millisecond
	rateTime    = 50 * time.Millisecond // over which the rate is taken, at least
	busyRate    = 130_000               // events a second from which on a pause is of busyTime
	calmRate    = 110_000               // and below which no more
	peakRate    = 250_000               // more than a processor has been seen to raise; a pause must not fill a quarter of the buffer at that
	idleRounds  = 2
	yieldRounds = 16 // full batches, after which others may run, where there is no end of them
)

// beat is the longest that an idle reader waits, and so how often an idle
// socket's account is made.
const beat = time.Second

// toBeat is how long it is to the next beat. Whatever is done once a second is
// done on the beat: what is idle then wakes once for all of it.
func (s *Source) toBeat() time.Duration { return beat - time.Since(s.begun)%beat }

// pace sets the reader's pauses by what it reads.
type pace struct {
	events uint64 // read since it paused last
	idle   int    // empty rounds in a row
	busy   bool

	since time.Time // from when on the rate is taken
	count uint64    // events that were read in that time
}

// read notes how many events a read brought.
func (p *pace) read(n int) {
	p.events += uint64(n)
	if n > 0 {
		p.idle = 0
	}
}

// next is how long to pause at a time when nothing more is waiting, with a buffer
// of so many bytes; wait tells that there has been nothing for so long that the
// next event is to be waited for.
func (p *pace) next(now time.Time, buffer uint64) (d time.Duration, wait bool) {
	if p.events == 0 {
		if p.idle++; p.idle > idleRounds {
			p.since, p.busy = time.Time{}, false
			p.events = 0
			return 0, true
		}
	}
	p.count += p.events
	p.events = 0
	d = steadyTime
	if p.judge(now); p.busy {
		d = busyTime
	}
	room := time.Duration(buffer/ctnetlink.EventCost/4) * time.Second / peakRate
	return max(min(d, room), pause), false
}

// judge looks at the rate of the last while: events come in heaps, and a single pause
// would see the rate of one.
func (p *pace) judge(now time.Time) {
	took := now.Sub(p.since)
	switch {
	case p.since.IsZero():
	case took < rateTime:
		return
	default:
		rate := float64(p.count) / took.Seconds()
		p.busy = rate >= busyRate || p.busy && rate >= calmRate
	}
	p.since, p.count = now, 0
}
