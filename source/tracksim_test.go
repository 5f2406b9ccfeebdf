package source

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// sim is a kernel, a socket that loses events, and a consumer, in small: the
// rules of tracking are tried on all that can happen between a dump and the
// events, in an order that chance gives.
type sim struct {
	t      *testing.T
	r      *rand.Rand
	stamps bool // flows have a start
	narrow bool // not every flow can be tracked
	now    int64

	kernel map[int]*session
	queue  []flow.Event // what the socket holds
	flows  [simFlows]flow.Event
	room   int
	lost   bool // since the drop counter was read

	tr    *tracker
	books flow.TrackBooks
	out   *flow.Batch

	alive map[uint64]bool        // what the consumer believes
	log   map[uint64][]happening // by flow
}

// happening is what a failure tells.
type happening struct {
	at       int64
	what     string
	typ      flow.Type
	inferred bool
}

// String is a line of its own.
func (h happening) String() string {
	return fmt.Sprintf("\n%d %s %s (inferred %v)", h.at, h.what, h.typ, h.inferred)
}

// session is a flow in the kernel's table.
type session struct {
	start  int64
	mark   uint32
	passed uint64
}

const simFlows = 12

func newSim(t *testing.T, seed uint64, stamps bool, limit int) *sim {
	s := &sim{t: t, narrow: limit < simFlows, r: rand.New(rand.NewPCG(seed, 9)), stamps: stamps, now: int64(time.Hour), kernel: map[int]*session{}, room: 6,
		out: flow.NewBatch(batchSlots), alive: map[uint64]bool{}, log: map[uint64][]happening{}}
	for n := range s.flows {
		s.flows[n] = *flowEvent(n)
	}
	s.tr = newTracker(&budget{max: limit}, &s.books, time.Minute, s.now)
	return s
}

// event makes what the kernel tells of flow n.
func (s *sim) event(n int, typ flow.Type) flow.Event {
	k := s.kernel[n]
	e := s.flows[n]
	e.Type, e.Mark = typ, k.mark
	e.Has |= flow.HasMark
	e.Time, e.TimeSource = s.now, flow.TimeKernel
	if s.stamps && (typ == flow.TypeDestroy || typ == flow.TypeDump) {
		e.Start, e.Has = k.start, e.Has|flow.HasStart
	}
	if typ == flow.TypeDestroy || typ == flow.TypeDump {
		e.OrigCounters = flow.Counters{Packets: k.passed, Bytes: 100 * k.passed}
		e.ReplyCounters = e.OrigCounters
		e.Has |= flow.HasOrigCounters | flow.HasReplyCounters
	}
	return e
}

// send is the kernel's: without room an event is lost.
func (s *sim) send(e flow.Event) {
	if len(s.queue) >= s.room {
		s.lost = true
		s.note(&e, "lost")
		return
	}
	s.queue = append(s.queue, e)
}

// step lets something happen in the kernel.
func (s *sim) step() {
	s.now += int64(time.Second)
	n := s.r.IntN(simFlows)
	k := s.kernel[n]
	switch {
	case k == nil:
		s.kernel[n] = &session{start: s.now}
		s.send(s.event(n, flow.TypeNew))
	case s.r.IntN(2) == 0:
		k.mark = s.r.Uint32N(3)
		k.passed++
		s.send(s.event(n, flow.TypeUpdate))
	default:
		s.send(s.event(n, flow.TypeDestroy))
		delete(s.kernel, n)
		if s.r.IntN(3) == 0 { // the same tuple at once, with the same id
			s.now += int64(time.Second)
			s.kernel[n] = &session{start: s.now}
			s.send(s.event(n, flow.TypeNew))
		}
	}
}

// account reads the drop counter.
func (s *sim) account() {
	if s.lost {
		s.lost = false
		s.tr.lose(s.now - int64(100*time.Second))
	}
}

// read takes in so many of the queued events, as socket.observe does.
func (s *sim) read(n int) {
	for range min(n, len(s.queue)) {
		e := s.queue[0]
		s.queue = s.queue[1:]
		p := s.tr.table.find(&e)
		if e.Type == flow.TypeNew && s.tr.alive(p) {
			s.account()
			if _, yes := s.tr.incomplete(); yes && s.tr.replaces(p, &e) {
				s.out.Reset()
				s.tr.lostEnd(p, s.out, timeOf(&e, s.now))
				s.handAll()
			}
		}
		s.tr.see(p, &e, true, s.now)
		s.hand(&e)
	}
}

// hand gives a record to the consumer.
func (s *sim) hand(e *flow.Event) {
	was := s.alive[e.FlowID]
	s.note(e, "told")
	bad := ""
	switch {
	case e.Type == flow.TypeNew && was && (e.Synthetic || !s.narrow):
		bad = "is new twice"
	case e.Synthetic && e.Type != flow.TypeNew && !was && !s.narrow:
		bad = "is not there"
	case e.Synthetic && (!e.Got(flow.HasBounds|flow.HasSynthetic) || e.Since > e.Until || e.Until > s.now || e.Since <= 0):
		bad = "has no bounds"
	case e.Any(flow.HasOrigDeltas) && e.OrigDeltas.Packets > e.OrigCounters.Packets:
		bad = "tells more than passed"
	}
	if bad != "" {
		s.t.Fatalf("flow %x %s: %s, inferred %v, %d to %d, at %d; %v", e.FlowID, bad, e.Type, e.Synthetic, e.Since, e.Until, s.now, s.log[e.FlowID])
	}
	s.alive[e.FlowID] = e.Type != flow.TypeDestroy
	s.balanced()
}

