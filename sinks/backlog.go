package sinks

import (
	"bytes"
	"log/slog"
	"sync"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/sinks/spool"
	"github.com/ctferry/ctferry/source/flow"
)

// backlog is the queue of an outlet that takes from the spool. It reads whole
// frames, and only then filters, projects and encodes, so that a sink which was
// changed gets old frames as it wants them now. The courier alone uses it, but
// for notice.
type backlog struct {
	o       *Outlet
	store   *Store
	cursor  *spool.Cursor // nil until the outlet runs
	decoder encode.Decoder
	encoder encode.Encoder
	batch   *flow.Batch // of one slot
	trouble sampler

	slab   []byte
	recs   []Record
	frames []frameEnd   // of which recs are
	given  int          // recs that have been released
	taken  int          // and those that take gave
	bytes  uint64       // of recs behind given
	own    []flow.Event // the gaps among recs that are not on disk

	// What a gap record needs to know of what stood before and after it.
	time   int64
	seq    uint64
	origin *flow.Origin

	mu    sync.Mutex
	ended bool            // another outlet reads now, and tells what is lost
	lost  [reasons]uint64 // what no gap has told yet
}

// maxFrames is how many frames are read for one batch, or until a stop is looked for.
const maxFrames = 1024

// frameEnd is where a frame's records end.
type frameEnd struct {
	seq uint64
	end int
}

func newBacklog(o *Outlet, s *Store, origin *flow.Origin) *backlog {
	return &backlog{
		o: o, store: s, origin: origin,
		decoder: encode.Formats()["protobuf"].NewDecoder(),
		encoder: o.format.NewEncoder(o.projection),
		batch:   flow.NewBatch(1),
		trouble: sampler{log: o.log},
	}
}

// attach takes over the sink's cursor, from where nothing has been acknowledged.
func (b *backlog) attach() error {
	c, err := b.store.spool.Cursor(b.o.cfg.Name, spool.Now)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cursor, b.time = c, time.Now().UnixNano()
	if lag := c.Lag(); !lag.Oldest.IsZero() {
		b.time = lag.Oldest.UnixNano()
	}
	b.o.woken = c.Wake()
	return nil
}

func (b *backlog) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
}

func (b *backlog) waiting() (records int, size uint64) {
	b.fill()
	return len(b.recs) - b.given, b.bytes
}

// fill reads frames until there is enough for a batch, or no more. What has
// been given in part must first be given whole.
func (b *backlog) fill() {
	b.notice()
	for n := 0; b.given == 0 && len(b.frames) < maxFrames && !b.o.enough(mark{recs: uint64(len(b.recs)), bytes: b.bytes}); n++ {
		if n == maxFrames {
			b.o.rouse() // a sink that wants none of them must still see a stop
			return
		}
		f, err := b.cursor.Poll()
		if err != nil {
			b.trouble.tell(slog.LevelError, "spool cannot be read, will try again", "err", err)
			return
		}
		if f == nil {
			return
		}
		b.load(f)
		b.settle()
	}
}

// load reads a frame's records. What the frame's header said of them is in the
// books already; what differs is put right.
func (b *backlog) load(f *spool.Frame) {
	before := len(b.recs)
	first, unread := true, uint64(0)
	for raw, err := range encode.SplitGroup(encode.Delimited, f.Payload) {
		b.batch.Reset()
		if err == nil {
			err = b.decoder.Decode(b.batch, raw)
		}
		if err != nil {
			b.trouble.tell(slog.LevelError, "a record in the spool cannot be read", "frame", f.Seq, "err", err)
			unread++
			continue
		}
		e := &b.batch.Events()[0]
		if first {
			b.tellLost(e.Time, f.First, e.Origin)
			before, first = len(b.recs), false
		}
		if yes, sure := b.o.chooses(e); yes || !sure && b.o.cfg.Filter.Match(e) {
			b.append(e, f.Seq)
		}
	}
	got := uint64(len(b.recs) - before)
	want, _ := f.Want(b.o.cfg.Name)
	switch {
	case got > want:
		b.o.ledger.recover(got - want)
	case got < want:
		unread = min(unread, want-got)
		b.o.ledger.dropMany(dropDamage, unread)
		b.o.ledger.shrink(want - got - unread)
	}
	b.frames = append(b.frames, frameEnd{f.Seq, len(b.recs)})
	b.seq = f.Last
}

