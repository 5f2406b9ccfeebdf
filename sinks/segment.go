package sinks

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// A segment is a run of records, one behind the other as they stand in a file, and
// their headers. What was written never changes, so several queues may hold parts of
// it while its writer goes on behind them; the last that lets go gives it back.
type segment struct {
	data  []byte // written or not; only its writer knows how far
	recs  []Record
	holds atomic.Int32 // its writer, while it writes, and each queue's piece
	home  *segmentPool // nil: made for one record that is too long for others
}

func (s *segment) hold() { s.holds.Add(1) }

func (s *segment) letGo() {
	if s.holds.Add(-1) == 0 && s.home != nil {
		s.home.put(s)
	}
}

// The sizes of segments. Smaller ones keep a small queue from being bound up by its
// last records; larger ones would not be cheaper.
const (
	maxSegment   = 256 << 10
	minSegment   = 256
	segmentShare = 64      // of a queue's memory
	encodeRoom   = 5 << 10 // bytes that an encoder finds to write into: it asks for more than a record takes
	slimRecord   = 192     // bytes; a record takes the room of so many at least: there are no more headers
	spareMost    = 32      // segments that are kept for use again, beside those in queues
	sparePeriod  = 1024    // segments, after which a pool looks whether it has too many
)

// segmentSize is how long the segments of a queue of so many bytes are.
func segmentSize(memory uint64) int {
	return int(min(max(memory/segmentShare, minSegment), maxSegment))
}

// cost is the segment's memory, headers and all.
func (s *segment) cost() uint64 { return segmentCost(len(s.data), len(s.recs)) }

func segmentCost(data, recs int) uint64 { return uint64(data) + uint64(recs)*recordSize }

// segmentPool keeps segments that nobody holds, for whoever needs one: the one
// that was in use last first, because it may be in the processor's cache. Those that
// have not been needed for a while are let go, a few at a time.
type segmentPool struct {
	size int

	mu    sync.Mutex
	spare []*segment
	gets  int // since spare was looked over
	least int // that spare has held since then
}

func (p *segmentPool) get() *segment {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.spare)
	p.least = min(p.least, n)
	if p.gets++; p.gets == sparePeriod {
		p.shrink()
		n = len(p.spare)
	}
	if n == 0 {
		return &segment{data: make([]byte, p.size), recs: make([]Record, p.headers()), home: p}
	}
	s := p.spare[n-1]
	p.spare[n-1] = nil
	p.spare = p.spare[:n-1]
	return s
}

// shrink lets go of half of those that were not needed; mu is held.
func (p *segmentPool) shrink() {
	p.spare = slices.Delete(p.spare, 0, p.least/2)
	p.gets, p.least = 0, len(p.spare)
}

func (p *segmentPool) put(s *segment) {
	p.mu.Lock()
	if len(p.spare) < spareMost {
		p.spare = append(p.spare, s)
	}
	p.mu.Unlock()
}

// headers is how many records find room in a segment at most.
func (p *segmentPool) headers() int { return p.size/slimRecord + 1 }

// piece is a run of a segment's records, and of the bytes of their frames.
type piece struct {
	seg       *segment
	rec, recs int // the first, and behind the last
	at, end   int
	shared    bool   // others may hold the segment too
	charge    uint64 // what it counts of a queue's memory
}

func (p *piece) len() int { return p.recs - p.rec }

func (p *piece) size() int { return p.end - p.at }

func (p *piece) records() []Record { return p.seg.recs[p.rec:p.recs] }

func (p *piece) frames() []byte { return p.seg.data[p.at:p.end:p.end] }

// lenOf is how many records there are in pieces.
func lenOf(pieces []piece) (n int) {
	for i := range pieces {
		n += pieces[i].len()
	}
	return n
}

// joined appends a piece, to the last one if it follows that.
func joined(pieces []piece, next piece) []piece {
	if n := len(pieces); n > 0 && pieces[n-1].join(next) {
		return pieces
	}
	return append(pieces, next)
}

// join takes in what stands right behind p.
func (p *piece) join(next piece) bool {
	if p.seg != next.seg || p.recs != next.rec {
		return false
	}
	p.recs, p.end = next.recs, next.end
	return true
}

// segmentWriter writes records into segments, one segment after the other.
type segmentWriter struct {
	pool    *segmentPool
	framing encode.Framing
	bare    bool // without frames, for records that have their inside address behind them

	seg    *segment
	n      int        // records in it
	size   int        // bytes of them
	sealed []*segment // full, and held until settle

	run   []piece // whole ones since begin
	from  piece   // of which the rest begins
	apart []byte  // a record on its way into a small segment
}

func newSegmentWriter(size int, framing encode.Framing, bare bool) segmentWriter {
	return segmentWriter{pool: &segmentPool{size: size}, framing: framing, bare: bare}
}

// begin starts a run of records.
func (w *segmentWriter) begin() { w.run, w.from = w.run[:0], w.end() }

// end is where the next record will stand.
func (w *segmentWriter) end() piece {
	return piece{seg: w.seg, rec: w.n, recs: w.n, at: w.size, end: w.size}
}

