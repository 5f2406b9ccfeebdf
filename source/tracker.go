package source

import (
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// budget is what the trackers of all namespaces share.
type budget struct{ used, max int }

// tracker keeps the live flows of one namespace. Source.mu guards it.
//
// The kernel's own events always pass, whatever was inferred before them; a
// record is inferred only of a flow of which no event came since the dump that
// it is inferred from.
type tracker struct {
	table  flowTable
	budget *budget
	books  *flow.TrackBooks
	every  int64 // interval of interim records, ns; 0 is none

	round   uint32 // number of the dump under way, or of the last
	dumping bool
	primed  bool  // a whole dump was taken in, so a flow that a dump shows first is new
	since   int64 // from when on events may be missing that the round makes good
	whole   int64 // when the last whole dump began; at first, when the socket was joined
	missing bool  // events were lost since the dump under way, or the last, began
	gap     int64 // since when
	mending bool  // the round under way makes a loss good

	overflowed, overflowing bool // flows were not taken in: before this dump, or in it

	firstDead, lastDead place
}

// newTracker makes a tracker; joined is when the event socket was.
func newTracker(b *budget, books *flow.TrackBooks, interim time.Duration, joined int64) *tracker {
	books.Max = uint64(b.max)
	return &tracker{budget: b, books: books, every: int64(interim), round: 1, whole: joined, since: joined, table: flowTable{deltas: interim > 0}}
}

// close gives back what the tracker holds.
func (t *tracker) close() {
	t.budget.used -= t.table.used
	t.books.Ended += t.books.Flows
	t.books.Flows = 0
	t.table = flowTable{}
}

// lose notes that events are missing.
func (t *tracker) lose(since int64) {
	if !t.missing {
		t.missing, t.gap = true, since
	}
}

// add takes a flow in, if there is room.
func (t *tracker) add(e *flow.Event) place {
	if t.budget.used >= t.budget.max && !t.reclaim() {
		t.books.Untracked++
		t.overflowed, t.overflowing = true, true
		return 0
	}
	t.budget.used++
	return t.table.add(e)
}

// live counts a flow.
func (t *tracker) live() {
	t.books.Flows++
	t.books.Added++
}

// take adds a live flow, or makes a dead one's entry its.
func (t *tracker) take(p place, e *flow.Event) place {
	if p == 0 {
		p = t.add(e)
	} else {
		t.table.renew(p)
	}
	if p != 0 {
		t.live()
	}
	return p
}

// end lets a live flow go. Under a dump, whose rows may trail the flow's end, it
// is only marked dead.
func (t *tracker) end(p place) {
	t.books.Flows--
	t.books.Ended++
	if t.dumping || t.table.at(p).is&isListed != 0 {
		t.bury(p)
		return
	}
	t.budget.used--
	t.table.remove(p)
}

// guess lets a flow go whose end was inferred. It stays known until the next
// dump, so that an event which proves the guess wrong is counted.
func (t *tracker) guess(p place) {
	t.books.Flows--
	t.books.Ended++
	t.bury(p)
	t.table.at(p).is |= isGuessed
}

// bury marks an entry dead.
func (t *tracker) bury(p place) {
	en := t.table.at(p)
	en.is = en.is&^(isDue|isGuessed) | isDead
	if en.is&isListed != 0 {
		return
	}
	en.is |= isListed
	en.next = 0
	if t.lastDead != 0 {
		t.table.at(t.lastDead).next = uint32(p)
	} else {
		t.firstDead = p
	}
	t.lastDead = p
}

// exhume takes the oldest of the dead off the list, and lets its entry go unless
// the flow has come back.
func (t *tracker) exhume() (freed bool) {
	p := t.firstDead
	en := t.table.at(p)
	if t.firstDead = place(en.next); t.firstDead == 0 {
		t.lastDead = 0
	}
	en.is &^= isListed
	if en.is&isDead == 0 {
		return false
	}
	t.budget.used--
	t.table.remove(p)
	return true
}

// reclaim makes room of the dead.
func (t *tracker) reclaim() bool {
	for t.firstDead != 0 {
		if t.exhume() {
			return true
		}
	}
	return false
}

// see takes an event of the kernel's in: p is where its flow stands, wanted
// whether the filter lets it pass. A destroy gets its deltas.
func (t *tracker) see(p place, e *flow.Event, wanted bool, now int64) {
	dead := p != 0 && t.table.at(p).is&isDead != 0
	if dead && t.table.at(p).is&isGuessed != 0 {
		t.books.Contradicted++
		t.table.at(p).is &^= isGuessed
	}
	switch {
	case e.Type == flow.TypeDestroy:
		t.seeEnd(p, dead, e, wanted, now)
		return
	case p == 0 || dead:
		if !wanted {
			return
		}
		if p = t.take(p, e); p == 0 {
			return
		}
		if t.table.deltas && e.Type == flow.TypeNew {
			t.table.baseAt(p).at = timeOf(e, now)
		}
	}
	en := t.table.at(p)
	en.heard, en.seen = t.round, timeOf(e, now)
	en.is = en.is&^isDue | isSpeaking
	if !e.Any(flow.HasMark) {
		en.mark = 0 // the kernel tells a mark that is not 0
	}
	learn(en, e)
}

func (t *tracker) seeEnd(p place, dead bool, e *flow.Event, wanted bool, now int64) {
	switch {
	case dead:
	case p != 0:
		if t.table.deltas {
			t.table.delta(p, e, now)
		}
		t.end(p)
	case t.dumping && wanted:
		if p = t.add(e); p != 0 {
			t.bury(p)
		}
	}
}

// alive tells whether a live flow stands at p.
func (t *tracker) alive(p place) bool { return p != 0 && t.table.at(p).is&isDead == 0 }

// replaces tells whether a NEW is of another flow than the live one at p, whose
// end then was lost. Under a dump it may be the flow's own, which a row has
// overtaken.
func (t *tracker) replaces(p place, e *flow.Event) bool {
	en := t.table.at(p)
	switch {
	case en.is&isSpeaking != 0 || !t.dumping:
		return true
	case en.start != 0 && e.TimeSource == flow.TimeKernel:
		return e.Time > en.start+startSlack
	}
	return en.dumped != t.round
}

// learn writes what the event tells of the flow's state.
func learn(en *entry, e *flow.Event) {
	if e.Any(flow.HasStatus) {
		en.status = e.Status
		en.is |= hasStatus
	}
	if e.Any(flow.HasMark) {
		en.mark = e.Mark
		en.is |= hasMark
	}
	if state, ok := stateOf(e); ok {
		en.state = state
		en.is |= hasState
	}
}

// timeOf is when an event happened, as well as it can be told.
func timeOf(e *flow.Event, now int64) int64 {
	if e.TimeSource == flow.TimeKernel {
		return e.Time
	}
	return now
}
