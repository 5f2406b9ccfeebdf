package ctnetlink

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// FuzzDecode feeds datagrams: nothing panics, nothing is read past the end, a
// refused datagram leaves the batch as it was, and what was accepted survives
// encoding and decoding.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		p, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	r := rand.New(rand.NewPCG(1, 1))
	src := flow.NewBatch(1)
	for range 50 {
		src.Reset()
		f.Add(eventMessage(randomEvent(r, src)))
	}
	f.Add(append(good(), good()...))
	f.Fuzz(func(t *testing.T, p []byte) {
		b := flow.NewBatch(4)
		kept := randomEvent(rand.New(rand.NewPCG(2, 2)), b)
		before, extra := describe(kept), b.ExtraFor(kept)
		var d decoder
		got, err := d.datagram(b, p[:len(p):len(p)])
		if describe(&b.Events()[0]) != before || b.Events()[0].Extra != extra {
			t.Fatal("an event that stood in the batch has changed")
		}
		if err != nil {
			checkUndone(t, b, got)
			return
		}
		if int(got.events) != b.Len()-1 {
			t.Fatalf("%d events counted, %d added", got.events, b.Len()-1)
		}
		for i := range b.Events()[1:] {
			checkAgain(t, &b.Events()[1+i])
		}
	})
}

// checkUndone looks whether a batch is as it was with its first event alone.
func checkUndone(t *testing.T, b *flow.Batch, got decoded) {
	if b.Len() != 1 || got.events != 0 || got.rest != nil {
		t.Fatalf("refused, but %+v and %d events", got, b.Len())
	}
	next := b.ExtraFor(b.Next())
	fresh := flow.NewBatch(4)
	fresh.ExtraFor(fresh.Next())
	if next == b.Events()[0].Extra {
		t.Fatal("two events share a side slot")
	}
	for range 2 { // the side slots must last for every slot
		b.ExtraFor(b.Next())
	}
}

// checkAgain encodes what was decoded and decodes it again.
func checkAgain(t *testing.T, e *flow.Event) {
	b := flow.NewBatch(1)
	var d decoder
	p := eventMessage(e)
	if _, err := d.datagram(b, p); err != nil {
		t.Fatalf("%v: %x from\n%s", err, p, describe(e))
	}
	if got, want := describe(&b.Events()[0]), describe(e); got != want {
		t.Fatalf("first\n%sthen\n%s", want, got)
	}
}

// FuzzRoundTrip makes events of every shape from a seed.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, c uint64) {
		b := flow.NewBatch(1)
		checkAgain(t, randomEvent(rand.New(rand.NewPCG(a, c)), b))
	})
}
