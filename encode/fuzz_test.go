package encode

import (
	"bytes"
	"encoding/xml"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/ctferry/ctferry/source/flow"
)

// fuzzDecoder gives a decoder anything. What it accepts must come back the same
// through each format, for as long as that format can hold its strings.
func fuzzDecoder(f *testing.F, format Format) {
	file, err := os.Open(filepath.Join("testdata", "corpus"+format.Extension))
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	records := Records(file, format.Framing)
	for record, err := records.Next(); err == nil; record, err = records.Next() {
		f.Add(bytes.Clone(record))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		b := flow.NewBatch(1)
		soil(b)
		if err := format.NewDecoder().Decode(b, record); err != nil {
			if b.Len() != 0 || err.Error() == "" {
				t.Fatalf("%d events are left after %v", b.Len(), err)
			}
			return
		}
		js := Formats()["json"].NewEncoder(Projection{}).Append(nil, &b.Events()[0])
		for _, by := range []string{"json", "protobuf"} {
			if got := pass(t, by, "json", pass(t, "json", by, js)); !bytes.Equal(got, js) {
				t.Fatalf("by way of %s\n got %q\nwant %q", by, got, js)
			}
		}
		x := pass(t, "json", "xml", js)
		if bytes.Count(x, []byte("\ufffd")) != bytes.Count(js, []byte("\ufffd")) {
			return // XML cannot hold its strings; replaced keys sort elsewhere
		}
		if got := pass(t, "xml", "xml", x); !bytes.Equal(got, x) {
			t.Fatalf("by way of xml\n got %q\nwant %q", got, x)
		}
	})
}

func FuzzDecodeJSON(f *testing.F) { fuzzDecoder(f, jsonFormat()) }

func FuzzDecodeXML(f *testing.F) { fuzzDecoder(f, xmlFormat()) }

func FuzzDecodeProtobuf(f *testing.F) { fuzzDecoder(f, protobufFormat()) }

// fuzzEvents gives check events of every kind, with any string in the places
// that the kernel and the configuration fill.
func fuzzEvents(f *testing.F, check func(t *testing.T, e *flow.Event)) {
	for seed, s := range []string{"", "a", "\x00\x1f\"\\<&>'", "\xff\xc3(\xed\xa0\x80", "\u2028\ufffe]]>\r\n\t", "\U0001f6a2"} {
		f.Add(uint64(seed), s, "x"+s)
	}
	f.Fuzz(func(t *testing.T, seed uint64, one, two string) {
		r := rand.New(rand.NewPCG(seed, 3))
		b := flow.NewBatch(1)
		soil(b)
		e := newEvent(b, func(b *flow.Batch, e *flow.Event) { fillRandom(r, b, e) })
		e.Origin.Node, e.Origin.NetNS = one, two
		e.Origin.Meta = []flow.Pair{{Key: one, Value: two}}
		if e.Extra != nil {
			x := e.Extra
			x.Helper, x.SecCtx, x.ProgName, x.LabelNames = one, two, one+two, []string{two, one}
			x.Expect.Helper, x.Expect.Fn = two, one
		}
		if e.Gap != nil {
			e.Gap.Reason, e.Gap.Source = one, two
		}
		if e.Agent != nil {
			e.Agent.Version, e.Agent.Warnings = one, []string{two}
		}
		check(t, e)
	})
}

func FuzzEncodeJSON(f *testing.F) {
	fuzzEvents(f, func(t *testing.T, e *flow.Event) { sameAsEncodingJSON(t, "fuzzed", e) })
}

func FuzzEncodeXML(f *testing.F) {
	fuzzEvents(f, func(t *testing.T, e *flow.Event) {
		record := Formats()["xml"].NewEncoder(Projection{}).Append(nil, e)
		wellFormed(t, record)
		if got := pass(t, "xml", "xml", record); !bytes.Equal(got, record) {
			t.Fatalf("read and written again\n got %q\nwant %q", got, record)
		}
	})
}

