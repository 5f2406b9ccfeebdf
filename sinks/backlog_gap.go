package sinks

import (
	"errors"
	"log/slog"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/sinks/spool"
	"github.com/ctferry/ctferry/source/flow"
)

// ownGap is a gap record that is not on disk.
type ownGap struct {
	at    int // in backlog.recs
	event flow.Event
	tells spool.Told // what of it the spool counts
}

// newOwnGap copies a gap that a loss told, which is used again.
func newOwnGap(l *loss, at int) ownGap {
	own, gap, lost := l.event, *l.event.Gap, *l.event.Gap.Lost
	gap.Lost = &lost
	own.Gap = &gap
	return ownGap{at, own, spool.Told{Dropped: l.by[dropSpool], Damaged: l.by[dropDamage], Refused: l.by[dropDisk]}}
}

// settleOwn notes with the cursors what gaps have told that have their fate. A
// crash before that has the next run tell it again.
func (b *backlog) settleOwn() {
	n := 0
	for ; n < len(b.own) && b.own[n].at < b.given; n++ {
		b.tell(b.own[n].tells)
		if b.own[n].at == b.acked {
			b.acked++ // it stands before a frame, never within
		}
	}
	b.own = b.own[:copy(b.own, b.own[n:])]
}

func (b *backlog) tell(t spool.Told) {
	for _, c := range b.cursors {
		if c != nil {
			t = c.Tell(t)
		}
	}
}

// leaveGaps leaves to whoever takes over the cursors the gaps that were told and
// have no fate yet (among left, which take gave, or not taken), and what no gap
// has told. They go to the end of the spool, and so stand behind the records that
// they were lost before.
func (b *backlog) leaveGaps(left []Record) {
	b.rewind(left)
	b.tellLost(time.Now().UnixNano(), b.after(), b.origin)
	var err error
	for _, recs := range [][]Record{left, b.recs[b.taken:]} {
		for i := range recs {
			if !recs[i].own {
				continue
			}
			if e := b.keep(&recs[i]); e != nil {
				b.o.ledger.drop(dropShutdown)
				err = errors.Join(err, e)
			}
		}
	}
	if err != nil {
		b.trouble.tell(slog.LevelError, "spool does not keep a gap record, the next run tells what it can", "err", err)
	}
}

// rewind enters into the books what the spool has dropped while it was here: it
// was held still, and the next who reads is not given it again.
func (b *backlog) rewind(left []Record) {
	b.notice()
	b.mu.Lock() // so that notice does not come between
	defer b.mu.Unlock()
	for of, c := range b.cursors {
		if c == nil {
			continue
		}
		next, lost := c.Rewind()
		n := uint64(0)
		for _, recs := range [][]Record{left, b.recs[b.taken:]} {
			for i := range recs {
				if !recs[i].own && recs[i].of == feed(of) && recs[i].frame < next {
					n++
				}
			}
		}
		b.o.ledger.forgo(feed(of), n, lost)
		b.lost[dropSpool] += n
	}
}

// keep puts a gap of our own into the spool, where it outlives us.
func (b *backlog) keep(rec *Record) error {
	own := b.ownOf(rec)
	if own == nil {
		return errors.New("it is not known any more")
	}
	if err := b.store.keepGap(b.o.cfg.Name, &own.event); err != nil {
		return err
	}
	b.tell(own.tells)
	return nil
}

// tellOwn notes that a gap of our own is where it outlives us.
func (b *backlog) tellOwn(rec *Record) {
	if own := b.ownOf(rec); own != nil {
		b.tell(own.tells)
	}
}

// ownOf finds the gap that a record is, nil if it is not known any more.
func (b *backlog) ownOf(rec *Record) *ownGap {
	for i := range b.own {
		if e := &b.own[i].event; e.Seq == rec.Seq && e.Origin == rec.Origin {
			return &b.own[i]
		}
	}
	return nil
}

// keepGap stores a gap record that is for one sink alone. Any goroutine may call it.
func (s *Store) keepGap(sink string, e *flow.Event) error {
	record := encode.Formats()["protobuf"].NewEncoder(encode.Projection{}).Append(nil, e)
	return s.spool.Append(&spool.Frame{
		First: e.Seq, Last: e.Seq, Records: 1,
		Counts:  []spool.Count{{Sink: sink, N: 1}},
		Chosen:  true,
		Payload: encode.AppendGroup(nil, encode.Delimited, one(record)),
	})
}
