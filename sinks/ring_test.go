package sinks

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"
)

// model is what a ring is to be: a list of records with an account of the room.
type model struct {
	waiting [][]byte
	taken   int
}

// pattern is a value of n bytes that names its record.
func pattern(seq uint64, n int) []byte {
	b := make([]byte, n)
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], seq*0x9E3779B97F4A7C15+1)
	for i := range b {
		b[i] = word[i%8] + byte(i/8)
	}
	return b
}

// FuzzRing runs a ring against its model: two bytes are one step.
func FuzzRing(f *testing.F) {
	f.Add(uint16(4096), []byte{0, 10, 0, 200, 64, 3, 128, 0, 0, 90})
	f.Add(uint16(600), bytes.Repeat([]byte{3, 255, 64, 1, 128, 0}, 40))
	f.Add(uint16(1), []byte{0, 0, 0, 0, 70, 9})
	f.Fuzz(func(t *testing.T, size uint16, steps []byte) {
		memory := uint64(size) + 4*recordSize
		r := newRing(memory)
		if used := uint64(len(r.data)) + uint64(len(r.recs))*recordSize; used > memory {
			t.Fatalf("a ring of %d bytes uses %d", memory, used)
		}
		var m model
		var seq uint64
		for ; len(steps) >= 2; steps = steps[2:] {
			switch n := int(steps[0]&63)<<8 | int(steps[1]); steps[0] >> 6 {
			case 0, 1:
				seq++
				stepPut(t, r, &m, seq, n%2000)
			case 2:
				stepTake(t, r, &m, 1+n%7, uint64(n))
			default:
				r.release()
				m.waiting, m.taken = m.waiting[m.taken:], 0
			}
			checkRing(t, r, &m)
		}
	})
}

func stepPut(t *testing.T, r *ring, m *model, seq uint64, n int) {
	w := r.begin()
	rec := Record{Value: pattern(seq, n), Seq: seq}
	if w.put(&rec) {
		r.commit(w)
		m.waiting = append(m.waiting, rec.Value)
		return
	}
	held := 0
	for _, v := range m.waiting {
		held += len(v)
	}
	// What is refused really has no room: the gap at a lap's end wastes less than one record, or the headers are out.
	if len(m.waiting) < len(r.recs) && held+2*max(n, longest(m))+1 < len(r.data) {
		t.Fatalf("%d bytes refused with %d of %d in use", n, held, len(r.data))
	}
}

func longest(m *model) int {
	n := 0
	for _, v := range m.waiting {
		n = max(n, len(v))
	}
	return n
}

func stepTake(t *testing.T, r *ring, m *model, count int, limit uint64) {
	got := r.take(count, limit)
	m.taken = len(got)
	if len(got) == 0 && len(m.waiting) > 0 {
		t.Fatal("nothing taken of a ring that holds something")
	}
	if len(got) > count || len(got) > len(m.waiting) {
		t.Fatalf("%d taken, asked for %d of %d", len(got), count, len(m.waiting))
	}
	sum := uint64(0)
	for i, rec := range got {
		sum += uint64(len(rec.Value))
		if !bytes.Equal(rec.Value, m.waiting[i]) {
			t.Fatalf("record %d (seq %d) came out changed", i, rec.Seq)
		}
	}
	if len(got) > 1 && sum > limit {
		t.Fatalf("%d bytes taken, the limit is %d", sum, limit)
	}
}

func checkRing(t *testing.T, r *ring, m *model) {
	n, size := r.waiting()
	want := 0
	for _, v := range m.waiting {
		want += len(v)
	}
	if n != len(m.waiting) || size != uint64(want) {
		t.Fatalf("waiting says %d records, %d bytes; expected %d, %d", n, size, len(m.waiting), want)
	}
	w := r.begin()
	if f := w.fill(); f < 0 || f > 1 || (n > 0) != (f > 0) && want > 0 {
		t.Fatalf("fill %v with %d records", f, n)
	}
}

// TestRingEdge fills a ring to its last byte and to its last header.
func TestRingEdge(t *testing.T) {
	r := newRing(64 << 10)
	put := func(n int) bool {
		w := r.begin()
		ok := w.put(&Record{Value: make([]byte, n)})
		r.commit(w)
		return ok
	}
	if !put(len(r.data)) {
		t.Fatal("a record as large as the ring does not fit an empty one")
	}
	if put(1) {
		t.Fatal("a full ring took one byte more")
	}
	if !put(0) {
		t.Fatal("an empty record needs no byte")
	}
	r.take(10, 1)
	r.release()
	r.take(10, 1)
	r.release()
	for i := range r.recs {
		if !put(1) {
			t.Fatalf("record %d of %d refused", i, len(r.recs))
		}
	}
	if put(1) {
		t.Fatal("more records than headers")
	}
}

// TestRingAcrossGoroutines passes records from one goroutine to another.
func TestRingAcrossGoroutines(t *testing.T) {
	r := newRing(8 << 10)
	const total = 10_000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for seq := uint64(1); seq <= total; {
			w := r.begin()
			for w.put(&Record{Value: pattern(seq, int(seq%90)), Seq: seq}) && seq <= total {
				seq++
			}
			r.commit(w)
			runtime.Gosched()
		}
	}()
	for next := uint64(1); next <= total; {
		for _, rec := range r.take(50, 1000) {
			if rec.Seq != next || !bytes.Equal(rec.Value, pattern(next, int(next%90))) {
				t.Fatalf("expected record %d, got %d", next, rec.Seq)
			}
			next++
		}
		r.release()
		runtime.Gosched()
	}
	<-done
}
