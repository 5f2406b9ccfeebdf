package source

import (
	"testing"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// The clock of these tests, in seconds: the socket was joined at 100, the first
// dump began at 200, and events were lost from 300 on.
func at(s int64) int64 { return s * int64(time.Second) }

// story is a tracker that has gone through its first round.
func story() *tracker {
	t := newTracker(&budget{max: 100}, &flow.TrackBooks{}, time.Minute, at(100))
	t.forgive()
	t.begin()
	t.finish()
	t.succeeded(at(200))
	return t
}

// tell shows the tracker an event of flow n.
func (t *tracker) tell(n int, typ flow.Type, when int64, change func(*flow.Event)) {
	e := *flowEvent(n)
	e.Type, e.Time, e.TimeSource = typ, at(when), flow.TimeKernel
	if change != nil {
		change(&e)
	}
	t.see(t.table.find(&e), &e, true, at(when))
}

// rowOf is a dump's row of flow n.
func rowOf(n int, start int64, packets uint64) *flow.Event {
	e := *flowEvent(n)
	e.Type = flow.TypeDump
	e.OrigCounters, e.ReplyCounters = flow.Counters{Packets: packets, Bytes: 9 * packets}, flow.Counters{}
	e.Has |= flow.HasOrigCounters | flow.HasReplyCounters
	if start > 0 {
		e.Start, e.Has = at(start), e.Has|flow.HasStart
	}
	return &e
}

// mend goes through a round at 400 whose dump shows the rows; present are the
// answers to GETs. It gives what was inferred, at 500.
func (t *tracker) mend(rows, present []*flow.Event) []flow.Event {
	t.forgive()
	t.begin()
	for _, r := range rows {
		t.seeRow(r, true, at(400))
	}
	t.finish()
	out := flow.NewBatch(20)
	_, suspects := t.scan(1, 100, out, make([]suspect, 0, 20), at(500))
	var answers []flow.Event
	for i := range suspects {
		suspects[i].gone = true
		for _, p := range present {
			if p.FlowID == suspects[i].flowID {
				suspects[i].gone, suspects[i].row = false, len(answers)
				answers = append(answers, *p)
			}
		}
		t.judge(&suspects[i], answers, out, at(500))
	}
	t.succeeded(at(400))
	return out.Events()
}

func TestBoundsOfWhatIsInferred(t *testing.T) {
	marked := func(e *flow.Event) { e.Mark, e.Has = 7, e.Has|flow.HasMark }
	type want struct {
		typ          flow.Type
		since, until int64
		time         int64
		source       flow.TimeSource
		packets      uint64
	}
	for name, c := range map[string]struct {
		before  func(*tracker)
		rows    []*flow.Event
		present []*flow.Event
		want    []want
	}{
		"it appeared, nobody knows when": {nil, []*flow.Event{rowOf(1, 0, 5)}, nil,
			[]want{{flow.TypeNew, 300, 500, 500, flow.TimeInferred, 5}}},
		"it appeared, and its start is known": {nil, []*flow.Event{rowOf(1, 333, 5)}, nil,
			[]want{{flow.TypeNew, 333, 333, 333, flow.TimeKernel, 5}}},
		"it is older than the loss: it should have been known": {nil, []*flow.Event{rowOf(1, 250, 5)}, nil, nil},
		"it vanished": {func(t *tracker) { t.tell(1, flow.TypeNew, 250, nil) }, nil, nil,
			[]want{{flow.TypeDestroy, 300, 500, 500, flow.TimeInferred, 0}}},
		"it vanished after its last event": {func(t *tracker) { t.tell(1, flow.TypeNew, 350, nil) }, nil, nil,
			[]want{{flow.TypeDestroy, 350, 500, 500, flow.TimeInferred, 0}}},
		"the dump passed it over":           {func(t *tracker) { t.tell(1, flow.TypeNew, 250, nil) }, nil, []*flow.Event{rowOf(1, 250, 5)}, nil},
		"a row that does not tell its mark": {func(t *tracker) { t.tell(1, flow.TypeNew, 250, marked) }, []*flow.Event{rowOf(1, 250, 5), rowOf(1, 250, 5)}, nil, nil},
		"its mark changed": {func(t *tracker) { t.tell(1, flow.TypeNew, 250, nil) },
			[]*flow.Event{func() *flow.Event { e := rowOf(1, 250, 5); marked(e); return e }()}, nil,
			[]want{{flow.TypeUpdate, 300, 500, 500, flow.TimeInferred, 5}}},
		"offloading is no change": {func(t *tracker) { t.tell(1, flow.TypeNew, 250, nil) },
			[]*flow.Event{func() *flow.Event { e := rowOf(1, 250, 5); e.Status |= flow.StatusOffload; return e }()}, nil, nil},
		"another came in its place": {func(t *tracker) { t.tell(1, flow.TypeNew, 250, nil) },
			[]*flow.Event{rowOf(1, 360, 2)}, []*flow.Event{rowOf(1, 360, 3)},
			[]want{{flow.TypeDestroy, 300, 360, 360, flow.TimeInferred, 0}, {flow.TypeNew, 360, 360, 360, flow.TimeKernel, 3}}},
		"its start lies a little behind its event": {func(t *tracker) { t.tell(1, flow.TypeNew, 250, nil) },
			[]*flow.Event{func() *flow.Event { e := rowOf(1, 250, 5); e.Start += startSlack / 2; return e }()}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tr := story()
			if c.before != nil {
				c.before(tr)
			}
			tr.lose(at(300))
			got := tr.mend(c.rows, c.present)
			if len(got) != len(c.want) {
				t.Fatalf("%d records inferred, expected %d: %+v", len(got), len(c.want), got)
			}
			for i, w := range c.want {
				e := &got[i]
				if e.Type != w.typ || e.Since != at(w.since) || e.Until != at(w.until) || e.Time != at(w.time) || e.TimeSource != w.source {
					t.Errorf("%s from %d to %d, at %d by %s; expected %+v", e.Type, e.Since/at(1), e.Until/at(1), e.Time/at(1), e.TimeSource, w)
				}
				if !e.Synthetic || !e.Got(flow.HasSynthetic|flow.HasBounds) || e.Any(flow.HasStop|flow.HasTimeout|flow.HasUse|flow.HasLabels|flow.HasPortID) {
					t.Errorf("bits %b", e.Has)
				}
				if e.Any(flow.HasOrigCounters) != (w.packets > 0) || w.packets > 0 && e.OrigCounters.Packets != w.packets {
					t.Errorf("counters %v %+v, expected %d", e.Any(flow.HasOrigCounters), e.OrigCounters, w.packets)
				}
			}
		})
	}
}

