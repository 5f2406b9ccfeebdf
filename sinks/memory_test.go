package sinks

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// boundBy is the memory that a queue binds: its segments, whole, and the list of what was taken.
func boundBy(m *memory) (used uint64) {
	seen := map[*segment]bool{}
	for _, p := range m.pieces {
		if p.seg != nil {
			seen[p.seg] = true
		}
	}
	for s := range seen {
		if s != nil {
			used += uint64(len(s.data)) + uint64(len(s.recs))*recordSize
		}
	}
	return used + uint64(cap(m.out))*recordSize
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

// through puts records into an empty queue and gives them as an outlet's courier takes them.
func through(m *memory, rs []Record) *Batch {
	m.begin()
	for i := range rs {
		if !m.put(&rs[i]) {
			panic("the queue is too small for the test")
		}
	}
	m.commit()
	recs, frames := m.take(len(rs), math.MaxUint64)
	return &Batch{Records: recs, frames: frames}
}

// model is what a queue is to be: a list of records.
type model struct {
	memory  *memory
	framing encode.Framing
	bare    bool
	waiting [][]byte
	taken   int
	others  segmentWriter // from which it shares
	other   *memory       // with which it does: nothing is ever taken of it
}

// FuzzMemory runs a queue against its model: two bytes are one step.
func FuzzMemory(f *testing.F) {
	f.Add(uint16(4096), uint8(0), []byte{0, 10, 0, 200, 64, 3, 128, 0, 0, 90, 130, 8})
	f.Add(uint16(600), uint8(1), bytes.Repeat([]byte{3, 255, 64, 1, 128, 0, 33, 7}, 40))
	f.Add(uint16(60000), uint8(2), []byte{0, 0, 0, 0, 70, 9, 200, 1, 255, 1})
	f.Fuzz(func(t *testing.T, size uint16, way uint8, steps []byte) {
		m := model{framing: []encode.Framing{encode.Lines, encode.Delimited}[way%2], bare: way%4 >= 2}
		segment := segmentSize(uint64(size))
		m.memory = newMemory(uint64(size), segment, m.framing, m.bare)
		m.other = newMemory(1<<30, segment, m.framing, m.bare)
		m.others = newSegmentWriter(segment, m.framing, m.bare)
		var seq uint64
		for ; len(steps) >= 2; steps = steps[2:] {
			switch n := int(steps[0]&31)<<8 | int(steps[1]); steps[0] >> 5 {
			case 0, 1, 2:
				seq++
				m.put(t, seq, n%2000)
			case 3, 4:
				seq += 4
				m.share(t, seq, n%700)
			case 5, 6:
				m.take(t, 1+n%7, uint64(n))
			default:
				m.memory.release()
				m.waiting, m.taken = m.waiting[m.taken:], 0
			}
			m.check(t)
		}
	})
}

func (m *model) put(t *testing.T, seq uint64, n int) {
	rec := Record{Value: pattern(seq, n), Seq: seq}
	m.memory.begin()
	if ok := m.memory.put(&rec); ok {
		m.waiting = append(m.waiting, rec.Value)
	} else if used := boundBy(m.memory); used+m.memory.own.next(m.memory.own.framed(&rec)) <= m.memory.limit {
		t.Fatalf("%d bytes refused with %d of %d in use", n, used, m.memory.limit)
	}
	m.memory.commit()
}

// share gives both queues three records, some of which may be longer than a segment.
func (m *model) share(t *testing.T, seq uint64, n int) {
	var pieces []piece
	var values [][]byte
	for i := range uint64(3) {
		values = append(values, pattern(seq+i, n*int(i+1)))
		pieces = joined(pieces, m.others.copy(&Record{Value: values[i], Seq: seq + i}))
	}
	m.memory.begin()
	if m.memory.share(pieces) {
		m.waiting = append(m.waiting, values...)
	}
	m.memory.commit()
	m.other.begin()
	if !m.other.share(pieces) {
		t.Fatal("no room in a gigabyte")
	}
	m.other.commit()
	m.others.settle()
}

func (m *model) take(t *testing.T, count int, limit uint64) {
	got, lent := m.memory.take(count, limit)
	m.taken = len(got)
	if len(got) == 0 && len(m.waiting) > 0 {
		t.Fatal("nothing taken of a queue that holds something")
	}
	if len(got) > count || len(got) > len(m.waiting) {
		t.Fatalf("%d taken, asked for %d of %d", len(got), count, len(m.waiting))
	}
	var want []byte
	for i, rec := range got {
		if !bytes.Equal(rec.Value, m.waiting[i]) {
			t.Fatalf("record %d (seq %d) came out changed", i, rec.Seq)
		}
		want = appendFrame(want, m.framing, rec.Value)
	}
	if m.bare != (lent == nil) && len(got) > 0 {
		t.Fatalf("bare: %v, %d frames", m.bare, len(lent))
	}
	if m.bare {
		return
	}
	var all []byte
	records := 0
	for _, f := range lent {
		records += f.records
		all = append(all, f.bytes...)
	}
	if records != len(got) || !bytes.Equal(all, want) {
		t.Fatalf("frames of %d records, %d bytes; expected %d, %d", records, len(all), len(got), len(want))
	}
	if len(got) > 1 && uint64(len(all)) > limit {
		t.Fatalf("%d bytes taken, the limit is %d", len(all), limit)
	}
}

func (m *model) check(t *testing.T) {
	n, size := m.memory.waiting()
	want := 0
	for _, v := range m.waiting {
		want += m.memory.own.framed(&Record{Value: v})
	}
	if n != len(m.waiting) || size != uint64(want) {
		t.Fatalf("waiting says %d records, %d bytes; expected %d, %d", n, size, len(m.waiting), want)
	}
	m.memory.begin()
	if f := m.memory.fill(); f < 0 || f > 1 || (n > 0) != (f > 0) {
		t.Fatalf("fill %v with %d records", f, n)
	}
}

// TestMemoryEdge fills a queue to its last byte.
func TestMemoryEdge(t *testing.T) {
	m := newMemory(64<<10, segmentSize(64<<10), encode.Lines, false)
	put := func(n uint64) bool {
		m.begin()
		ok := m.put(&Record{Value: make([]byte, n)})
		m.commit()
		return ok
	}
	if put(m.limit) || !put(m.limit-recordSize-1) {
		t.Fatal("a record must fit if it is as large as the queue, and no other")
	}
	if put(0) {
		t.Fatal("a full queue took one record more")
	}
	m.take(10, 1)
	m.release()
	n := uint64(0)
	for put(1) {
		n++
	}
	if most := m.limit / (slimRecord + recordSize); n < most*9/10 || n > most*11/10 {
		t.Fatalf("%d small records, expected about %d", n, most)
	}
}

// TestMemoryAcrossGoroutines passes records from one goroutine to another, by way of
// segments that a second queue, which is always behind, holds too.
func TestMemoryAcrossGoroutines(t *testing.T) {
	quick, slow := newMemory(8<<10, 1<<10, encode.Lines, false), newMemory(8<<10, 1<<10, encode.Lines, false)
	const total = 20_000
	shared := newSegmentWriter(1<<10, encode.Lines, false)
	go func() {
		for seq := uint64(1); seq <= total; {
			rec := Record{Value: pattern(seq, int(seq%90)), Seq: seq}
			quick.begin()
			slow.begin()
			pieces := []piece{shared.copy(&rec)}
			if try := quick.try(); quick.share(pieces) {
				if slow.share(pieces) {
					seq++
				} else {
					quick.undo(try)
				}
			}
			quick.commit()
			slow.commit()
			shared.settle()
			runtime.Gosched()
		}
	}()
	next := []uint64{1, 1}
	for next[0] <= total || next[1] <= total {
		for i, m := range []*memory{quick, slow} {
			if i == 1 && next[0] <= total && next[0]-next[1] < 8 {
				continue
			}
			recs, _ := m.take(50, 1000)
			for _, rec := range recs {
				if rec.Seq != next[i] || !bytes.Equal(rec.Value, pattern(next[i], int(next[i]%90))) {
					t.Fatalf("queue %d: expected record %d, got %d", i, next[i], rec.Seq)
				}
				next[i]++
			}
			m.release()
		}
		runtime.Gosched()
	}
}

// TestMemoryUndo takes back what began a segment: it is as if it had never been put.
func TestMemoryUndo(t *testing.T) {
	one := segmentCost(1<<10, 1<<10/slimRecord+1)
	m := newMemory(3*one, 1<<10, encode.Lines, false)
	rec := &Record{Value: make([]byte, 800)}
	m.begin()
	for range 2 { // a segment each
		if !m.put(rec) {
			t.Fatal("no room")
		}
	}
	m.commit()
	m.begin()
	try := m.try()
	if !m.put(rec) {
		t.Fatal("no room for the third")
	}
	m.undo(try)
	for m.put(&Record{Value: make([]byte, 20)}) {
		continue
	}
	m.commit()
	if n, _ := m.waiting(); n < 3 || m.cost > m.limit || boundBy(m) > m.limit {
		t.Errorf("%d records bind %d, counted as %d, of %d", n, boundBy(m), m.cost, m.limit)
	}
}

// TestSegmentsComeBack: what two queues let go of is used again, and not before.
func TestSegmentsComeBack(t *testing.T) {
	w := newSegmentWriter(1<<10, encode.Lines, false)
	one, two := newMemory(1<<20, 1<<10, encode.Lines, false), newMemory(1<<20, 1<<10, encode.Lines, false)
	for range 50 {
		pieces := []piece{w.copy(&Record{Value: make([]byte, 100)})}
		for _, m := range []*memory{one, two} {
			m.begin()
			m.share(pieces)
			m.commit()
		}
		w.settle()
	}
	one.take(1000, 1<<20)
	one.release()
	if n := len(w.pool.spare); n != 0 {
		t.Errorf("%d segments are spare that the other queue holds", n)
	}
	two.take(1000, 1<<20)
	two.release()
	most := len(w.pool.spare)
	if most < 5 {
		t.Errorf("%d segments are spare", most)
	}
	for range 20 * sparePeriod { // one is in use, mostly: the others are let go
		w.pool.put(w.pool.get())
	}
	if n := len(w.pool.spare); n == 0 || n > 2 {
		t.Errorf("of %d spare segments %d are left", most, n)
	}
	if len(one.pieces)-one.first != 0 || one.cost != 0 || two.cost != 0 {
		t.Errorf("the empty queues count %d and %d", one.cost, two.cost)
	}
}

// longWords writes records of as many bytes as the event's number says.
type longWords struct{}

func (longWords) Append(dst []byte, e *flow.Event) []byte {
	return append(dst, pattern(e.Seq, int(e.Seq))...)
}

// TestSegmentWriterFrames writes records of every length that matters: around those
// where a frame's prefix grows, where a segment ends, and longer than any segment.
func TestSegmentWriterFrames(t *testing.T) {
	lengths := []uint64{0, 1, 127, 128, 3000, 1000, 5000, 16383, 16384, 20000, 100, 70000, 5}
	for range 300 {
		lengths = append(lengths, rand.Uint64N(1500))
	}
	for _, framing := range []encode.Framing{encode.Lines, encode.Delimited} {
		for _, size := range []int{minSegment, 16 << 10, 40 << 10, maxSegment} {
			w := newSegmentWriter(size, framing, false)
			var pieces []piece
			var want, got []byte
			for _, n := range lengths {
				e := &flow.Event{Seq: n, Type: flow.TypeNew}
				w.begin()
				rec := w.encode(longWords{}, e)
				if rec.Seq != n || !bytes.Equal(rec.Value, pattern(n, int(n))) {
					t.Fatalf("%v, segments of %d: the record of %d bytes is %d long", framing, size, n, len(rec.Value))
				}
				for _, p := range w.pieces() {
					pieces = joined(pieces, p)
				}
				want = appendFrame(want, framing, pattern(n, int(n)))
			}
			for _, p := range pieces {
				got = append(got, p.frames()...)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%v, segments of %d: the frames are not those of a file", framing, size)
			}
			if len(pieces) > len(w.sealed)+1 {
				t.Errorf("%v, segments of %d: %d pieces of %d segments", framing, size, len(pieces), len(w.sealed)+1)
			}
		}
	}
}

// TestSharedMemoryBound freezes sinks that share, in several ways, until nothing fits.
// What they bind together, whole segments, is within what each may use for itself.
func TestSharedMemoryBound(t *testing.T) {
	for _, encoding := range []string{"json", "protobuf"} {
		outlets := []*Outlet{}
		for i, memory := range []option.Size{4 * option.MiB, 2 * option.MiB, 2 * option.MiB} {
			outlets = append(outlets, outletFor(t, strings.Repeat("s", i+1), discard{}, func(c *Config) {
				c.Encoding, c.Memory = encoding, memory
				if i == 2 {
					c.Filter = &oddOnly{}
				}
			}))
		}
		f := NewFanout(outlets...)
		fill := 0.0
		for n := range uint64(2000) {
			types := slices.Repeat([]flow.Type{flow.TypeNew}, 1+int(n%40))
			if n%100 == 0 {
				types = append(types, flow.TypeStatus)
			}
			fill = f.Take(batchOf(n*64+1, types...))
		}
		for _, o := range outlets {
			b := o.Books()
			if used := boundBy(o.memory); used > uint64(o.cfg.Memory) || used < uint64(o.cfg.Memory)*2/3 {
				t.Errorf("%s, %s: %d bytes are bound, of %d", encoding, o.Name(), used, o.cfg.Memory)
			}
			if !b.Balanced() || b.Held == 0 || dropped(b, dropMemory) == 0 || fill < 0.9 {
				t.Errorf("%s, %s: fill %v, %+v", encoding, o.Name(), fill, b)
			}
		}
		drainAll(t, outlets...)
	}
}
