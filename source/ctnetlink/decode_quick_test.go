package ctnetlink

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// walked gives a datagram with NLA_F_NET_BYTEORDER set in every attribute of
// its messages' first level: the walk looks away from it, and no fast form has it.
func walked(p []byte) []byte {
	out := append([]byte(nil), p...)
	for p := out; len(p) > 0; {
		m, rest, err := cutMessage(p)
		if err != nil {
			break
		}
		if len(m.body) < genLen {
			p = rest
			continue
		}
		for a := m.body[genLen:]; len(a) > 0; {
			_, _, next, ok := cutAttr(a)
			if !ok {
				break
			}
			binary.NativeEndian.PutUint16(a[2:], binary.NativeEndian.Uint16(a[2:])|0x4000)
			a = next
		}
		p = rest
	}
	return out
}

// twoWays are two batches whose slots hold what earlier events have left.
type twoWays struct{ quick, slow *flow.Batch }

func newTwoWays() twoWays { return twoWays{soiled(), soiled()} }

func soiled() *flow.Batch {
	b := flow.NewBatch(2)
	r := rand.New(rand.NewPCG(11, 11))
	for b.Free() > 0 {
		randomEvent(r, b)
	}
	b.Reset()
	return b
}

// same decodes a datagram by the fast forms and by the walk alone, and
// wants the same events or the same refusal.
func (w twoWays) same(t *testing.T, p []byte) (events int) {
	t.Helper()
	quick, slow := w.quick, w.slow
	quick.Reset()
	slow.Reset()
	var d decoder
	got, errQuick := d.datagram(quick, p[:len(p):len(p)])
	want, errSlow := d.datagram(slow, walked(p))
	if errQuick != errSlow || got.events != want.events || got.foreign != want.foreign || len(got.rest) != len(want.rest) {
		t.Fatalf("%v %+v, by the walk %v %+v: %x", errQuick, got, errSlow, want, p)
	}
	for i := range quick.Events() {
		if got, want := describe(&quick.Events()[i]), describe(&slow.Events()[i]); got != want {
			t.Fatalf("got\n%sby the walk\n%s%x", got, want, p)
		}
	}
	return int(got.events)
}

// TestQuickAttrs holds the fast forms to the walk: with what a kernel has sent,
// with random events, and with both damaged.
func TestQuickAttrs(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(12, 13))
	given := captured(t, "")
	b, w := flow.NewBatch(1), newTwoWays()
	for range 100 {
		b.Reset()
		given = append(given, eventMessage(randomEvent(r, b)))
	}
	for _, p := range given {
		if w.same(t, p) == 0 {
			t.Fatalf("refused: %x", p)
		}
		for i := range p {
			bit := byte(1) << r.IntN(8)
			p[i] ^= bit
			w.same(t, p)
			p[i] ^= bit
		}
		for range 20 {
			w.same(t, mutate(r, p))
		}
	}
}

// TestQuickAttrsAreTaken proves that the kernel's own events need no walk but for
// what few of them have: else a fast form is wrong and nobody sees it.
func TestQuickAttrsAreTaken(t *testing.T) {
	for _, p := range captured(t, "churn-") {
		m, _, err := cutMessage(p)
		if err != nil {
			t.Fatal(err)
		}
		b := flow.NewBatch(1)
		e := b.Next()
		e.Family = flow.Family(m.body[0])
		rest := quickAttrs(b, e, quickFront(e, m.body[genLen:]))
		if !e.Got(flow.HasOrig | flow.HasReply | flow.HasID | flow.HasStatus) {
			t.Errorf("%x: %x is left of it", p, rest)
		}
		if kind, _, _, _ := cutAttr(rest); len(rest) > 0 && kind != ctaProtoInfo || kind == ctaProtoInfo && e.Proto == flow.ProtoTCP {
			t.Errorf("%x: %x is left of it", p, rest)
		}
	}
}

func FuzzQuickAttrs(f *testing.F) {
	for _, p := range captured(f, "") {
		f.Add(p)
	}
	f.Add(good())
	f.Fuzz(func(t *testing.T, p []byte) { newTwoWays().same(t, p) })
}
