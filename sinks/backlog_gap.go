package sinks

import (
	"errors"
	"log/slog"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/sinks/spool"
	"github.com/ctferry/ctferry/source/flow"
)

// ownGap copies a gap that a loss told, which is used again.
func ownGap(e *flow.Event) flow.Event {
	own, gap, lost := *e, *e.Gap, *e.Gap.Lost
	gap.Lost = &lost
	own.Gap = &gap
	return own
}

// bequeath leaves to whoever takes over the cursor what nobody else knows of:
// the gaps that were told and have no fate yet (among left, which take gave,
// or not taken), and what no gap has told. They go to the end of the spool, and
// so stand behind the records that they were lost before.
func (b *backlog) bequeath(left []Record) {
	b.rewind(left)
	b.tellLost(time.Now().UnixNano(), b.seq+2, b.origin)
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
		b.trouble.tell(slog.LevelError, "spool does not keep a gap record, it is dropped", "err", err)
	}
}

// rewind enters into the books what the spool has dropped while it was here: it
// was held still, and the next who reads is not given it again.
func (b *backlog) rewind(left []Record) {
	b.notice()
	b.mu.Lock() // so that notice does not come between
	defer b.mu.Unlock()
	next, lost := b.cursor.Rewind()
	n := uint64(0)
	for _, recs := range [][]Record{left, b.recs[b.taken:]} {
		for i := range recs {
			if !recs[i].own && recs[i].frame < next {
				n++
			}
		}
	}
	b.o.ledger.forgo(n, lost)
	b.lost[dropSpool] += n
}

// keep puts a gap of our own into the spool.
func (b *backlog) keep(rec *Record) error {
	for i := range b.own {
		if e := &b.own[i]; e.Seq == rec.Seq && e.Origin == rec.Origin {
			return b.store.keepGap(b.o.cfg.Name, e)
		}
	}
	return errors.New("it is not known any more")
}

// keepGap stores a gap record that is for one sink alone. Any goroutine may call it.
func (s *Store) keepGap(sink string, e *flow.Event) error {
	record := encode.Formats()["protobuf"].NewEncoder(encode.Projection{}).Append(nil, e)
	return s.spool.Append(&spool.Frame{
		First: e.Seq, Last: e.Seq, Records: 1,
		Counts:  []spool.Count{{Sink: sink, N: 1}},
		Payload: encode.AppendGroup(nil, encode.Delimited, one(record)),
	})
}
