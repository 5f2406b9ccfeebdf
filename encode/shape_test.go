package encode

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/ctferry/ctferry/source/flow"
)

// inFull gives the writer that knows no plans.
func inFull(tb testing.TB, enc Encoder) func(dst []byte, e *flow.Event) []byte {
	tb.Helper()
	w := plannerOf(tb, enc)
	return func(dst []byte, e *flow.Event) []byte {
		w.full.remember(e.Origin)
		return w.full.write(dst, e, nil)
	}
}

// shaped makes an event of a few shapes, drawn by its first argument, with values by its second.
func shaped(shape, values *rand.Rand, b *flow.Batch, origins []*flow.Origin) *flow.Event {
	e := b.Next()
	fillRandom(shape, b, e)
	if shape.IntN(8) > 0 {
		e.Has &^= shapeless
		e.Gap, e.Agent = nil, nil
	}
	e.Origin = origins[values.IntN(len(origins))]
	redraw(values, e)
	return e
}

// redraw draws every value of an event anew, but mostly not what decides its shape.
func redraw(r *rand.Rand, e *flow.Event) {
	keep := *e
	randomValues(r, e)
	e.Seq, e.Time = number(r), int64(number(r))
	if r.IntN(4) > 0 {
		e.Status, e.TCP.State, e.SCTP.State, e.DCCP = keep.Status, keep.TCP.State, keep.SCTP.State, keep.DCCP
	}
	if e.Dump != nil {
		d := *e.Dump
		d.ID = number(r)
		e.Dump = &d
	}
	if r.IntN(2) == 0 { // times of now, near one another
		for _, t := range []*int64{&e.Time, &e.Received, &e.Start, &e.Stop} {
			*t = epoch + r.Int64N(20*tick)
		}
	}
	if x := e.Extra; x != nil {
		x.ProgName = []string{text(r), "nft", "conntrackd", "\x01\x02\x03<>&'\"\\\x04\x05\x06\x07\x08\x0b"}[r.IntN(4)]
		x.SynProxy = flow.SynProxy{ISN: uint32(number(r)), ITS: uint32(number(r)), TSOff: uint32(number(r))}
	}
	redrawTuple(r, &e.Orig)
	redrawTuple(r, &e.Reply)
	mirror(r, e)
}

func redrawTuple(r *rand.Rand, t *flow.Tuple) {
	t.ICMPType, t.ICMPCode = uint8(number(r)), uint8(number(r))
	t.SrcPort, t.DstPort, t.ICMPID, t.Zone = uint16(number(r)), uint16(number(r)), uint16(number(r)), uint16(number(r))
	t.Src, t.Dst = randomAddr(r, t.Family), randomAddr(r, t.Family)
}

// mirror makes the reply the answer to the original tuple, or nearly.
func mirror(r *rand.Rand, e *flow.Event) {
	o, a := &e.Orig, &e.Reply
	if r.IntN(4) == 0 || o.Family != a.Family {
		return
	}
	a.Src, a.Dst, a.SrcPort, a.DstPort, a.ICMPID = o.Dst, o.Src, o.DstPort, o.SrcPort, o.ICMPID
	switch r.IntN(8) {
	case 0:
		a.Src[r.IntN(4)]++
	case 1:
		a.Dst[r.IntN(4)]++
	case 2:
		a.SrcPort++
	case 3:
		a.DstPort++
	case 4:
		a.ICMPID++
	}
}

// projections are those under which plans are tried.
func projections(tb testing.TB) []Projection {
	tb.Helper()
	list := []Projection{{}, Projection{}.WithoutDestination()}
	for _, names := range [][]string{nil, {"orig", "nat", "duration_ns", "community_id"}, {"reply.src", "status", "tcp", "start"}} {
		for _, omit := range []bool{false, true} {
			fields, left := names, []string(nil)
			if omit {
				fields, left = left, fields
			}
			p, err := NewProjection(fields, left, true, 7)
			if err != nil {
				tb.Fatal(err)
			}
			list = append(list, p)
		}
	}
	return list
}

