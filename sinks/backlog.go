package sinks

import (
	"bytes"
	"log/slog"
	"sort"
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
	cursors [feeds]*spool.Cursor // nil until the outlet runs; the first also if there is no such place
	memory  *memory              // in which what is older than the disk's may stand; nil without
	polled  *spool.Frame         // that waits for what is in memory
	from    feed                 // where the frame read last is from
	decoder encode.Decoder
	encoder encode.Encoder
	batch   *flow.Batch // of one slot
	trouble sampler

	slab   []byte
	recs   []Record
	frames []frameEnd // of which recs are
	acked  int        // recs of the frames that have been acknowledged
	given  int        // recs that have been released
	taken  int        // and those that take gave
	bytes  uint64     // of recs behind given
	own    []ownGap   // those among recs that are not on disk

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
	of  feed
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

// attach takes over the sink's cursors, from where nothing has been acknowledged.
func (b *backlog) attach() error {
	b.time = time.Now().UnixNano()
	var cursors [feeds]*spool.Cursor
	for of, name := range feedsOf(b.o.cfg.Name) {
		if feed(of) == remainder && !b.store.spool.Has(name) {
			continue
		}
		c, err := b.store.spool.Cursor(name, spool.Now)
		if err != nil {
			return err
		}
		cursors[of] = c
		if lag := c.Lag(); !lag.Oldest.IsZero() {
			b.time = min(b.time, lag.Oldest.UnixNano())
		}
	}
	b.o.woken = cursors[stored].Wake()
	b.mu.Lock()
	b.cursors = cursors
	b.mu.Unlock()
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

// empty reports whether nothing that was read waits to be taken.
func (b *backlog) empty() bool { return b.given == len(b.recs) }

// fill reads frames until there is enough for a batch, or no more: then it
// reports that the disk is dry. What has been given in part must first be given
// whole, and what stands in memory is older.
func (b *backlog) fill() (dry bool) {
	b.notice()
	for n := 0; b.given == 0 && len(b.frames) < maxFrames && !b.o.enough(mark{recs: uint64(len(b.recs)), bytes: b.bytes}); n++ {
		if n == maxFrames {
			b.o.rouse() // a sink that wants none of them must still see a stop
			return false
		}
		f, err := b.poll()
		if err != nil {
			b.trouble.tell(slog.LevelError, "spool cannot be read, will try again", "err", err)
			return false
		}
		if f == nil {
			return true
		}
		if b.memory != nil {
			if older, _ := b.memory.waiting(); older > 0 {
				b.polled = f // memory only empties while there are such frames
				return false
			}
		}
		b.load(f)
		b.settle()
	}
	return false
}

// poll reads the next frame, of the remainder first; nil if there is none.
func (b *backlog) poll() (f *spool.Frame, err error) {
	if f, b.polled = b.polled, nil; f != nil {
		return f, nil
	}
	for b.from = remainder; b.from < feeds; b.from++ {
		if c := b.cursors[b.from]; c != nil {
			if f, err = c.Poll(); f != nil || err != nil {
				return f, err
			}
		}
	}
	return nil, nil
}

// load reads a frame's records. What the frame's header said of them is in the
// books already; what differs is put right.
func (b *backlog) load(f *spool.Frame) {
	before := len(b.recs)
	want, named := f.Want(feedsOf(b.o.cfg.Name)[b.from])
	if b.from == remainder && !named {
		// What was stored since is not chosen: its time comes with all that is stored.
		b.frames = append(b.frames, frameEnd{f.Seq, before, b.from})
		return
	}
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
		if b.wants(e) {
			b.append(e, f.Seq)
		}
	}
	got := uint64(len(b.recs) - before)
	switch {
	case got > want:
		b.o.ledger.recover(got - want)
	case got < want:
		unread = min(unread, want-got)
		b.o.ledger.dropMany(dropDamage, unread)
		b.o.ledger.shrink(want - got - unread)
	}
	b.frames = append(b.frames, frameEnd{f.Seq, len(b.recs), b.from})
	b.seq = f.Last
}

// wants reports whether an event is for the sink. What memory held was chosen
// when it was offered, and may lack what a filter asks for.
func (b *backlog) wants(e *flow.Event) bool {
	if b.from == remainder {
		return true
	}
	yes, sure := b.o.chooses(e)
	return yes || !sure && b.o.cfg.Filter.Match(e)
}

func (b *backlog) append(e *flow.Event, frame uint64) {
	start := len(b.slab)
	if e.Type == flow.TypeStatus {
		b.slab = b.o.appendStatus(b.slab, b.encoder, e, 0)
	} else {
		b.slab = b.encoder.Append(b.slab, e)
	}
	end := len(b.slab)
	if b.o.inside {
		b.slab = appendInside(b.slab, e)
	}
	rec := recordOf(e, b.slab[start:end:len(b.slab)])
	rec.of, rec.frame = b.from, frame
	b.put(rec)
	b.time, b.origin = e.Time, e.Origin
}

func (b *backlog) put(rec Record) {
	b.recs = append(b.recs, rec)
	b.bytes += uint64(len(rec.whole()))
}

// notice enters into the books what the spool has lost. Any goroutine may call it.
// Once the outlet has ended another one does it, and tells; when the spool is closed
// too, what others took the room of since then is entered, and told by the next run.
func (b *backlog) notice() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended && !b.store.closed.Load() {
		return
	}
	for of, c := range b.cursors {
		if c != nil {
			full, damaged := b.o.ledger.notice(feed(of), c.Losses())
			if !b.ended {
				b.lost[dropSpool] += full
				b.lost[dropDamage] += damaged
			}
		}
	}
}

