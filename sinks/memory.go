package sinks

import (
	"sync"
	"unsafe"

	"github.com/ctferry/ctferry/encode"
)

// queue is where an outlet's records wait for its courier: in memory, on disk, or both.
type queue interface {
	// waiting tells how many records, and bytes of them, take could give. It never blocks.
	waiting() (records int, bytes uint64)
	// take gives the oldest records, at most count, and at most bytes unless the
	// first alone is larger. The slice is the caller's, who may change it, until
	// release; the records' bytes are only lent. The caller calls release before it
	// calls take again. frames are the same records as they stand in a file, where the
	// queue has them so.
	take(count int, bytes uint64) (recs []Record, frames []frames)
	// release gives back what take gave last: its fate is in the books.
	release()
	// leave ends the queue's life. held is how many records nobody has
	// delivered; leave answers how many of them are lost: all where they
	// were in memory, none where they wait on disk for the next run.
	leave(held uint64) (lost uint64)
}

// frames are records as they stand in a file, one behind the other.
type frames struct {
	records int
	bytes   []byte
}

// memory is a bounded queue with one producer and one consumer. It holds pieces of
// segments: of those that others hold too, where the producer shares what was encoded
// for several, and of its own, into which it copies. What counts is what it binds:
// each segment of which it holds a piece, whole.
type memory struct {
	limit uint64

	// The producer's.
	own   segmentWriter
	fresh []piece     // since begin
	room  uint64      // less than there is: the consumer may have made more
	at    [2]*segment // the newest that it holds, its own and the shared

	// The consumer's.
	out    []Record
	frames []frames
	scraps []piece // that out is of
	taken  mark

	mu     sync.Mutex // guards the fields below
	pieces []piece
	first  int       // of pieces; those before have been released
	past   uint64    // pieces that were released, ever
	newest [2]uint64 // the number of the newest piece, of its own and of the shared, from 1 on
	held   mark
	cost   uint64
}

// mark is an amount of records, and the bytes of their frames.
type mark struct{ recs, bytes uint64 }

const recordSize = uint64(unsafe.Sizeof(Record{}))

// newMemory makes a queue that binds no more than so many bytes, in segments of the
// given size where it copies. Spare segments (spareMost) come on top.
func newMemory(bytes uint64, segment int, framing encode.Framing, bare bool) *memory {
	return &memory{limit: bytes, own: newSegmentWriter(segment, framing, bare)}
}

// begin starts to put; commit must follow, unless nothing was put.
func (m *memory) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.room = m.limit - min(m.cost, m.limit)
	for of := range m.at {
		m.at[of] = nil
		if p := m.newestOf(of); p != nil {
			m.at[of] = p.seg
		}
	}
}

// newestOf is the newest piece of a kind of segments, nil if none is held; mu is held.
func (m *memory) newestOf(kind int) *piece {
	if m.newest[kind] <= m.past {
		return nil
	}
	return &m.pieces[m.first+int(m.newest[kind]-m.past)-1]
}

// kind is the place of a piece's segments in the rows of both.
func (p *piece) kind() int {
	if p.shared {
		return 1
	}
	return 0
}

// need is what a record of so many bytes, framed, would bind.
func (m *memory) need(framed int) uint64 {
	switch {
	case !m.own.takes(framed):
		return m.own.next(framed)
	case m.own.seg != m.at[0]:
		return m.own.seg.cost()
	}
	return 0
}

// fits reports whether there is room for records of so many bytes together.
func (m *memory) fits(framed int) bool { return m.need(framed) <= m.room }

// put copies a record, or reports that there is no room.
func (m *memory) put(rec *Record) bool {
	n := m.own.framed(rec)
	if !m.fits(n) {
		return false
	}
	m.room -= m.need(n)
	p := m.own.copy(rec)
	m.at[p.kind()] = p.seg
	m.fresh = joined(m.fresh, p)
	return true
}

// share takes records as they stand in segments that others may hold, all or none.
func (m *memory) share(pieces []piece) bool {
	at, cost := m.at[1], uint64(0)
	for i := range pieces {
		if pieces[i].seg != at {
			at = pieces[i].seg
			cost += at.cost()
		}
	}
	if cost > m.room {
		return false
	}
	m.room -= cost
	m.at[1] = at
	for _, p := range pieces {
		p.shared = true
		m.fresh = joined(m.fresh, p)
	}
	return true
}

// attempt is where the producer stood.
type attempt struct {
	fresh int
	last  piece
	room  uint64
	at    [2]*segment
}

