package source

import "github.com/ctferry/ctferry/source/flow"

// infer makes the slot a synthetic record of what is known of a flow; its bounds
// are when it must have happened, its time the later of them.
func (t *tracker) infer(p place, e *flow.Event, typ flow.Type, until int64) {
	en := t.table.at(p)
	t.table.write(en, e)
	e.Type, e.Synthetic = typ, true
	e.Has |= flow.HasSynthetic | flow.HasBounds
	e.Since, e.Until = t.after(en, typ), until
	e.Time, e.TimeSource = until, flow.TimeInferred
	if typ == flow.TypeNew && en.start != 0 {
		e.Since, e.Until = en.start, en.start
		e.Time, e.TimeSource = en.start, flow.TimeKernel
	}
	e.Since = min(e.Since, e.Until)
	if typ == flow.TypeDestroy && t.table.deltas {
		t.table.delta(p, e, until)
	}
}

// after is the time before which it did not happen: the flow was seen then, or
// nothing was missing yet, and the kernel would have told it.
func (t *tracker) after(en *entry, typ flow.Type) int64 {
	if typ == flow.TypeNew {
		return t.since
	}
	if en.is&isSpeaking != 0 {
		return max(en.seen, t.since)
	}
	return en.seen
}

// inferEnd makes the record of a flow's end, and before it that of its beginning
// if that is still due.
func (t *tracker) inferEnd(p place, out *flow.Batch, until int64) *flow.Event {
	if t.table.at(p).is&isNew != 0 {
		t.infer(p, out.Next(), flow.TypeNew, until)
	}
	end := out.Next()
	t.infer(p, end, flow.TypeDestroy, until)
	return end
}

// lostEnd ends a flow in whose place another came, at a known time, while events
// are missing. Out must have two free slots.
func (t *tracker) lostEnd(p place, out *flow.Batch, at int64) {
	e := t.inferEnd(p, out, at)
	en := t.table.at(p)
	e.Since = en.seen
	if gap, _ := t.incomplete(); en.is&isSpeaking != 0 {
		e.Since = max(en.seen, gap)
	}
	e.Since = min(e.Since, at)
	t.guess(p)
	t.table.at(p).is &^= isGuessed
}

// suspect is a tracked flow that a whole dump did not show, or showed as another.
type suspect struct {
	place  place
	flowID uint64
	key    flow.Key
	row    int  // of the answer to a GET, or -1
	gone   bool // the kernel said ENOENT
}

// scan looks at entries from a place on, at most so many: what appeared or
// changed goes into out until that is full, what may be gone is added to
// suspects, up to their capacity. It answers where to go on, 0 at the end.
func (t *tracker) scan(from place, most uint32, out *flow.Batch, suspects []suspect, now int64) (place, []suspect) {
	for first := from; uint32(from) <= t.table.made; from++ {
		if out.Free() == 0 || len(suspects) == cap(suspects) || uint32(from-first) == most {
			return from, suspects
		}
		en := t.table.at(from)
		switch {
		case en.is&isTaken == 0 || en.is&isDead != 0:
		case en.is&isReplaced != 0 || en.heard != t.round && en.dumped != t.round:
			suspects = append(suspects, suspect{place: from, flowID: en.flowID, key: t.table.key(en), row: -1})
		case en.is&isDue != 0:
			typ := flow.TypeUpdate
			if en.is&isNew != 0 {
				typ = flow.TypeNew
			}
			t.infer(from, out.Next(), typ, now)
			en.is &^= isDue
			en.seen = now
		}
	}
	return 0, suspects
}

// judge settles a suspect. Answers are the rows that GETs have brought; out must
// have three free slots.
func (t *tracker) judge(s *suspect, answers []flow.Event, out *flow.Batch, now int64) {
	en := t.table.at(s.place)
	if en.is&isTaken == 0 || en.is&isDead != 0 || en.flowID != s.flowID || en.heard == t.round {
		return // an event came meanwhile: it tells more
	}
	switch {
	case s.gone:
		t.inferEnd(s.place, out, now)
		t.guess(s.place)
	case s.row >= 0 && en.isOther(&answers[s.row]):
		t.succeed(s.place, &answers[s.row], out, now)
	case s.row >= 0:
		en.is &^= isReplaced
		t.seeRow(&answers[s.row], true, now)
	}
}

// succeed ends a flow and begins the one of the same name that the row shows.
func (t *tracker) succeed(p place, row *flow.Event, out *flow.Batch, now int64) {
	t.inferEnd(p, out, min(now, row.Start))
	t.books.Flows--
	t.books.Ended++
	t.table.renew(p)
	t.live()
	en := t.table.at(p)
	en.dumped, en.seen = t.round, now
	learn(en, row)
	if t.table.deltas {
		t.table.baseAt(p).at = row.Start
	}
	t.count(p, row)
	t.infer(p, out.Next(), flow.TypeNew, now)
}