// passed notes a record that came by memory.
func (b *backlog) passed(rec *Record) {
	b.time, b.origin, b.seq = rec.Time, rec.Origin, max(b.seq, rec.Seq)
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
			b.o.loss.addRun(n, min(b.time, until), &Record{Seq: max(seq, 1) - 1, Time: until, Origin: origin}, reason(why))
		}
	}
	clear(b.lost[:])
	b.mu.Unlock()
	if b.o.loss.count == 0 {
		return
	}
	rec := *b.o.loss.record()
	rec.Value, rec.own = bytes.Clone(rec.Value), true
	b.own = append(b.own, newOwnGap(&b.o.loss, len(b.recs)))
	b.o.loss.clear()
	b.o.ledger.offer(1, 0)
	b.put(rec)
}

// putGap tells what was lost when nothing comes behind it.
func (b *backlog) putGap() bool {
	before := len(b.recs)
	b.tellLost(time.Now().UnixNano(), b.after(), b.origin)
	return len(b.recs) > before
}

// after is the number that a record would have before which a gap has the one
// behind the last record. Before the first record of a run there is 0.
func (b *backlog) after() uint64 {
	if b.seq == 0 {
		return 1
	}
	return b.seq + 2
}

func (b *backlog) take(count int, size uint64) ([]Record, []frames) {
	to, sum := b.given, uint64(0)
	for to < len(b.recs) && to-b.given < count {
		n := uint64(len(b.recs[to].whole()))
		if to > b.given && sum+n > size {
			break
		}
		to, sum = to+1, sum+n
	}
	// Whole frames, if there is one: only those can be acknowledged.
	if i := sort.Search(len(b.frames), func(i int) bool { return b.frames[i].end > to }) - 1; to < len(b.recs) && i >= 0 && b.frames[i].end > b.given {
		to, sum = b.frames[i].end, 0
		for _, rec := range b.recs[b.given:to] {
			sum += uint64(len(rec.whole()))
		}
	}
	b.taken = to
	b.bytes -= sum
	return b.recs[b.given:to], nil
}

func (b *backlog) release() {
	b.given = b.taken
	b.settle()
}

// settle acknowledges the frames that are done, and begins anew when all are.
func (b *backlog) settle() {
	b.settleOwn()
	for of, c := range b.cursors {
		n, last := 0, -1
		for ; n < len(b.frames) && b.frames[n].end <= b.given; n++ {
			if b.frames[n].of == feed(of) {
				last = n
			}
		}
		if last >= 0 {
			c.Ack(b.frames[last].seq)
		}
	}
	n := 0
	for n < len(b.frames) && b.frames[n].end <= b.given {
		n++
	}
	if n > 0 {
		b.acked = max(b.acked, b.frames[n-1].end)
	}
	b.frames = b.frames[:copy(b.frames, b.frames[n:])]
	if b.given == len(b.recs) {
		b.slab, b.recs, b.acked, b.given, b.taken, b.bytes = b.slab[:0], b.recs[:0], 0, 0, 0, 0
		b.close()
	}
}

// close gives up the place of what memory held, once all of it is delivered.
func (b *backlog) close() {
	c := b.cursors[remainder]
	if c == nil || b.from == remainder {
		return
	}
	b.mu.Lock()
	b.cursors[remainder] = nil
	b.o.ledger.begin(remainder, spool.Losses{})
	b.mu.Unlock()
	if err := b.store.spool.Remove(c.Name()); err != nil {
		b.trouble.tell(slog.LevelError, "spool keeps an empty place", "err", err)
	}
}

// leave loses nothing: what is held waits on disk for the next run.
func (b *backlog) leave(uint64) uint64 { return 0 }