func (m *memory) try() attempt {
	a := attempt{fresh: len(m.fresh), room: m.room, at: m.at}
	if a.fresh > 0 {
		a.last = m.fresh[a.fresh-1]
	}
	return a
}

// undo takes back what was put since. What it took of the segment stays unused.
func (m *memory) undo(a attempt) {
	m.fresh, m.room, m.at = m.fresh[:a.fresh], a.room, a.at
	if a.fresh > 0 {
		m.fresh[a.fresh-1] = a.last
	}
}

// commit makes what was put visible to the consumer. It tells what the consumer saw
// until then and what it sees now: a consumer that waits needs to be woken only when
// the difference matters to it.
func (m *memory) commit() (before, after mark) {
	m.mu.Lock()
	before = m.held
	m.pack()
	for i := range m.fresh {
		m.push(m.fresh[i])
	}
	after = m.held
	m.mu.Unlock()
	m.fresh = m.fresh[:0]
	m.own.settle()
	return before, after
}

// push appends a piece, which is held from now on; mu is held. The newest of a
// segment's pieces counts for all of it.
func (m *memory) push(p piece) {
	m.held.recs += uint64(p.len())
	m.held.bytes += uint64(p.size())
	kind := p.kind()
	if last := m.newestOf(kind); last == nil || last.seg != p.seg {
		p.charge = p.seg.cost()
		m.cost += p.charge
	} else if m.newest[kind] == m.past+uint64(len(m.pieces)-m.first) && last.join(p) {
		return
	} else {
		p.charge, last.charge = last.charge, 0
	}
	p.seg.hold()
	m.pieces = append(m.pieces, p)
	m.newest[kind] = m.past + uint64(len(m.pieces)-m.first)
}

// pack moves the pieces to the front when half of the slice is free; mu is held.
func (m *memory) pack() {
	if m.first*2 >= len(m.pieces) {
		n := copy(m.pieces, m.pieces[m.first:])
		clear(m.pieces[n:])
		m.pieces, m.first = m.pieces[:n], 0
	}
}

// fill tells how full the queue was when begin was called, with what was put since.
func (m *memory) fill() float64 { return float64(m.limit-m.room) / float64(m.limit) }

func (m *memory) waiting() (int, uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int(m.held.recs), m.held.bytes
}

// untaken is how many records take has not given yet.
func (m *memory) untaken() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held.recs - m.taken.recs
}

func (m *memory) take(count int, bytes uint64) ([]Record, []frames) {
	m.glance(count)
	m.out, m.frames, m.taken = m.out[:0], m.frames[:0], mark{}
	for i := range m.scraps {
		if p := &m.scraps[i]; !m.takeOf(p, count, bytes) {
			break
		}
	}
	if m.own.bare {
		return m.out, nil
	}
	return m.out, m.frames
}

// glance notes the oldest pieces, as many as may be needed for count records. What
// stands in them does not change.
func (m *memory) glance(count int) {
	m.scraps = m.scraps[:0]
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := m.first; i < len(m.pieces) && count > 0; i++ {
		m.scraps = append(m.scraps, m.pieces[i])
		count -= m.pieces[i].len()
	}
}

// takeOf takes of a piece what is within the limits, and reports whether that was all.
func (m *memory) takeOf(p *piece, count int, bytes uint64) bool {
	recs, size := p.records(), p.size()
	if room := count - len(m.out); len(recs) > room || m.taken.bytes+uint64(size) > bytes {
		n := 0
		for size = 0; n < min(len(recs), room); n++ {
			next := m.own.framed(&recs[n])
			if m.taken.bytes+uint64(size+next) > bytes && len(m.out)+n > 0 {
				break
			}
			size += next
		}
		recs = recs[:n]
	}
	if len(recs) == 0 {
		return false
	}
	m.out = append(m.out, recs...)
	m.frames = append(m.frames, frames{len(recs), p.frames()[:size]})
	m.taken.recs += uint64(len(recs))
	m.taken.bytes += uint64(size)
	return len(recs) == p.len()
}

func (m *memory) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held.recs -= m.taken.recs
	m.held.bytes -= m.taken.bytes
	for m.taken.recs > 0 {
		p := &m.pieces[m.first]
		if n := uint64(p.len()); n > m.taken.recs {
			p.rec += int(m.taken.recs)
			p.at += int(m.taken.bytes)
			break
		}
		m.taken.recs -= uint64(p.len())
		m.taken.bytes -= uint64(p.size())
		m.cost -= p.charge
		p.seg.letGo()
		*p = piece{}
		m.first++
		m.past++
	}
	m.taken = mark{}
}

func (m *memory) leave(held uint64) uint64 { return held }