// wellFormed reads a record as any XML reader would, to its end.
func wellFormed(t *testing.T, record []byte) {
	t.Helper()
	if bytes.ContainsAny(record, "\n\r\t") || !utf8.Valid(record) {
		t.Fatalf("the record is no line of UTF-8: %q", record)
	}
	dec := xml.NewDecoder(bytes.NewReader(record))
	roots, depth := 0, 0
	for {
		token, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%q", err, record)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
			seen := map[string]bool{}
			for _, a := range token.Attr {
				if seen[a.Name.Local] {
					t.Fatalf("attribute %s twice\n%q", a.Name.Local, record)
				}
				seen[a.Name.Local] = true
			}
		case xml.EndElement:
			depth--
		}
	}
	if roots != 1 || depth != 0 {
		t.Fatalf("%d elements\n%q", roots, record)
	}
}

func FuzzEncodeProtobuf(f *testing.F) {
	d := recordDescriptor(f)
	fuzzEvents(f, func(t *testing.T, e *flow.Event) {
		record := Formats()["protobuf"].NewEncoder(Projection{}).Append(nil, e)
		m := dynamicpb.NewMessage(d)
		if err := proto.Unmarshal(record, m); err != nil {
			t.Fatalf("%v\n%x", err, record)
		}
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil || !bytes.Equal(again, record) {
			t.Fatalf("read and written by the library: %v\n got %x\nwant %x", err, again, record)
		}
	})
}

// FuzzRecords gives the reader of files anything.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("a\nbb\n\nc"), uint8(0), uint8(1))
	f.Add([]byte("\x01a\x00\x80\x02x"), uint8(1), uint8(3))
	f.Fuzz(func(t *testing.T, file []byte, framing, step uint8) {
		format := Framing(framing % 2)
		r := Records(&steps{file, int(step)}, format)
		var again []byte
		var last int64
		for {
			record, err := r.Next()
			if err != nil {
				break
			}
			again = AppendFramed(again, format, record)
			if r.Offset() <= last {
				t.Fatalf("offset %d behind %d", r.Offset(), last)
			}
			last = r.Offset()
		}
		if last > int64(len(file)) {
			t.Fatalf("offset %d of %d", last, len(file))
		}
		whole := Records(bytes.NewReader(again), format)
		for n := int64(0); n < int64(len(again)); n = whole.Offset() {
			if _, err := whole.Next(); err != nil {
				t.Fatalf("what was read and framed again: %v", err)
			}
		}
	})
}

// steps reads a few bytes at a time.
type steps struct {
	data []byte
	n    int
}

func (s *steps) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.n+1)], s.data)
	s.data = s.data[n:]
	return n, nil
}

// FuzzSplitGroup takes messages apart and puts them together again.
func FuzzSplitGroup(f *testing.F) {
	f.Add([]byte("\x0a\x01a\x0a\x00"), uint8(1))
	f.Add([]byte("a\nb"), uint8(0))
	f.Fuzz(func(t *testing.T, message []byte, framing uint8) {
		format := Framing(framing % 2)
		var list [][]byte
		for record, err := range SplitGroup(format, message) {
			if err != nil {
				break
			}
			list = append(list, record)
		}
		var again [][]byte
		for record, err := range SplitGroup(format, AppendGroup(nil, format, slices.Values(list))) {
			if err != nil {
				t.Fatal(err)
			}
			again = append(again, record)
		}
		if len(list)+len(again) > 0 && !reflect.DeepEqual(list, again) {
			t.Fatalf("got %q, want %q", again, list)
		}
	})
}

// FuzzProjection gives any names; an error never comes with a projection.
func FuzzProjection(f *testing.F) {
	f.Add("orig.packets", "mark", true)
	f.Fuzz(func(t *testing.T, one, two string, omit bool) {
		fields, left := []string{one, two}, []string(nil)
		if omit {
			fields, left = left, fields
		}
		p, err := NewProjection(fields, left, false, 0)
		if err != nil {
			if p != (Projection{}) {
				t.Fatal("a projection came with an error")
			}
			return
		}
		e := oneOf(t, "everything")
		parse(t, Formats()["json"].NewEncoder(p).Append(nil, e))
		wellFormed(t, Formats()["xml"].NewEncoder(p).Append(nil, e))
	})
}
