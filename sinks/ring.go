package sinks

import (
	"sync"
	"unsafe"
)

// queue is where an outlet's records wait for its courier. The ring is one; a
// reader of the spool will be another, and this is all that it has to be.
type queue interface {
	// waiting tells how many records, and bytes of them, take could give. It never blocks.
	waiting() (records int, bytes uint64)
	// take gives the oldest records, at most count, and at most bytes unless the
	// first alone is larger. They and the slice are the caller's, who may change
	// both, until release; it calls release before it calls take again.
	take(count int, bytes uint64) []Record
	// release gives back what take gave last: its fate is in the books.
	release()
	// leave ends the queue's life. held is how many records nobody has
	// delivered; leave answers how many of them are lost: all where they
	// were in memory, none where they wait on disk for the next run.
	leave(held uint64) (lost uint64)
}

// ring is a bounded queue in memory with one producer and one consumer. A
// record's bytes stand in one piece, so that the consumer needs no copy: where
// the end of the ring is too short for a record, it is left empty.
//
// Positions only ever grow; where something stands is the position modulo the
// size. The producer copies into free space without the lock, which guards the
// positions alone and is held for a few instructions.
type ring struct {
	data []byte
	recs []Record

	mu    sync.Mutex
	head  mark // where the producer goes on
	tail  mark // the oldest that is not released
	taken mark // the end of what take gave
}

// mark is a place in both of a ring's rows, and the bytes of all records before it.
type mark struct {
	data, recs, bytes uint64
}

// since is what lies between an earlier mark and this one.
func (m mark) since(o mark) mark {
	return mark{data: m.data - o.data, recs: m.recs - o.recs, bytes: m.bytes - o.bytes}
}

const recordSize = uint64(unsafe.Sizeof(Record{}))

// newRing makes a ring that never uses more than memory bytes, of which one
// quarter is for the headers: that is in balance for records of some 200
// bytes, which is what the smallest format makes; larger ones run out of bytes first.
func newRing(memory uint64) *ring {
	n := memory / 4 / recordSize
	return &ring{data: make([]byte, memory-n*recordSize), recs: make([]Record, n)}
}

// writer is the producer's view of a ring between begin and commit. Copies of
// it are attempts: only the one that is committed counts.
type writer struct {
	r    *ring
	head mark
	tail mark
}

// begin starts to write. An empty ring starts again at its beginning, so that
// a quiet sink's records stay in the processor's cache.
func (r *ring) begin() writer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.head == r.tail {
		r.head, r.tail, r.taken = mark{}, mark{}, mark{}
	}
	return writer{r: r, head: r.head, tail: r.tail}
}

// commit makes what was put visible to the consumer. It tells what the
// consumer saw until then and what it sees now: a consumer that waits needs to
// be woken only when the difference matters to it.
func (r *ring) commit(w writer) (before, after mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, after = r.head.since(r.tail), w.head.since(r.tail)
	r.head = w.head
	return before, after
}

// place gives where a record of n bytes stands if it comes behind pos.
func (r *ring) place(pos, n uint64) uint64 {
	size := uint64(len(r.data))
	if rest := size - pos%size; rest < n {
		return pos + rest
	}
	return pos
}

// fits reports whether a record of n bytes has room.
func (w *writer) fits(n uint64) bool {
	if w.head.recs-w.tail.recs == uint64(len(w.r.recs)) {
		return false
	}
	return w.r.place(w.head.data, n)+n-w.tail.data <= uint64(len(w.r.data))
}

// put copies a record, or reports that there is no room.
func (w *writer) put(rec *Record) bool {
	n := uint64(len(rec.whole()))
	if !w.fits(n) {
		return false
	}
	at := w.r.place(w.head.data, n)
	off := at % uint64(len(w.r.data))
	slot := &w.r.recs[w.head.recs%uint64(len(w.r.recs))]
	*slot = *rec
	slot.Value = w.r.data[off : off+uint64(len(rec.Value)) : off+n]
	copy(slot.whole(), rec.whole())
	w.head = mark{data: at + n, recs: w.head.recs + 1, bytes: w.head.bytes + n}
	return true
}

// fill tells how full the ring is, by bytes or by records, whichever is more.
func (w *writer) fill() float64 {
	used := w.head.since(w.tail)
	return max(float64(used.data)/float64(len(w.r.data)), float64(used.recs)/float64(len(w.r.recs)))
}

func (r *ring) waiting() (int, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	there := r.head.since(r.tail)
	return int(there.recs), there.bytes
}

// take gives a run of records in one piece, so it also ends where the row of
// headers does.
func (r *ring) take(count int, bytes uint64) []Record {
	r.mu.Lock()
	from, head := r.tail, r.head
	r.mu.Unlock()
	if from == head {
		// The producer may start the empty ring again meanwhile, so nothing is noted.
		return nil
	}
	first := from.recs % uint64(len(r.recs))
	room := min(head.recs-from.recs, uint64(len(r.recs))-first, uint64(count))
	to := from
	for i := range room {
		n := uint64(len(r.recs[first+i].whole()))
		if i > 0 && to.bytes-from.bytes+n > bytes {
			break
		}
		to = mark{data: r.place(to.data, n) + n, recs: to.recs + 1, bytes: to.bytes + n}
	}
	r.mu.Lock()
	r.taken = to
	r.mu.Unlock()
	return r.recs[first : first+to.recs-from.recs]
}

func (r *ring) release() {
	r.mu.Lock()
	r.tail = r.taken
	r.mu.Unlock()
}

func (r *ring) leave(held uint64) uint64 { return held }
