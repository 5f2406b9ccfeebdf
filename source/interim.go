package source

import "github.com/ctferry/ctferry/source/flow"

// interim makes an interim record of a dump's row if one is due: the flow lived
// at least half an interval since the last one, or since its start, and something
// passed. So the first comes after half to one and a half intervals. One whose
// beginning is still to be told waits for the next dump.
func (t *tracker) interim(p place, e *flow.Event, now int64) bool {
	if t.every == 0 {
		return false
	}
	b := t.table.baseAt(p)
	b.at = min(b.at, now) // the clock was set back: what was before is not in the interval
	if t.table.at(p).is&(isNew|isReplaced|isDead) != 0 || b.at == 0 || now-b.at < t.every/2 {
		return false
	}
	if !t.table.delta(p, e, now) || e.OrigDeltas.Packets|e.ReplyDeltas.Packets == 0 {
		return false
	}
	*b = base{e.OrigCounters, e.ReplyCounters, now}
	e.Type, e.Dump = flow.TypeInterim, nil
	return true
}

// delta writes what passed since the last interim record, or since the flow's
// start, if both that and the counters are known.
func (t *flowTable) delta(p place, e *flow.Event, now int64) bool {
	b := t.baseAt(p)
	if b.at == 0 || !e.Got(flow.HasOrigCounters|flow.HasReplyCounters) {
		return false
	}
	e.OrigDeltas, e.ReplyDeltas = since(e.OrigCounters, b.orig), since(e.ReplyCounters, b.reply)
	e.Has |= flow.HasOrigDeltas | flow.HasReplyDeltas
	if now >= b.at { // else the clock was set back, and the span is not known
		e.Interval = now - b.at
		e.Has |= flow.HasInterval
	}
	return true
}

// since is what passed between two readings. Where the counters run backwards
// somebody else has set them to zero, and what passed since is all that is known.
func since(now, then flow.Counters) flow.Counters {
	d := less(now, then)
	if int64(d.Packets) < 0 || int64(d.Bytes) < 0 {
		return now
	}
	return d
}

// less subtracts modulo 2⁶⁴.
func less(a, b flow.Counters) flow.Counters {
	return flow.Counters{Packets: a.Packets - b.Packets, Bytes: a.Bytes - b.Bytes}
}