// TestSilentFlowsEndAtAnyTime: of a flow that sends no events it is not known that
// it was there when the loss began.
func TestSilentFlowsEndAtAnyTime(t *testing.T) {
	tr := story()
	tr.begin()
	tr.seeRow(rowOf(1, 50, 8), true, at(210))
	tr.finish()
	tr.succeeded(at(205))
	tr.lose(at(300))
	got := tr.mend(nil, nil)
	if len(got) != 1 || got[0].Since != at(210) || got[0].Until != at(500) || got[0].OrigCounters.Packets != 8 || got[0].Start != at(50) {
		t.Errorf("%+v", got)
	}
}

// TestNoEventNoGuess: whatever a dump seemed to show, an event that comes before
// the record is made tells more.
func TestNoEventNoGuess(t *testing.T) {
	tr := story()
	tr.tell(1, flow.TypeNew, 250, nil)
	tr.lose(at(300))
	tr.forgive()
	tr.begin()
	tr.seeRow(rowOf(2, 0, 1), true, at(400))
	tr.finish()
	tr.tell(1, flow.TypeUpdate, 410, nil)
	tr.tell(2, flow.TypeDestroy, 410, nil)
	out := flow.NewBatch(20)
	if _, suspects := tr.scan(1, 100, out, make([]suspect, 0, 20), at(500)); len(suspects) != 0 || out.Len() != 0 {
		t.Errorf("%d suspects, %d records", len(suspects), out.Len())
	}
}

// TestContradictionIsCounted: the end that was inferred comes after all.
func TestContradictionIsCounted(t *testing.T) {
	tr := story()
	tr.tell(1, flow.TypeNew, 250, nil)
	tr.tell(2, flow.TypeNew, 250, nil)
	if got := tr.mend(nil, nil); len(got) != 2 {
		t.Fatalf("%d records", len(got))
	}
	tr.tell(1, flow.TypeDestroy, 510, nil)
	tr.tell(1, flow.TypeDestroy, 511, nil)
	tr.tell(2, flow.TypeUpdate, 510, nil)
	if tr.books.Contradicted != 2 || tr.books.Flows != 1 || !tr.books.Balanced() {
		t.Errorf("books %+v", tr.books)
	}
}

// TestAFailedRoundLeavesTheLoss for the next.
func TestAFailedRoundLeavesTheLoss(t *testing.T) {
	tr := story()
	tr.tell(1, flow.TypeNew, 250, nil)
	tr.lose(at(300))
	tr.forgive()
	tr.begin()
	tr.finish()
	tr.lose(at(450))
	tr.fail()
	if since, yes := tr.incomplete(); !yes || since != at(300) {
		t.Errorf("missing %v since %d", yes, since/at(1))
	}
	if got := tr.mend(nil, nil); len(got) != 1 || got[0].Since != at(300) {
		t.Errorf("%+v", got)
	}
	if _, yes := tr.incomplete(); yes {
		t.Error("it is still missing")
	}
}

// TestLossBeforeTheFirstDump: the program was stopped soon after its start, so
// its first dump is the one that makes a loss good. A flow that began after the
// socket was joined is new; one that is older, or of unknown age, is not.
func TestLossBeforeTheFirstDump(t *testing.T) {
	tr := newTracker(&budget{max: 100}, &flow.TrackBooks{}, time.Minute, at(100))
	tr.lose(at(150))
	var told []uint64
	for _, e := range tr.mend([]*flow.Event{rowOf(1, 50, 1), rowOf(2, 160, 1), rowOf(3, 0, 1)}, nil) {
		if e.Type != flow.TypeNew || !e.Synthetic {
			t.Errorf("inferred %+v", e)
		}
		told = append(told, e.FlowID)
	}
	if len(told) != 1 || told[0] != flowEvent(2).FlowID || tr.books.Flows != 3 {
		t.Errorf("inferred the beginnings of %x; books %+v", told, tr.books)
	}
}