// note keeps what happened, for a failure to tell.
func (s *sim) note(e *flow.Event, what string) {
	s.log[e.FlowID] = append(s.log[e.FlowID], happening{s.now / int64(time.Second), what, e.Type, e.Any(flow.HasSynthetic)})
}

func (s *sim) balanced() {
	if !s.books.Balanced() || s.tr.budget.used != s.tr.table.used || s.tr.budget.used > s.tr.budget.max {
		s.t.Fatalf("books %+v; %d of %d entries in use, the table has %d", s.books, s.tr.budget.used, s.tr.budget.max, s.tr.table.used)
	}
}

// round is socket.reconcile, with the kernel at work in between.
func (s *sim) round(busy bool) {
	meanwhile := func() {
		if busy {
			for range s.r.IntN(4) {
				s.step()
			}
			s.read(s.r.IntN(5))
		}
	}
	s.account()
	s.tr.forgive()
	s.read(len(s.queue))
	begun := s.now
	for n := range simFlows {
		s.note(&s.flows[n], "round begins")
	}
	s.tr.begin()
	for _, n := range s.r.Perm(simFlows) {
		meanwhile()
		if s.kernel[n] == nil {
			continue
		}
		row := s.event(n, flow.TypeDump)
		s.note(&row, "row")
		meanwhile() // the row is on its way
		if p, trailing := s.tr.seeRow(&row, true, s.now); !trailing && p != 0 {
			s.tr.interim(p, &row, s.now)
		}
	}
	s.read(len(s.queue))
	s.tr.finish()
	suspects := make([]suspect, 0, 4)
	for from := place(1); from != 0; {
		s.out.Reset()
		from, suspects = s.tr.scan(from, 5, s.out, suspects[:0], s.now)
		s.handAll()
		s.settle(suspects, meanwhile)
	}
	s.tr.succeeded(begun)
	s.balanced()
}

// settle asks for each suspect and judges it.
func (s *sim) settle(suspects []suspect, meanwhile func()) {
	var answers []flow.Event
	for i := range suspects {
		meanwhile()
		suspects[i].gone = true
		for n := range simFlows {
			if s.kernel[n] == nil {
				continue
			}
			if row := s.event(n, flow.TypeDump); row.FlowID == suspects[i].flowID {
				suspects[i].gone, suspects[i].row = false, len(answers)
				answers = append(answers, row)
			}
		}
	}
	meanwhile()
	s.read(len(s.queue))
	s.out.Reset()
	for i := range suspects {
		s.tr.judge(&suspects[i], answers, s.out, s.now)
	}
	s.handAll()
}

func (s *sim) handAll() {
	for i := range s.out.Events() {
		s.hand(&s.out.Events()[i])
	}
}

// same wants the tracker, the consumer and the kernel to agree.
func (s *sim) same() {
	for n := range simFlows {
		e := s.flows[n]
		p := s.tr.table.find(&e)
		k := s.kernel[n]
		if s.tr.alive(p) != (k != nil) || s.alive[e.FlowID] != (k != nil) {
			s.t.Fatalf("flow %d: tracked %v, told %v, in the kernel %v; %v", n, s.tr.alive(p), s.alive[e.FlowID], k != nil, s.log[e.FlowID])
		}
		if k != nil && s.tr.table.at(p).mark != k.mark {
			s.t.Fatalf("flow %d: mark %d tracked, %d in the kernel", n, s.tr.table.at(p).mark, k.mark)
		}
	}
}

// simulate runs for a while and then lets the kernel rest.
func simulate(t *testing.T, seed uint64, stamps bool, limit int) *sim {
	s := newSim(t, seed, stamps, limit)
	s.round(false) // of an empty table
	for range 8 {
		for range s.r.IntN(30) {
			s.step()
			if s.r.IntN(3) > 0 {
				s.read(s.r.IntN(3))
			}
		}
		if s.r.IntN(2) == 0 {
			s.read(len(s.queue))
			s.account()
		}
		s.round(true)
	}
	s.read(len(s.queue))
	s.round(false)
	s.round(false) // what was lost under the last is made good now
	return s
}

func TestTrackingAgainstAKernel(t *testing.T) {
	flows := 0
	for seed := range uint64(600) {
		s := simulate(t, seed, seed%2 == 0, 1000)
		s.same()
		flows += int(s.books.Added)
	}
	t.Logf("%d flows", flows)
}

// TestTrackingAtItsBound: with too little room nothing is told wrongly, and it
// is counted.
func TestTrackingAtItsBound(t *testing.T) {
	untracked := uint64(0)
	for seed := range uint64(300) {
		s := simulate(t, seed, true, 5)
		untracked += s.books.Untracked
	}
	if untracked == 0 {
		t.Error("the bound was never reached")
	}
}

func FuzzTracking(f *testing.F) {
	f.Add(uint64(1), true, uint8(200))
	f.Add(uint64(2), false, uint8(3))
	f.Fuzz(func(t *testing.T, seed uint64, stamps bool, limit uint8) {
		if s := simulate(t, seed, stamps, 1+int(limit)); !s.narrow && s.books.Untracked == 0 {
			s.same()
		}
	})
}