// alter changes one thing that may decide the shape.
func alter(r *rand.Rand, e *flow.Event) {
	switch r.IntN(12) {
	case 0, 1, 2:
		e.Has ^= 1 << r.IntN(44)
		if e.Extra == nil {
			e.Has &^= inExtra
		}
	case 3:
		e.Orig.Has ^= 1 << r.IntN(9)
	case 4:
		e.Reply.Has ^= 1 << r.IntN(9)
	case 5:
		e.Status ^= 1 << r.IntN(32)
	case 6:
		e.Type, e.Table = flow.Type(r.IntN(10)), flow.Table(r.IntN(4))
	case 7:
		e.Family, e.TimeSource = []flow.Family{0, flow.IPv4, flow.IPv6}[r.IntN(3)], flow.TimeSource(r.IntN(5))
	case 8:
		e.Proto, e.Reply.Proto = randomProto(r), randomProto(r)
	case 9:
		e.Proto = randomProto(r)
		e.Orig.Proto, e.Reply.Proto = e.Proto, e.Proto
	case 10:
		e.TCP.State, e.SCTP.State = uint8(r.Uint32()), uint8(r.Uint32())
	case 11:
		e.Reply.Family, e.Start, e.Stop = flow.IPv4, e.Stop, e.Start
	}
}

// TestPlannedAsInFull writes events of many shapes, each several times in one
// encoder, by their plans and in full.
func TestPlannedAsInFull(t *testing.T) {
	for _, name := range planning() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, p := range projections(t) {
				c := newComparison(t, Formats()[name], p, uint64(i))
				if i%2 == 1 {
					c.shapes = 20
				}
				for range 10_000 {
					c.next(t)
				}
				if c.planned < 1_000 || c.planned > 9_900 {
					t.Errorf("%d of 10000 records were written by plans", c.planned)
				}
			}
		})
	}
}

// planning are the formats that write by plans.
func planning() []string { return []string{"json", "xml"} }

// comparison writes the same events in two ways.
type comparison struct {
	enc       Encoder
	full      func(dst []byte, e *flow.Event) []byte
	batch     *flow.Batch
	origins   []*flow.Origin
	seed      uint64
	values    *rand.Rand
	got, want []byte
	shapes    uint64 // how many there are, more than there is room for
	planned   int
}

func newComparison(tb testing.TB, format Format, p Projection, seed uint64) *comparison {
	c := &comparison{enc: format.NewEncoder(p), full: inFull(tb, format.NewEncoder(p)), batch: flow.NewBatch(1), shapes: 150, seed: seed}
	soil(c.batch)
	c.values = rand.New(rand.NewPCG(seed, 1))
	for range 3 {
		c.origins = append(c.origins, randomOrigin(c.values))
	}
	return c
}

// next compares one event, and often one that differs from it in one thing.
func (c *comparison) next(tb testing.TB) {
	tb.Helper()
	shape := rand.New(rand.NewPCG(c.values.Uint64N(c.shapes), c.seed))
	c.batch.Reset()
	e := shaped(shape, c.values, c.batch, c.origins)
	if hasPlan(tb, c.enc, e) {
		c.planned++
	}
	c.compare(tb, e)
	if c.values.IntN(4) == 0 {
		alter(c.values, e)
		c.compare(tb, e)
		c.compare(tb, e)
	}
}

func (c *comparison) compare(tb testing.TB, e *flow.Event) {
	tb.Helper()
	c.got, c.want = c.enc.Append(c.got[:0], e), c.full(c.want[:0], e)
	if !bytes.Equal(c.got, c.want) {
		tb.Fatalf("by plan:\n got %q\nwant %q", c.got, c.want)
	}
}

// plannerOf gives an encoder's planner.
func plannerOf(tb testing.TB, enc Encoder) *planner {
	tb.Helper()
	switch enc := enc.(type) {
	case *jsonEncoder:
		return &enc.planner
	case *xmlEncoder:
		return &enc.planner
	}
	tb.Fatalf("%T writes by no plans", enc)
	return nil
}

