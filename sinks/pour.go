package sinks

import (
	"errors"
	"log/slog"
	"strings"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/sinks/spool"
	"github.com/ctferry/ctferry/source/flow"
)

// A feed is one of a sink's two places in the spool.
type feed uint8

// The feeds, in the order in which they are read.
const (
	remainder feed = iota // what memory held at the last stop: it is older than the rest
	stored                // what was stored under the sink's own name
	feeds
)

// remainderSuffix makes a name that no sink can have.
const remainderSuffix = ".memory"

func remainderOf(sink string) string { return sink + remainderSuffix }

// sinkOf is the sink that a cursor belongs to.
func sinkOf(cursor string) string { return strings.TrimSuffix(cursor, remainderSuffix) }

// feedsOf names a sink's cursors.
func feedsOf(sink string) [feeds]string {
	return [feeds]string{remainder: remainderOf(sink), stored: sink}
}

// bequeath leaves everything to whoever takes over. What was read from the disk
// waits there still, and is read again; but not if the sink has had a part of a
// frame, or if there is something in memory, which is younger than that and
// older than what is on disk. Then all that is in memory goes to the remainder.
// What take gave and has no fate yet is left, if it was read from the disk, or
// fresh, if it is memory's.
func (b *backlog) bequeath(left, fresh []Record) {
	if b.repeats(left) > 0 || len(fresh) > 0 || b.memory != nil && b.memory.untaken() > 0 {
		left = b.pour(left, fresh)
	}
	b.leaveGaps(left)
}

// repeats is how many records that have their fate stand in frames that cannot
// be acknowledged yet.
func (b *backlog) repeats(left []Record) (n int) {
	n = b.taken - b.acked - len(left)
	for i := range b.own {
		if b.own[i].at < b.taken {
			n--
		}
	}
	for i := range left {
		if left[i].own {
			n++
		}
	}
	return n
}

// pour stores what is in memory, and gives what of it stays where it stood. What
// the disk does not take of memory is dropped, and what it took of it is held.
func (b *backlog) pour(left, fresh []Record) []Record {
	p := newPourer(b)
	lost := uint64(0)
	err := p.open()
	if err == nil {
		left, lost, err = p.move(left)
	} else {
		b.o.ledger.recover(uint64(b.repeats(left)))
	}
	p.kept = 0
	lost += uint64(len(fresh))
	if err == nil {
		err = p.store(fresh)
	}
	for recs := b.rest(); len(recs) > 0; recs = b.rest() {
		lost += uint64(len(recs))
		if err == nil {
			err = p.add(recs)
		}
	}
	if err == nil {
		err = p.flush()
	}
	if lost -= p.kept; lost > 0 {
		b.o.ledger.dropMany(dropShutdown, lost)
		b.trouble.tell(slog.LevelError, "spool does not keep what was in memory, records are dropped", "records", lost, "err", errors.Join(err, p.unread))
	}
	p.tell(lost)
	return left
}

// rest takes what nobody has taken from memory, and lets go of what it gave before:
// its segments may be written anew then.
func (b *backlog) rest() []Record {
	if b.memory == nil {
		return nil
	}
	b.memory.release()
	recs, _ := b.memory.take(b.o.cfg.Flush.Count, maxParcelBytes)
	return recs
}

// pourer packs records that were encoded for the sink into frames. What the
// sink's projection left out stays out, but for what places a record.
type pourer struct {
	b *backlog

	decoder encode.Decoder
	encoder encode.Encoder
	batch   *flow.Batch
	record  []byte
	frame   spool.Frame
	full    int
	packed  []*Record // gaps of our own in frame
	gaps    []*Record // and those that are on disk
	kept    uint64    // records that are on disk
	refused uint64    // records of the place that were refused before
	unread  error     // why one cannot be packed
}

func newPourer(b *backlog) *pourer {
	return &pourer{
		b:       b,
		decoder: b.o.format.NewToldDecoder(), // add changes what values are derived from
		encoder: encode.Formats()["protobuf"].NewEncoder(encode.Projection{}.WithTold()),
		batch:   flow.NewBatch(1),
		full:    b.store.parcelSize(),
	}
}

// open makes the place, unless the one of an earlier stop is there still. Nothing
// goes to one that the next run would not know of.
func (p *pourer) open() error {
	b, name := p.b, remainderOf(p.b.o.cfg.Name)
	b.from = remainder // it is not done with
	if b.cursors[remainder] == nil {
		c, err := b.store.spool.Cursor(name, spool.Now)
		if err == nil {
			err = b.store.spool.Save()
		}
		if err != nil {
			return errors.Join(err, b.store.spool.Remove(name))
		}
		b.mu.Lock()
		b.cursors[remainder] = c
		b.mu.Unlock()
	}
	p.refused = b.cursors[remainder].Losses().Refused.Records
	return nil
}

