package encode

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// cuts are the projections that leave out each name alone, that keep each alone, and some
// that leave out or keep a part by chance; with and without Community IDs.
func cuts(tb testing.TB) []Projection {
	tb.Helper()
	names := slices.Sorted(maps.Keys(projectable()))
	r := rand.New(rand.NewPCG(1, 7))
	list := []Projection{{}, Projection{}.WithoutDestination()}
	add := func(fields, omit []string, community bool) {
		if p, err := NewProjection(fields, omit, community, 7); err == nil {
			list = append(list, p)
		}
	}
	for _, name := range names {
		add(nil, []string{name}, true)
		add([]string{name}, nil, true)
		add([]string{name}, nil, false)
	}
	for i := range 120 {
		some := slices.DeleteFunc(slices.Clone(names), func(string) bool { return r.IntN(1+i%4) == 0 })
		add(some, nil, i%2 == 0)
		add(nil, some, i%2 == 0)
	}
	return list
}

// relay sends an event through a format under a projection, and on as events are that wait
// on disk for a sink: each time it must come out as it went in.
type relay struct {
	name       string
	enc, again Encoder
	dec, told  Decoder
	disk       Encoder
	fromDisk   Decoder
	batch      *flow.Batch
	first      []byte
}

func relays(p Projection) (list []*relay) {
	for name, f := range Formats() {
		disk := protobufFormat()
		list = append(list, &relay{
			name: name, enc: f.NewEncoder(p), again: f.NewEncoder(p), dec: f.NewDecoder(), told: f.NewToldDecoder(),
			disk: disk.NewEncoder(Projection{}.WithTold()), fromDisk: disk.NewDecoder(), batch: flow.NewBatch(1),
		})
	}
	return list
}

func (r *relay) check(t *testing.T, name string, e *flow.Event) {
	t.Helper()
	r.first = r.enc.Append(r.first[:0], e)
	back := r.decode(t, r.dec, r.first)
	r.same(t, name+", decoded", back)
	back = r.decode(t, r.told, r.first)
	r.same(t, name+", decoded with all that is told", back)
	// What stands beside a record places it again.
	back.Family, back.Proto = e.Family, e.Proto
	r.same(t, name+", from disk", r.decode(t, r.fromDisk, r.disk.Append(nil, back)))
}

func (r *relay) decode(t *testing.T, dec Decoder, record []byte) *flow.Event {
	t.Helper()
	soil(r.batch)
	if err := dec.Decode(r.batch, record); err != nil {
		t.Fatalf("%s: %v\n%q", r.name, err, record)
	}
	return &r.batch.Events()[0]
}

func (r *relay) same(t *testing.T, name string, e *flow.Event) {
	t.Helper()
	// Of a protocol without a word XML writes an empty element, from which nothing comes back.
	plain := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("<layer4></layer4>"), nil) }
	if got := r.again.Append(nil, e); !bytes.Equal(plain(got), plain(r.first)) {
		t.Fatalf("%s: %s\n got %q\nwant %q", r.name, name, got, r.first)
	}
}

// TestWhatIsToldIsToldAgain: what a record of any projection says is said again by an
// encoder with that projection, whatever of it can be derived.
func TestWhatIsToldIsToldAgain(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(2, 9))
	for _, p := range cuts(t) {
		list := relays(p)
		for _, s := range corpus() {
			if s.name == "hostile" {
				continue
			}
			for _, by := range list {
				by.check(t, s.name, oneOf(t, s.name))
			}
		}
		b := flow.NewBatch(1)
		for range 4 {
			soil(b)
			e := newEvent(b, func(b *flow.Batch, e *flow.Event) { fillRandom(r, b, e) })
			plausible(r, e)
			for _, by := range list {
				by.check(t, "random", e)
			}
		}
	}
}

// plausible takes from a random event what no kernel makes, and no format can tell apart.
func plausible(r *rand.Rand, e *flow.Event) {
	e.Gap, e.Agent = nil, nil
	e.Has &^= [...]flow.Has{tcpBits | sctpBits, sctpBits | dccpBits, dccpBits | tcpBits}[r.IntN(3)] // XML has one <state>
	if !e.Any(flow.HasOrig) {
		e.Has &^= flow.HasReply
	}
	e.Orig.Has |= e.Reply.Has & flow.HasICMP // else it has no nat.community_id, which no record tells
	if e.Extra != nil {
		e.Extra.Expect.Flags |= flow.ExpectPermanent // protobuf has no list without a word
	}
}
