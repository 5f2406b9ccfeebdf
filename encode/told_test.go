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

// TestWholeRecordsTellNothing: what can be derived again is, so that whole records from
// disk are written by their plans; asked to keep all, a decoder does.
func TestWholeRecordsTellNothing(t *testing.T) {
	for name, f := range Formats() {
		for _, s := range corpus() {
			if s.name == "hostile" {
				continue
			}
			record := f.NewEncoder(Projection{}).Append(nil, oneOf(t, s.name))
			b := flow.NewBatch(2)
			must(t, f.NewDecoder().Decode(b, record))
			must(t, f.NewToldDecoder().Decode(b, record))
			e, all := &b.Events()[0], &b.Events()[1]
			if e.Any(flow.HasTold | flow.HasNAT) {
				t.Errorf("%s, %s: tells what it derives", name, s.name)
			}
			if (e.NATKind() != 0) != all.Any(flow.HasNAT) || (e.Type == flow.TypeDestroy) != all.Any(flow.HasTold) {
				t.Errorf("%s, %s: keeps %x", name, s.name, all.Has)
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestToldCommunityIDs: they are written where IDs are made, with whatever seed, and where
// all that is told is wanted; nowhere else, and not where they would tell the destination.
func TestToldCommunityIDs(t *testing.T) {
	seeded := func(seed uint16, fields ...string) Projection {
		p, err := NewProjection(fields, nil, true, seed)
		must(t, err)
		return p
	}
	for name, f := range Formats() {
		js := Formats()["json"]
		record := f.NewEncoder(seeded(1, "orig", "reply", "nat", "community_id")).Append(nil, oneOf(t, "tcp_snat"))
		b := flow.NewBatch(1)
		must(t, f.NewDecoder().Decode(b, record))
		said := js.NewEncoder(seeded(1, "community_id", "nat.community_id")).Append(nil, oneOf(t, "tcp_snat"))
		for _, c := range []struct {
			name string
			p    Projection
			want bool
		}{
			{"another seed", seeded(2), true},
			{"all that is told", Projection{}.WithTold(), true},
			{"no IDs", Projection{}, false},
			{"no destination", Projection{}.WithoutDestination(), false},
			{"no destination and all that is told", Projection{}.WithTold().WithoutDestination(), false},
			{"hidden", seeded(1, "community_id", "orig").without(partCommunities), false},
		} {
			got := js.NewEncoder(c.p).Append(nil, &b.Events()[0])
			for _, id := range [][]byte{idIn(said, `,"community_id":"`), idIn(said, `{"community_id":"`)} {
				if len(id) != 30 || bytes.Contains(got, id) != c.want {
					t.Errorf("%s, %s: %s in %s", name, c.name, id, got)
				}
			}
		}
	}
}

func (p Projection) without(hidden part) Projection {
	p.hidden.part |= hidden
	return p
}

// idIn gives the text behind a name.
func idIn(record []byte, name string) []byte {
	_, rest, _ := bytes.Cut(record, []byte(name))
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return id
}

// TestToldValuesAreChecked: what is no value of ours is of a later version, and absent.
func TestToldValuesAreChecked(t *testing.T) {
	const (
		head = `{"schema":"ctferry.v1","event_type":"destroy","table":"conntrack"`
		id   = "1:d/FP5EW3wiY1vCndhwleRRKHowQ="
	)
	for _, c := range []struct{ tail, want string }{
		{`"community_id":"` + id + `"`, `"community_id":"` + id + `"`},
		{`"nat":{"community_id":"` + id + `"}`, `"nat":{"community_id":"` + id + `"}`},
		{`"community_id":"2:d/FP5EW3wiY1vCndhwleRRKHowQ="`, ""},
		{`"community_id":"1:d/FP5EW3wiY1vCndhwleRRKHow\"="`, ""},
		{`"community_id":"1:d/FP5EW3wiY1vCndhwleRRKH\n\n\n\n"`, ""},
		{`"community_id":"1:d/FP5EW3wiY1vCndhwleRRKHowQq"`, ""},
		{`"community_id":"1:"`, ""},
		{`"close_reason":"reset"`, `"close_reason":"reset"`},
		{`"close_reason":"bored"`, ""},
		{`"status":[],"timeout":5`, `"status":[],"status_raw":0,"timeout":5`}, // it would be unreplied
		{`"duration_ns":18446744073709551615`, `"duration_ns":18446744073709551615`},
		{`"since":"2026-11-22T19:13:40.000000007Z"`, `"since":"2026-11-22T19:13:40.000000007Z"`},
	} {
		b := flow.NewBatch(1)
		must(t, jsonFormat().NewDecoder().Decode(b, []byte(head+","+c.tail+"}")))
		got := jsonFormat().NewEncoder(Projection{}.WithTold()).Append(nil, &b.Events()[0])
		_, said, _ := bytes.Cut(got, []byte(`"seq":0`))
		if want := "," + c.want + "}"; string(said) != want && (c.want != "" || string(said) != "}") {
			t.Errorf("%s: %s", c.tail, got)
		}
	}
	b := flow.NewBatch(1)
	must(t, protobufFormat().NewDecoder().Decode(b, append(protobufFormat().NewEncoder(Projection{}).Append(nil, oneOf(t, "tcp_destroy")), 0xd8, 2, 99)))
	if got := b.Events()[0].CloseReason(); got != flow.CloseFinished {
		t.Errorf("a reason without a name: %v", got)
	}
}

// TestPeopleAreNotTold: of what people write, values that can be derived are.
func TestPeopleAreNotTold(t *testing.T) {
	p, err := NewProjection(nil, []string{"start", "orig.sport"}, true, 0)
	must(t, err)
	record := jsonFormat().NewEncoder(p).Append(nil, oneOf(t, "both_nat_destroy"))
	record = bytes.Replace(record, []byte(`"type":"both"`), []byte(`"type":"snat"`), 1)
	b := flow.NewBatch(1)
	must(t, NewStrictJSONDecoder().Decode(b, record))
	if e := &b.Events()[0]; e.Any(flow.HasTold|flow.HasNAT) || e.NATKind() != flow.NATBoth {
		t.Errorf("%x, translated %v", e.Has, e.NATKind())
	}
}