// move stores what has no fate of what was taken, and what was read and not
// taken, and acknowledges it where it stood; lost is what of it cannot be read.
// If the disk takes a part only, all stays where it stood too, and that part comes
// twice.
func (p *pourer) move(left []Record) (stays []Record, lost uint64, err error) {
	b, total := p.b, 0
	for _, recs := range [][]Record{left, b.recs[b.taken:]} {
		total += len(recs)
		if err == nil {
			err = p.store(recs)
		}
	}
	if err != nil {
		b.o.ledger.recover(uint64(b.repeats(left)) + p.kept - uint64(len(p.gaps)))
		for _, rec := range p.gaps { // which stood nowhere else
			b.tellOwn(rec)
			rec.own, rec.of = false, feeds
		}
		return left, 0, err
	}
	b.taken = len(b.recs)
	b.release()
	return nil, uint64(total) - p.kept, nil
}

// tell has the next run tell what was lost, and not what was refused and is
// elsewhere. It takes no room on the disk.
func (p *pourer) tell(lost uint64) {
	if c := p.b.cursors[remainder]; c != nil {
		c.Tell(spool.Told{Refused: c.Losses().Refused.Records - p.refused})
	}
	if lost > 0 {
		p.b.cursors[stored].Refuse(lost)
	}
}

// store packs records and stores them at once: a frame that is not much more than
// a batch can be acknowledged with it.
func (p *pourer) store(recs []Record) error {
	if err := p.add(recs); err != nil {
		return err
	}
	return p.flush()
}

// add packs records, and stores what is a whole frame.
func (p *pourer) add(recs []Record) error {
	for i := range recs {
		p.batch.Reset()
		if err := p.decoder.Decode(p.batch, recs[i].Value); err != nil {
			p.unread = err
			continue
		}
		e := &p.batch.Events()[0]
		e.Table, e.Family, e.Proto, e.Time, e.Seq = recs[i].Table, recs[i].Family, recs[i].Proto, recs[i].Time, recs[i].Seq
		if recs[i].FlowID != 0 {
			e.FlowID = recs[i].FlowID
			e.Has |= flow.HasFlowID
		}
		if p.b.o.cfg.OmitDestination && showsOutside(e) {
			p.tellDest(e)
		}
		p.restoreInside(e, &recs[i])
		p.pack(e)
		if recs[i].own {
			p.packed = append(p.packed, &recs[i])
		}
		if len(p.frame.Payload) >= p.full {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// restoreInside gives an event the inside address that stands behind its record. It is put
// where it was: the projection that left it out there leaves it out again. If it is not the source
// that the record shows, the flow was destination-translated, which the record does not tell.
func (p *pourer) restoreInside(e *flow.Event, rec *Record) {
	a, ok := rec.Inside()
	if !ok {
		return
	}
	if own, f, ok := e.Inside(); ok && own.In(f) != a {
		p.tellDest(e)
	}
	t, has := &e.Orig, flow.HasOrig
	if e.NATKind() == flow.NATDest {
		t, has = &e.Reply, flow.HasReply
	}
	if !e.Any(has) {
		*t = flow.Tuple{}
	}
	e.Has |= has
	t.Has |= flow.HasSrc
	t.Src, t.Family = flow.AddrFrom(a)
}

// showsOutside reports whether a record without destinations shows an end that only that of
// a destination-translated flow does, whose other end is where it came from.
func showsOutside(e *flow.Event) bool {
	told := e.ToldNAT()
	return e.Any(flow.HasOrig) && e.Orig.Has&(flow.HasDst|flow.HasDstPort) != 0 ||
		e.Any(flow.HasReply) && e.Reply.Has&(flow.HasSrc|flow.HasSrcPort) != 0 ||
		told != nil && told.Has&(flow.HasNATDst|flow.HasNATDstPort) != 0
}

// tellDest notes that the flow is destination-translated.
func (p *pourer) tellDest(e *flow.Event) {
	told := &p.batch.ExtraFor(e).NAT
	if !e.Any(flow.HasNAT) {
		*told = flow.ToldNAT{}
	}
	e.Has |= flow.HasNAT
	told.Has |= flow.HasNATKind
	told.Kind = flow.NATDest
}

func (p *pourer) pack(e *flow.Event) {
	p.record = p.encoder.Append(p.record[:0], e)
	p.frame.Payload = encode.AppendGroup(p.frame.Payload, encode.Delimited, one(p.record))
	if p.frame.Records == 0 {
		p.frame.First = e.Seq
	}
	p.frame.Last = e.Seq
	p.frame.Records++
}

// flush stores what is packed.
func (p *pourer) flush() error {
	n := uint64(p.frame.Records)
	if n == 0 {
		return nil
	}
	p.frame.Counts, p.frame.Chosen = []spool.Count{{Sink: remainderOf(p.b.o.cfg.Name), N: n}}, true
	err := p.b.store.spool.Append(&p.frame)
	p.frame = spool.Frame{Payload: p.frame.Payload[:0]}
	if err == nil {
		p.kept += n
		p.gaps = append(p.gaps, p.packed...)
	}
	p.packed = p.packed[:0]
	return err
}
