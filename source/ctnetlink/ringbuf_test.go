package ctnetlink

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// fakeRing is a ring in our own memory, with a writer that this test plays.
type fakeRing struct {
	ringBuffer
	end      uintptr
	released uintptr
}

func newFakeRing(size int) *fakeRing {
	f := &fakeRing{}
	f.data = make([]byte, size)
	f.produced, f.consumed = &f.end, &f.released
	return f
}

// put writes a record that begins with the given length word and holds room bytes after it.
func (f *fakeRing) put(state uint32, length uint64, body []byte, room int) {
	record := make([]byte, ringHeader+ringPrefix+room)
	binary.NativeEndian.PutUint32(record, uint32(ringPrefix+room)|state)
	binary.NativeEndian.PutUint64(record[ringHeader:], length)
	copy(record[ringHeader+ringPrefix:], body)
	for i, c := range record {
		f.data[(f.end+uintptr(i))%uintptr(len(f.data))] = c
	}
	f.end += uintptr(len(record)+7) &^ 7
}

// ready makes a record at the given position whole.
func (f *fakeRing) ready(at uintptr) {
	p := f.data[at%uintptr(len(f.data)):]
	binary.NativeEndian.PutUint32(p, binary.NativeEndian.Uint32(p)&^ringBusy)
}

func TestRingBufferRead(t *testing.T) {
	f := newFakeRing(4096)
	out := make([]datagram, 8)
	if n := f.read(out, f.written()); n != 0 {
		t.Errorf("%d datagrams in an empty ring", n)
	}
	f.put(0, 3, []byte("one"), 144)
	f.put(ringDiscarded, 3, []byte("bad"), 144)
	f.put(0, 5000, nil, 144)
	bound := f.end
	f.put(0, 0, nil, 144)
	if n := f.read(out, bound); n != 2 || string(out[0].data) != "one" || out[0].truncated || !out[1].truncated {
		t.Errorf("%d datagrams: %+v", n, out[:2])
	}
	if f.queued() != int(f.end-bound) {
		t.Errorf("%d bytes are queued after the bound: expected %d", f.queued(), f.end-bound)
	}
	busy := f.end
	f.put(ringBusy, 3, []byte("two"), 144)
	f.put(0, 5, []byte("three"), 144)
	if n := f.read(out, f.written()); n != 1 || len(out[0].data) != 0 || out[0].truncated {
		t.Errorf("before one that is not whole: %d datagrams", n)
	}
	if n := f.read(out, f.written()); n != 0 || f.queued() == 0 {
		t.Errorf("at one that is not whole: %d datagrams, %d bytes queued", n, f.queued())
	}
	f.ready(busy)
	if n := f.read(out, f.written()); n != 2 || string(out[0].data) != "two" || string(out[1].data) != "three" || f.queued() != 0 {
		t.Errorf("when it is whole: %d datagrams", n)
	}
	if f.released != 0 {
		t.Errorf("%d bytes were given back before release", f.released)
	}
	if f.release(); f.released != f.end {
		t.Errorf("%d of %d bytes were given back", f.released, f.end)
	}
}

// TestRingBufferWraps goes round many times, so that records of every size lie
// across the end at every place.
func TestRingBufferWraps(t *testing.T) {
	f := newFakeRing(4096)
	out := make([]datagram, 2)
	sizes := ringSizes()
	for i := range 5000 {
		room := int(sizes[i%len(sizes)])
		body := bytes.Repeat([]byte{byte(i), byte(i >> 8), 7}, room)[:room-i%8]
		f.put(0, uint64(len(body)), body, room)
		if n := f.read(out, f.written()); n != 1 || !bytes.Equal(out[0].data, body) {
			t.Fatalf("record %d of %d bytes: %d datagrams", i, len(body), n)
		}
		f.release()
	}
}

// TestRingBufferBounds reads no more than there are slots.
func TestRingBufferBounds(t *testing.T) {
	f := newFakeRing(4096)
	for range 5 {
		f.put(0, 1, []byte("x"), 144)
	}
	out := make([]datagram, 3)
	if a, b := f.read(out, f.written()), f.read(out, f.written()); a != 3 || b != 2 {
		t.Errorf("%d, then %d datagrams", a, b)
	}
}

// TestRingExchange reads while the kernel puts a new ring in the place of an old
// one: what was whole in the old one comes first, whatever becomes of it meanwhile.
func TestRingExchange(t *testing.T) {
	old, young := newFakeRing(4096), newFakeRing(4096)
	r := &ring{out: make([]datagram, 8), bufs: []*ringBuffer{&old.ringBuffer, &young.ringBuffer}}
	step := func(name string, want ...string) {
		t.Helper()
		got, err := r.next()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var words []string
		for _, d := range got {
			words = append(words, string(d.data))
		}
		if !slices.Equal(words, want) {
			t.Errorf("%s: %q, want %q", name, words, want)
		}
	}
	put := func(f *fakeRing, state uint32, word string) uintptr {
		at := f.end
		f.put(state, uint64(len(word)), []byte(word), 144)
		return at
	}
	step("nothing")
	put(old, 0, "a")
	put(young, 0, "b")
	step("the old one first", "a")
	step("then the new one, though the exchange is not over", "b")
	busy := put(old, ringBusy, "c")
	put(old, 0, "d")
	put(young, 0, "e")
	step("the old one is being written to")
	old.ready(busy)
	step("the old one's late events", "c", "d")
	r.complete = 1
	put(old, 0, "f")
	step("the old one, complete", "f")
	step("the new one after the end of the old one", "e")
	if len(r.bufs) != 1 || r.complete != 0 || old.released != old.end {
		t.Errorf("%d rings are left, %d complete; %d of %d bytes of the old one given back", len(r.bufs), r.complete, old.released, old.end)
	}
	put(young, 0, "g")
	step("the new one alone", "g")
}