func (b *backlog) append(e *flow.Event, frame uint64) {
	start := len(b.slab)
	if e.Type == flow.TypeStatus {
		b.slab = b.o.appendStatus(b.slab, b.encoder, e)
	} else {
		b.slab = b.encoder.Append(b.slab, e)
	}
	end := len(b.slab)
	if b.o.inside {
		b.slab = appendInside(b.slab, e)
	}
	rec := recordOf(e, b.slab[start:end:len(b.slab)])
	rec.frame = frame
	b.put(rec)
	b.time, b.origin = e.Time, e.Origin
}

func (b *backlog) put(rec Record) {
	b.recs = append(b.recs, rec)
	b.bytes += uint64(len(rec.whole()))
}

// notice enters into the books what the spool has lost. Any goroutine may call it.
func (b *backlog) notice() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cursor == nil || b.ended {
		return
	}
	full, damaged := b.o.ledger.notice(b.cursor.Losses())
	b.lost[dropSpool] += full
	b.lost[dropDamage] += damaged
}

// tellLost turns what was lost into a gap record, which stands before a record
// of the given time, number and origin. (What the poison of an earlier batch
// was, or what the disk refused, is told in the same one.)
func (b *backlog) tellLost(until int64, seq uint64, origin *flow.Origin) {
	b.o.producing.Lock()
	defer b.o.producing.Unlock()
	b.mu.Lock()
	for why, n := range b.lost {
		if n > 0 {
			b.o.loss.addRun(n, b.time, &Record{Seq: max(seq, 1) - 1, Time: until, Origin: origin}, reason(why))
		}
	}
	clear(b.lost[:])
	b.mu.Unlock()
	if b.o.loss.count == 0 {
		return
	}
	rec := *b.o.loss.record()
	rec.Value, rec.own = bytes.Clone(rec.Value), true
	b.own = append(b.own, ownGap(&b.o.loss.event))
	b.o.loss.clear()
	b.o.ledger.offer(1, 0)
	b.put(rec)
}

// putGap tells what was lost when nothing comes behind it.
func (b *backlog) putGap() bool {
	before := len(b.recs)
	b.tellLost(time.Now().UnixNano(), b.seq+2, b.origin)
	return len(b.recs) > before
}

func (b *backlog) take(count int, size uint64) []Record {
	to, sum := b.given, uint64(0)
	for to < len(b.recs) && to-b.given < count {
		n := uint64(len(b.recs[to].whole()))
		if to > b.given && sum+n > size {
			break
		}
		to, sum = to+1, sum+n
	}
	b.taken = to
	b.bytes -= sum
	return b.recs[b.given:to]
}

func (b *backlog) release() {
	b.given = b.taken
	b.settle()
}

// settle acknowledges the frames that are done, and begins anew when all are.
func (b *backlog) settle() {
	n := 0
	for n < len(b.frames) && b.frames[n].end <= b.given {
		n++
	}
	if n > 0 {
		b.cursor.Ack(b.frames[n-1].seq)
		b.frames = b.frames[:copy(b.frames, b.frames[n:])]
	}
	if b.given == len(b.recs) {
		b.slab, b.recs, b.given, b.taken, b.bytes = b.slab[:0], b.recs[:0], 0, 0, 0
		b.own = b.own[:0]
	}
}

// leave loses nothing: what is held waits on disk for the next run.
func (b *backlog) leave(uint64) uint64 { return 0 }
