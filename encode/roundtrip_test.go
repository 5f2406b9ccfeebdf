package encode

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// chain is the way that a record takes through all formats and back.
var chain = []string{"json", "xml", "protobuf", "json"}

// pass decodes a record into a soiled slot and encodes it in another format.
func pass(t *testing.T, from, to string, record []byte) []byte {
	t.Helper()
	b := flow.NewBatch(1)
	soil(b)
	if err := Formats()[from].NewDecoder().Decode(b, record); err != nil {
		t.Fatalf("%s: %v\n%q", from, err, record)
	}
	return Formats()[to].NewEncoder(Projection{}).Append(nil, &b.Events()[0])
}

// roundTrip sends an event through every format and compares the bytes.
func roundTrip(t *testing.T, e *flow.Event) {
	t.Helper()
	first := Formats()[chain[0]].NewEncoder(Projection{}).Append(nil, e)
	record := first
	for i, to := range chain[1:] {
		record = pass(t, chain[i], to, record)
		direct := Formats()[to].NewEncoder(Projection{}).Append(nil, e)
		if !bytes.Equal(record, direct) {
			t.Fatalf("%s by way of %s differs\n got %q\nwant %q", to, chain[i], record, direct)
		}
	}
	for _, f := range []string{"json", "xml", "protobuf"} {
		own := Formats()[f].NewEncoder(Projection{}).Append(nil, e)
		if again := pass(t, f, f, own); !bytes.Equal(own, again) {
			t.Fatalf("%s read and written again differs\n got %q\nwant %q", f, again, own)
		}
	}
}

func TestEveryFormatTurnsIntoTheOthers(t *testing.T) {
	for _, s := range corpus() {
		if s.name == "hostile" {
			continue // strings that XML cannot hold; see TestHostileStrings
		}
		t.Run(s.name, func(t *testing.T) { roundTrip(t, oneOf(t, s.name)) })
	}
}

func TestRandomEventsTurnIntoEveryFormat(t *testing.T) {
	for seed := range uint64(600) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := flow.NewBatch(1)
		soil(b)
		e := newEvent(b, func(b *flow.Batch, e *flow.Event) { fillRandom(r, b, e) })
		roundTrip(t, e)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestHostileStrings turns strings that XML cannot hold into JSON and protobuf
// and back, and into XML once.
func TestHostileStrings(t *testing.T) {
	e := oneOf(t, "hostile")
	js := Formats()["json"].NewEncoder(Projection{}).Append(nil, e)
	pb := Formats()["protobuf"].NewEncoder(Projection{}).Append(nil, e)
	if got := pass(t, "json", "protobuf", js); !bytes.Equal(got, pb) {
		t.Errorf("json to protobuf\n got %q\nwant %q", got, pb)
	}
	if got := pass(t, "protobuf", "json", pb); !bytes.Equal(got, js) {
		t.Errorf("protobuf to json\n got %q\nwant %q", got, js)
	}
	x := Formats()["xml"].NewEncoder(Projection{}).Append(nil, e)
	if got := pass(t, "xml", "xml", x); !bytes.Equal(got, x) {
		t.Errorf("xml to xml\n got %q\nwant %q", got, x)
	}
}
