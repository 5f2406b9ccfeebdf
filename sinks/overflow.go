package sinks

import "sync"

// overflow is the queue of an outlet whose records go to disk only while its
// memory is full. What waits stands in three parts, each younger than the one
// before: what was read from the disk already, the memory, and what is on disk
// still. While it spills, nothing is put into memory; it ends that when only
// the first part is left: no record is in memory or on disk, nor on its way there.
//
// The producer alone begins to spill and the courier alone ends it, so neither
// is surprised by the other in the midst of a batch.
type overflow struct {
	o      *Outlet
	memory *memory
	b      *backlog
	valve  *valve

	closed     bool // memory is for nobody any more; guarded by Outlet.producing
	spilling   bool // guarded by valve.mu
	fromMemory bool // the courier's: what take gave last
}

// valve counts what is on its way to the disk. An outlet shares it with the one
// that comes in its place, which must not overtake it.
type valve struct {
	mu       sync.Mutex
	underway int    // batches that are being packed, and parcels not yet written
	claims   uint64 // batches that went that way, ever
}

func newOverflow(o *Outlet) *overflow {
	q := &overflow{o: o, b: o.backlog, valve: &valve{}}
	o.memory = o.newMemory()
	q.memory, q.b.memory = o.memory, o.memory
	return q
}

// succeed begins in the place of another: on the disk, behind all that it has there.
func (q *overflow) succeed(before *overflow) {
	q.spilling = true
	if before != nil {
		q.valve = before.valve
	}
}

// claim reports whether a batch is for the disk; then landed must follow.
func (q *overflow) claim() bool {
	q.valve.mu.Lock()
	defer q.valve.mu.Unlock()
	if q.spilling {
		q.valve.claims++
		q.valve.underway++
	}
	return q.spilling
}

// spill begins with a batch that is claimed.
func (q *overflow) spill() {
	q.valve.mu.Lock()
	q.spilling = true
	q.valve.mu.Unlock()
	q.claim()
}

// push notes a parcel that is given to the store; landed must follow.
func (q *overflow) push() {
	q.valve.mu.Lock()
	q.valve.underway++
	q.valve.mu.Unlock()
}

// landed notes that a claimed batch is packed, or a parcel written or lost.
func (q *overflow) landed() {
	q.valve.mu.Lock()
	q.valve.underway--
	quiet := q.valve.underway == 0
	q.valve.mu.Unlock()
	if quiet {
		q.o.rouse() // it may be the moment to go back to memory
	}
}

// offer puts all records into memory, or none and begins to spill. They are given
// as pieces too where these may be shared.
func (q *overflow) offer(recs []Record, pieces []piece) (fill float64, taken bool) {
	o := q.o
	o.producing.Lock()
	defer o.producing.Unlock()
	q.memory.begin()
	if q.closed || !q.put(recs, pieces) {
		q.spill()
		return 0, false
	}
	if o.front.count > 0 {
		o.loss.join(&o.front) // the courier tells it, before these records
	}
	o.ledger.offer(uint64(len(recs)+lenOf(pieces)), 0)
	return o.commit(), true
}

func (q *overflow) put(recs []Record, pieces []piece) bool {
	if len(pieces) > 0 {
		return q.memory.share(pieces)
	}
	try := q.memory.try()
	for i := range recs {
		if !q.memory.put(&recs[i]) {
			q.memory.undo(try)
			return false
		}
	}
	return true
}

func (q *overflow) waiting() (records int, size uint64) {
	dry := q.b.fill()
	n, inMemory := q.memory.waiting()
	if dry && n == 0 {
		q.ebb() // which may be the time for the producer to begin with memory again
		n, inMemory = q.memory.waiting()
	}
	if n > 0 && q.b.empty() && !q.spills() {
		q.b.putGap() // what was lost is older than what is in memory
	}
	return n + len(q.b.recs) - q.b.given, inMemory + q.b.bytes
}

func (q *overflow) spills() bool {
	q.valve.mu.Lock()
	defer q.valve.mu.Unlock()
	return q.spilling
}

// ebb goes back to memory if nothing is on disk that was not read, nor on its
// way there, while no batch is claimed. It looks at the disk without the lock,
// for the reader of events waits for that.
func (q *overflow) ebb() {
	v := q.valve
	v.mu.Lock()
	ready, claims := q.spilling && v.underway == 0, v.claims
	v.mu.Unlock()
	if !ready || !q.b.fill() {
		return
	}
	v.mu.Lock()
	ready = v.claims == claims
	if ready {
		q.spilling = false
	}
	v.mu.Unlock()
	if ready {
		q.b.putGap()
	}
}

func (q *overflow) take(count int, size uint64) ([]Record, []frames) {
	if q.fromMemory = q.b.empty(); !q.fromMemory {
		return q.b.take(count, size)
	}
	recs, frames := q.memory.take(count, size)
	if n := len(recs); n > 0 {
		q.b.passed(&recs[n-1])
	}
	return recs, frames
}

func (q *overflow) release() {
	if q.fromMemory {
		q.memory.release()
		return
	}
	q.b.release()
}

func (q *overflow) leave(uint64) uint64 { return 0 }

// bequeath leaves everything to whoever takes over. A sink whose reader has gone does so
// while events still come: what does is for the disk.
func (q *overflow) bequeath(left []Record) {
	q.o.producing.Lock()
	q.closed = true
	q.o.producing.Unlock()
	if q.fromMemory {
		q.b.bequeath(nil, left)
		return
	}
	q.b.bequeath(left, nil)
}

// strand writes off what is in memory, with a sink that is stuck for good.
func (q *overflow) strand() {
	n, _ := q.memory.waiting()
	q.o.ledger.strand(uint64(n))
}
