package flow

import (
	"fmt"
	"slices"
	"testing"
)

func TestBatchFills(t *testing.T) {
	b := NewBatch(3)
	for i := range 3 {
		e := b.Next()
		if e == nil || b.Len() != i+1 || b.Free() != 2-i {
			t.Fatalf("slot %d: %v, len %d, free %d", i, e, b.Len(), b.Free())
		}
		e.Seq = uint64(i)
	}
	if b.Next() != nil {
		t.Error("a full batch gives a slot")
	}
	for i := range b.Events() {
		if b.Events()[i].Seq != uint64(i) {
			t.Error("events are out of order")
		}
	}
	b.Reset()
	if b.Len() != 0 || b.Free() != 3 || len(b.Events()) != 0 {
		t.Error("Reset leaves events")
	}
	b.Undo() // of nothing
	if b.Len() != 0 {
		t.Error("Undo of nothing")
	}
	if NewBatch(0).Next() != nil {
		t.Error("a batch without slots gives one")
	}
}

// TestBatchSlotsAreEmpty leaves garbage everywhere and takes the slots again.
func TestBatchSlotsAreEmpty(t *testing.T) {
	b := NewBatch(1)
	e := b.Next()
	x := b.ExtraFor(e)
	*e = *fullEvent(ProtoTCP)
	e.Dump, e.Gap, e.Agent, e.Synthetic, e.TimeSource, e.Seq, e.Time = &DumpInfo{}, &Gap{}, &Agent{}, true, TimeKernel, 1, 2
	x.Master.Has, x.Expect.Has, x.Expect.Tuple.Has, x.Expect.Mask.Has, x.Expect.Master.Has, x.Expect.NAT.Has = 1, 1, 1, 1, 1, 1
	b.Reset()
	e = b.Next()
	if e.Has != 0 || e.Type != 0 || e.Table != 0 || e.Family != 0 || e.Proto != 0 || e.Seq != 0 || e.Time != 0 || e.TimeSource != 0 || e.Synthetic {
		t.Errorf("a value is left: %+v", e)
	}
	if e.Origin != nil || e.Dump != nil || e.Extra != nil || e.Gap != nil || e.Agent != nil || e.Orig.Has != 0 || e.Reply.Has != 0 {
		t.Errorf("a pointer or a tuple is left: %+v", e)
	}
	if e.Mark == 0 {
		t.Error("the slot was cleared, not reused: Reset is to be cheap")
	}
	x = b.ExtraFor(e)
	if x.Master.Has|x.Expect.Tuple.Has|x.Expect.Mask.Has|x.Expect.Master.Has|x.Expect.NAT.Has != 0 || x.Expect.Has != 0 {
		t.Errorf("an extra is left: %+v", x)
	}
	if b.ExtraFor(e) != x {
		t.Error("the second call gives another slot")
	}
	if e.Got(HasOrig) || e.Any(^Has(0)) {
		t.Error("presence after Reset")
	}
	e.Has = HasOrig | HasMark
	if !e.Got(HasOrig|HasMark) || e.Got(HasOrig|HasReply) || !e.Any(HasReply|HasMark) {
		t.Error("Got or Any")
	}
}

// model is a batch as it should be: a list of what is in it.
type model struct {
	slots int
	rows  []row
}

type row struct {
	id    uint64
	extra string // "" for none
}

