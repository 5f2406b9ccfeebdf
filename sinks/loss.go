package sinks

import (
	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// lossSeveral is a gap's reason when its records were lost for different ones.
const lossSeveral = "several"

// loss is what has been dropped since the queue last took something. It
// becomes one gap record, which stands where the lost records would have.
type loss struct {
	count uint64
	by    [reasons]uint64
	last  Record // the last that was lost; its Value is not kept
	size  uint64 // of the gap record that was encoded last

	encoder encode.Encoder
	event   flow.Event
	gap     flow.Gap
	lost    uint64
	buf     []byte
}

func newLoss(sink string, encoder encode.Encoder) loss {
	return loss{
		encoder: encoder,
		gap:     flow.Gap{Scope: "sink", Sink: sink},
	}
}

// add notes one record more. Events come in the order in which they were read,
// which their times need not follow.
func (l *loss) add(rec *Record, why reason) { l.addRun(1, rec.Time, rec, why) }

// addRun is add for n records, of which the last is given and the first had
// the time since.
func (l *loss) addRun(n uint64, since int64, last *Record, why reason) {
	switch {
	case l.count == 0:
		l.gap.Since, l.gap.Until, l.gap.Reason = since, last.Time, why.String()
	case l.gap.Reason != why.String():
		l.gap.Reason = lossSeveral // the books have each by itself
	}
	l.gap.Since, l.gap.Until = min(l.gap.Since, since), max(l.gap.Until, last.Time)
	l.count += n
	l.by[why] += n
	l.last = *last
	l.last.Value, l.last.inside = nil, 0
}

// join adds what another, which begins anew, has gathered.
func (l *loss) join(o *loss) {
	for why, n := range o.by {
		if n > 0 {
			l.addRun(n, o.gap.Since, &o.last, reason(why))
		}
	}
	o.clear()
}

// told makes the gap. It bears the sequence number of the last lost record,
// which this sink never sees, so that (run, seq) stays unique and ordered.
func (l *loss) told() *flow.Event {
	l.lost = l.count
	l.gap.Lost = &l.lost
	l.event = flow.Event{
		Type:       flow.TypeGap,
		TimeSource: flow.TimeReceived,
		Seq:        l.last.Seq,
		Time:       l.gap.Until,
		Origin:     l.last.Origin,
		Gap:        &l.gap,
	}
	return &l.event
}

// record encodes the gap.
func (l *loss) record() *Record {
	l.told()
	l.buf = l.encoder.Append(l.buf[:0], &l.event)
	l.size = uint64(len(l.buf))
	l.last = Record{Value: l.buf, Seq: l.last.Seq, Time: l.gap.Until, Type: flow.TypeGap, Origin: l.last.Origin}
	return &l.last
}

func (l *loss) clear() {
	l.count, l.by = 0, [reasons]uint64{}
	l.last = Record{}
}
