package source

import "github.com/ctferry/ctferry/source/flow"

// startSlack is by how much a flow's start may lie behind the time of its NEW:
// the kernel takes the event's time when the first change of the packet is
// noted, and the start when the entry is confirmed.
const startSlack = int64(10_000_000)

// unsaid are the status bits that the kernel changes without an event.
const unsaid = flow.StatusOffload | flow.StatusHWOffload | flow.StatusDying

// begin starts a round: a dump whose rows seeRow will be shown. The events that
// were queued before must have been seen.
func (t *tracker) begin() {
	for t.firstDead != 0 {
		t.exhume()
	}
	t.round++
	t.dumping, t.overflowing = true, false
}

// forgive takes over from when on events may be missing that the next round
// shall make good; what is lost from now on is for the round after it.
func (t *tracker) forgive() {
	t.since = t.whole
	if t.missing {
		t.since = t.gap
	}
	t.missing, t.mending = false, t.missing
}

// finish ends the dump of a round: its rows can trail no end any more.
func (t *tracker) finish() {
	t.dumping = false
	for t.firstDead != 0 {
		t.exhume()
	}
}

// succeeded ends a round that was made good, whose dump began then.
func (t *tracker) succeeded(begun int64) {
	t.overflowed = t.overflowing
	t.primed, t.whole, t.mending = true, begun, false
}

// fail ends a round that was not: what it should have made good is still missing.
func (t *tracker) fail() {
	if !t.missing {
		t.missing, t.gap = true, t.since
	}
	t.gap, t.mending = min(t.gap, t.since), false
}

// incomplete gives since when events are missing that no round has made good yet.
func (t *tracker) incomplete() (since int64, yes bool) {
	switch {
	case t.mending:
		return t.since, true // which is before what was lost meanwhile
	case t.missing:
		return t.gap, true
	}
	return 0, false
}

// seeRow takes a row of a dump in and answers where its flow stands, 0 if it is
// not tracked. Trailing is true of a row whose flow has ended meanwhile.
func (t *tracker) seeRow(e *flow.Event, wanted bool, now int64) (p place, trailing bool) {
	p = t.table.find(e)
	if p != 0 && t.table.at(p).is&isDead != 0 {
		t.books.Suppressed++
		return p, true
	}
	if p == 0 {
		if wanted {
			p = t.adopt(e, now)
		}
		if p != 0 {
			t.count(p, e)
		}
		return p, false
	}
	en := t.table.at(p)
	en.dumped = t.round
	if en.isOther(e) {
		en.is |= isReplaced
		return p, false
	}
	if en.heard != t.round {
		if en.is&isDue == 0 && en.differs(e) {
			en.is |= isChanged // and stays as old as its last event
		}
		learn(en, e)
	}
	if en.is&isDue == 0 {
		en.seen = now
	}
	t.count(p, e)
	return p, false
}

// adopt takes in a flow that a dump showed first.
func (t *tracker) adopt(e *flow.Event, now int64) place {
	p := t.take(0, e)
	if p == 0 {
		return 0
	}
	en := t.table.at(p)
	en.dumped, en.seen = t.round, now
	learn(en, e)
	began := e.Any(flow.HasStart) && e.Start >= t.since-startSlack
	// Of the first dump a flow is new only if its own start says so: the socket
	// had been joined then.
	proven := e.Any(flow.HasStart) && e.Start >= t.since
	if !t.overflowed && (proven || t.primed && (began || !e.Any(flow.HasStart))) {
		en.is |= isNew
	}
	if t.table.deltas && (proven || began && t.primed) {
		t.table.baseAt(p).at = e.Start
	}
	return p
}

// count takes over the counters and the start of a row.
func (t *tracker) count(p place, e *flow.Event) {
	en := t.table.at(p)
	if e.Any(flow.HasStart) {
		en.start = e.Start
	}
	if t.table.deltas {
		if b := t.table.baseAt(p); b.at == 0 && e.Any(flow.HasOrigCounters) {
			*b = base{e.OrigCounters, e.ReplyCounters, en.seen}
		}
	}
	if e.Any(flow.HasOrigCounters) {
		en.orig = e.OrigCounters
		en.is |= hasOrigCounters
	}
	if e.Any(flow.HasReplyCounters) {
		en.reply = e.ReplyCounters
		en.is |= hasReplyCounters
	}
}

// zero follows a dump that has set a flow's counters to zero, after its row.
func (t *tracker) zero(p place) {
	en := t.table.at(p)
	if t.table.deltas {
		b := t.table.baseAt(p)
		b.orig, b.reply = less(b.orig, en.orig), less(b.reply, en.reply)
	}
	en.orig, en.reply = flow.Counters{}, flow.Counters{}
}

// isOther tells that a row is of another flow than the tracked one, of the same
// name: the kernel gives a tuple that comes back at once the same id.
func (en *entry) isOther(e *flow.Event) bool {
	if !e.Any(flow.HasStart) {
		return false
	}
	if en.start != 0 {
		return e.Start != en.start
	}
	return e.Start > en.seen+startSlack
}

// differs tells whether a row shows another state than the tracked one.
func (en *entry) differs(e *flow.Event) bool {
	if e.Any(flow.HasStatus) && en.is&hasStatus != 0 && (e.Status^en.status)&^unsaid != 0 {
		return true
	}
	if e.Any(flow.HasMark) && e.Mark != en.mark {
		return true
	}
	state, ok := stateOf(e)
	return ok && en.is&hasState != 0 && state != en.state
}