// pieces are those that were written since begin, until the next.
func (w *segmentWriter) pieces() []piece {
	w.close()
	return w.run
}

// close ends the piece that is being written.
func (w *segmentWriter) close() {
	if w.n > w.from.rec {
		w.from.recs, w.from.end = w.n, w.size
		w.run = append(w.run, w.from)
		w.from = w.end()
	}
}

// encode writes an event's record, which must not be changed.
func (w *segmentWriter) encode(encoder encode.Encoder, e *flow.Event) *Record {
	if w.pool.size < 4*encodeRoom {
		return w.encodeApart(encoder, e)
	}
	if !w.takes(encodeRoom) {
		w.renew(0)
	}
	start := w.size
	out := w.seg.data[:start]
	if w.prefixed() {
		out = append(out, 0, 0) // the length of a record is mostly two bytes long
	}
	body := len(out)
	out = encoder.Append(out, e)
	inside, tail := 0, 0
	switch {
	case w.bare:
		n := len(out)
		out = appendInside(out, e)
		inside = len(out) - n
	case w.prefixed():
		out, body = prefix(out, start, body)
	default:
		out = append(out, '\n')
		tail = 1
	}
	if cap(out) != cap(w.seg.data) { // it was too long, and is elsewhere now
		long := out[start:]
		w.renew(len(long))
		out = w.seg.data[:copy(w.seg.data, long)]
		body -= start
	}
	rec, value := &w.seg.recs[w.n], len(out)-inside-tail
	rec.set(e, out[body:value:value+inside])
	w.n++
	w.size = len(out)
	return rec
}

// encodeApart is encode for segments that are so small that an encoder's room would be
// much of them.
func (w *segmentWriter) encodeApart(encoder encode.Encoder, e *flow.Event) *Record {
	w.apart = encoder.Append(w.apart[:0], e)
	n := len(w.apart)
	if w.bare {
		w.apart = appendInside(w.apart, e)
	}
	rec := recordOf(e, w.apart[:n:len(w.apart)])
	p := w.copy(&rec)
	return &w.seg.recs[p.rec]
}

// copy writes a record that was encoded elsewhere.
func (w *segmentWriter) copy(rec *Record) piece {
	n := w.framed(rec)
	if !w.takes(n) {
		w.renew(n)
	}
	start, whole := w.size, rec.whole()
	out := w.seg.data[:start]
	if w.prefixed() {
		out = binary.AppendUvarint(out, uint64(len(whole)))
	}
	body := len(out)
	out = append(out, whole...)
	if !w.bare && !w.prefixed() {
		out = append(out, '\n')
	}
	own := &w.seg.recs[w.n]
	*own = *rec
	own.Value = out[body : body+len(rec.Value) : body+len(whole)]
	w.n++
	w.size = len(out)
	return piece{seg: w.seg, rec: w.n - 1, recs: w.n, at: start, end: w.size}
}

// framed is how many bytes a record takes.
func (w *segmentWriter) framed(rec *Record) int {
	n := len(rec.whole())
	switch {
	case w.bare:
		return n
	case w.prefixed():
		return n + uvarintLen(uint64(n))
	}
	return n + 1
}

func (w *segmentWriter) prefixed() bool { return !w.bare && w.framing == encode.Delimited }

// takes reports whether a record of so many bytes, framed, finds room in the segment
// that is written now.
func (w *segmentWriter) takes(framed int) bool {
	return w.seg != nil && w.n < len(w.seg.recs) && framed <= len(w.seg.data)-w.size
}

// next is what the segment costs that is begun for a record of so many bytes.
func (w *segmentWriter) next(framed int) uint64 {
	if framed > w.pool.size {
		return segmentCost(framed, 1)
	}
	return segmentCost(w.pool.size, w.pool.headers())
}

// renew goes on in a segment that has room for a record of so many bytes.
func (w *segmentWriter) renew(record int) {
	if w.seg != nil {
		w.close()
		w.sealed = append(w.sealed, w.seg)
	}
	if record > w.pool.size {
		w.seg = &segment{data: make([]byte, record), recs: make([]Record, 1)}
	} else {
		w.seg = w.pool.get()
	}
	w.seg.hold()
	w.n, w.size = 0, 0
	w.from = w.end()
}

// settle lets go of the segments that are full: what was written is in the queues.
func (w *segmentWriter) settle() {
	for i, s := range w.sealed {
		s.letGo()
		w.sealed[i] = nil
	}
	w.sealed = w.sealed[:0]
}

// prefix puts the length of the record at body before it, where two bytes are kept
// from start on.
func prefix(out []byte, start, body int) ([]byte, int) {
	n := uint64(len(out) - body)
	if need := uvarintLen(n); need != body-start {
		if need > body-start {
			out = slices.Insert(out, body, make([]byte, need-(body-start))...)
		} else {
			out = slices.Delete(out, start+need, body)
		}
		body = start + need
	}
	binary.PutUvarint(out[start:body], n)
	return out, body
}