// FuzzBatch runs operations on a batch and on the model and compares. Each
// event's extra carries the event's own mark, so that two that share a slot show.
func FuzzBatch(f *testing.F) {
	f.Add([]byte{4, 0, 1, 0, 0, 1, 2, 3, 0, 1, 4})
	f.Add([]byte{3, 0, 1, 0, 1, 0, 3, 0, 1, 2, 0, 1})
	f.Add([]byte{8, 0, 1, 0, 1, 0, 1, 0, 1, 19, 2, 0, 1, 2, 2, 0, 1, 4, 0, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) == 0 {
			return
		}
		m := model{slots: int(ops[0] % 9)}
		b := NewBatch(m.slots)
		var last *Event // what Next gave last and nothing has moved since
		for i, op := range ops[1:] {
			switch op % 5 {
			case 0:
				last = b.Next()
				if (last == nil) != (len(m.rows) == m.slots) {
					t.Fatalf("Next gave %v with %d of %d", last, len(m.rows), m.slots)
				}
				if last != nil {
					if last.Extra != nil || last.Has != 0 {
						t.Fatal("a slot is not empty")
					}
					last.Seq = uint64(i + 1)
					m.rows = append(m.rows, row{id: last.Seq})
				}
			case 1:
				if last != nil {
					b.ExtraFor(last).Helper = fmt.Sprint(last.Seq)
					m.rows[len(m.rows)-1].extra = fmt.Sprint(last.Seq)
				}
			case 2:
				b.Undo()
				last = nil
				m.rows = m.rows[:max(0, len(m.rows)-1)]
			case 3:
				mask := uint64(op/5) | 1<<(op%7)
				keep := func(id uint64) bool { return mask>>(id%8)&1 != 0 }
				b.Keep(func(e *Event) bool { return keep(e.Seq) })
				m.rows = slices.DeleteFunc(m.rows, func(r row) bool { return !keep(r.id) })
				last = nil
			case 4:
				b.Reset()
				m.rows, last = nil, nil
			}
			m.compare(t, b)
		}
	})
}

func (m *model) compare(t *testing.T, b *Batch) {
	t.Helper()
	if b.Len() != len(m.rows) || b.Free() != m.slots-len(m.rows) || len(b.Events()) != len(m.rows) {
		t.Fatalf("len %d, free %d, want %d of %d", b.Len(), b.Free(), len(m.rows), m.slots)
	}
	for i := range b.Events() {
		e, want := &b.Events()[i], m.rows[i]
		if e.Seq != want.id || (e.Extra == nil) != (want.extra == "") || e.Extra != nil && e.Extra.Helper != want.extra {
			t.Fatalf("event %d is %d with %+v, want %+v", i, e.Seq, e.Extra, want)
		}
	}
}

func TestInsert(t *testing.T) {
	b := NewBatch(4)
	for i := range 3 {
		e := b.Next()
		e.Mark = uint32(i)
		e.Has = HasMark
		b.ExtraFor(e).ProgName = string(rune('a' + i))
	}
	in := b.Insert(1)
	if in == nil || in.Has != 0 || in.Extra != nil {
		t.Fatalf("inserted %+v", in)
	}
	in.Mark = 9
	var marks []uint32
	var names string
	for i := range b.Events() {
		e := &b.Events()[i]
		marks = append(marks, e.Mark)
		if e.Extra != nil {
			names += e.Extra.ProgName
		}
	}
	if !slices.Equal(marks, []uint32{0, 9, 1, 2}) || names != "abc" {
		t.Errorf("marks %v, names %q", marks, names)
	}
	if b.Insert(0) != nil {
		t.Error("a full batch took one more")
	}
	b.Keep(func(e *Event) bool { return e.Mark == 9 || e.Mark == 2 })
	if b.Insert(3) != nil || b.Insert(-1) != nil {
		t.Error("inserted beyond the end")
	}
	if e := b.Insert(2); e == nil || b.Len() != 3 || b.ExtraFor(e).ProgName == "c" && b.Events()[1].Extra == e.Extra {
		t.Error("an event shares another's extra")
	}
}

func TestTrackBooks(t *testing.T) {
	a := TrackBooks{Flows: 1, Added: 3, Ended: 2, Max: 10, Untracked: 4, Synthetic: 5, Interim: 6, Suppressed: 7, Contradicted: 8, Reconciled: 9, Failed: 1}
	sum := a
	sum.Add(&a)
	want := TrackBooks{Flows: 2, Added: 6, Ended: 4, Max: 10, Untracked: 8, Synthetic: 10, Interim: 12, Suppressed: 14, Contradicted: 16, Reconciled: 18, Failed: 2}
	if sum != want || !sum.Balanced() {
		t.Errorf("%+v", sum)
	}
	s := SocketBooks{Track: TrackBooks{Flows: 1}}
	if s.Balanced() {
		t.Error("a flow that nobody added balances")
	}
}