func hasPlan(tb testing.TB, enc Encoder, e *flow.Event) bool {
	var s shape
	return s.of(e) && plannerOf(tb, enc).find(&s, s.hash()) != nil
}

// TestEveryPlanIsMade finds no shape of which the encoder and the pen disagree.
func TestEveryPlanIsMade(t *testing.T) {
	for _, name := range planning() {
		var used slots
		c := newComparison(t, Formats()[name], projections(t)[2], 9)
		for i := range 20_000 {
			c.seed = uint64(i / 50)
			c.next(t)
			for _, place := range plannerOf(t, c.enc).table {
				if place.plan != nil {
					used |= place.plan.uses
					if len(place.plan.steps) == 0 {
						t.Fatalf("%s: no plan for %+v: %s", name, place.shape, c.want)
					}
				}
			}
		}
		t.Logf("%s: slots %b", name, used)
	}
}

// TestPlansAreBounded gives an encoder shapes without end.
func TestPlansAreBounded(t *testing.T) {
	for _, name := range planning() {
		c := newComparison(t, Formats()[name], Projection{}, 5)
		c.shapes = 1 << 20
		for range 20_000 {
			c.next(t)
		}
		size := 0
		for _, place := range plannerOf(t, c.enc).table {
			if place.plan != nil {
				size += cap(place.plan.steps) * int(unsafe.Sizeof(step{}))
			}
		}
		if size > 512<<10 {
			t.Errorf("%s: plans of %d bytes", name, size)
		}
		t.Logf("%s: plans of %d bytes", name, size)
	}
}

// FuzzPlanned takes any shape and any values.
func FuzzPlanned(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint8(0))
	list := projections(f)
	f.Fuzz(func(t *testing.T, shape, values uint64, projection uint8) {
		for _, name := range planning() {
			c := newComparison(t, Formats()[name], list[int(projection)%len(list)], shape)
			c.values, c.shapes = rand.New(rand.NewPCG(values, 1)), 2
			for range 16 {
				c.next(t)
			}
		}
	})
}

// TestOriginsOfEveryLength comes to, and passes, what a page holds.
func TestOriginsOfEveryLength(t *testing.T) {
	for _, name := range planning() {
		enc := Formats()[name].NewEncoder(Projection{})
		full := inFull(t, Formats()[name].NewEncoder(Projection{}))
		e := oneOf(t, "tcp_destroy")
		var got, want []byte
		for n := range recordSize + 200 {
			e.Origin = &flow.Origin{Node: strings.Repeat("n", n/2), Meta: []flow.Pair{{Key: "k", Value: strings.Repeat("v", n-n/2)}}}
			got, want = enc.Append(got[:0], e), full(want[:0], e)
			if !bytes.Equal(got, want) {
				t.Fatalf("%s: an origin of %d bytes:\n got %q\nwant %q", name, n, got, want)
			}
		}
	}
}

// TestShapesInTurn: shapes that alternate, as those of a host do, do not keep one
// another from getting plans.
func TestShapesInTurn(t *testing.T) {
	for _, name := range planning() {
		for seed := range uint64(20) {
			enc := Formats()[name].NewEncoder(Projection{})
			values := rand.New(rand.NewPCG(seed, 1))
			origins := []*flow.Origin{randomOrigin(values)}
			var events []*flow.Event
			for i := uint64(0); len(events) < 40; i++ {
				b := flow.NewBatch(1)
				e := shaped(rand.New(rand.NewPCG(seed, i)), values, b, origins)
				if s := (shape{}); s.of(e) {
					events = append(events, e)
				}
			}
			var buf []byte
			for range 3 {
				for _, e := range events {
					buf = enc.Append(buf[:0], e)
				}
			}
			without := 0
			for _, e := range events {
				if !hasPlan(t, enc, e) {
					without++
				}
			}
			if without > 1 {
				t.Errorf("%s: %d of %d shapes that come in turn have no plan", name, without, len(events))
			}
		}
	}
}
