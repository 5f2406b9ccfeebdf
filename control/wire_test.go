package control

import (
	"strings"
	"testing"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
	"github.com/nats-io/nats.go"
)

func TestSubjects(t *testing.T) {
	s := Subjects{Prefix: "ctferry", Site: "default"}
	for got, want := range map[string]string{
		s.Node("edge-1.example.org", TableConntrack, VerbList): "ctferry.v1.default.node.edge-1_example_org.conntrack.list",
		s.Node("", TableDying, VerbList):                       "ctferry.v1.default.node._.dying.list",
		s.Fleet(TableAgent, VerbStats):                         "ctferry.v1.default.fleet.agent.stats",
		s.Audit("a b"):                                         "ctferry.v1.default.audit.a_b",
		s.stream("a", "*"):                                     "ctferry.v1.default.node.a.stream.*",
		s.who("a"):                                             "ctferry.v1.default.node.a.agent.who",
		Token("Über >*.\n"):                                    "_ber_____",
		string(tableOf("x.expect.list")):                       "expect",
		string(tableOf("list")):                                "",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, v := range append(Verbs(), whoToken) {
		if v == streamToken {
			t.Errorf("a verb is called %s", v)
		}
	}
}

// headers makes headers of lines "name: value", as a message would carry them.
func headers(text string) nats.Header {
	h := nats.Header{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\n"), ": "); ok {
			h.Add(name, value)
		}
	}
	return h
}

func TestReadHead(t *testing.T) {
	for _, h := range []messageHead{
		{Node: "a", Kind: kindRows, Rows: 3, Seq: 1, Run: "ff", Request: "r"},
		{Node: "a", Kind: kindResult, Seq: 1 << 63}, {Node: "a", Kind: kindError}, {Node: "a", Kind: kindEnd, Rows: 9, Chunks: 2},
	} {
		if got, err := readHead(h.header("x/y")); err != nil || got != h {
			t.Errorf("got %+v, %v, want %+v", got, err, h)
		}
	}
	for text, want := range map[string]string{
		"":                                   "header Ctferry-Node: missing",
		"Ctferry-Node: a\n":                  `header Ctferry-Seq: "", want a whole number`,
		"Ctferry-Node: a\nCtferry-Seq: -1\n": `header Ctferry-Seq: "-1", want a whole number`,
		"Ctferry-Node: a\nCtferry-Seq: 1\n":  `header Ctferry-Kind: "", want rows, result, error or end`,
		"Ctferry-Node: a\nCtferry-Seq: 1\nCtferry-Kind: rows\n":                               `header Ctferry-Rows: "", want a whole number`,
		"Ctferry-Node: a\nCtferry-Seq: 1\nCtferry-Kind: end\nCtferry-Rows: 1\n":               `header Ctferry-Chunks: "", want a whole number`,
		"Ctferry-Node: a\nCtferry-Seq: 18446744073709551616\nCtferry-Kind: end\n":             `header Ctferry-Seq: "18446744073709551616", want a whole number`,
		"Ctferry-Node: a\nCtferry-Seq: 1\nCtferry-Kind: " + strings.Repeat("x", 1000) + "\n":  `header Ctferry-Kind: "xxxxxxxxxxxxxxxxxxxx", want`,
		"Ctferry-Node: a\nCtferry-Seq: 1\nCtferry-Kind: rows\nCtferry-Rows: 0x10\nother: y\n": `header Ctferry-Rows: "0x10", want a whole number`,
	} {
		if _, err := readHead(headers(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestReadTerms(t *testing.T) {
	for _, f := range []flowTerms{{}, {Window: 64, Chunk: 1024, Token: "abc_-9", User: "ann"}} {
		h := f.header()
		if f.Chunk == 0 {
			h = nats.Header{}
		}
		if got, err := readTerms(h); err != nil || got != f {
			t.Errorf("got %+v, %v, want %+v", got, err, f)
		}
	}
	if c, err := readTerms(headers("Ctferry-Chunk: 12\n")); err == nil {
		t.Errorf("got %+v", c)
	}
	if got := (&flowTerms{User: "a\r\nX: y"}).header()[headerUser][0]; got != "a__X: y" {
		t.Errorf("a user of two lines became %q", got)
	}
}

// FuzzHead: whatever headers come, they are understood or refused, and what is
// understood is written the same again.
func FuzzHead(f *testing.F) {
	for _, h := range []messageHead{{Node: "a", Kind: kindRows, Rows: 3, Run: "ff", Request: "r"}, {Node: "b", Kind: kindEnd, Chunks: 1}} {
		var text strings.Builder
		for name, values := range h.header("x/y") {
			text.WriteString(name + ": " + values[0] + "\n")
		}
		f.Add(text.String(), "ack 5")
	}
	f.Add("Ctferry-Window: 8\nCtferry-Chunk: 4096\nCtferry-Stream: abc\nCtferry-User: ann\n", "cancel")
	f.Fuzz(func(t *testing.T, text, word string) {
		in := headers(text)
		if h, err := readHead(in); err == nil {
			again, err := readHead(h.header(""))
			if h.Node, h.Request = oneLine(h.Node), oneLine(h.Request); err != nil || again != h {
				t.Errorf("%+v became %+v, %v", h, again, err)
			}
		}
		if terms, err := readTerms(in); err == nil && (terms.Window > maxWindow || terms.Window < 0 || len(terms.Token) > maxToken || terms.Chunk < 0) {
			t.Errorf("out of bounds: %+v", terms)
		}
		if n, cancel, ok := readCallerWord([]byte(word)); ok && !cancel {
			if again, _, ok := readCallerWord(ackWord(n)); !ok || again != n {
				t.Errorf("%q is %d and became %d", word, n, again)
			}
		}
	})
}

// FuzzUnpack: whatever a message of rows holds, the rows that are handed on are
// counted, and nothing else happens.
func FuzzUnpack(f *testing.F) {
	o := newOrigin("a", 1)
	for name, format := range encode.Formats() {
		var body []byte
		b, enc := flow.NewBatch(3), format.NewEncoder(encode.Projection{})
		for i := range uint32(3) {
			fillRow(b.Next(), o, i)
		}
		body = encode.AppendGroup(body, format.Framing, func(yield func([]byte) bool) {
			for i := range b.Events() {
				if !yield(enc.Append(nil, &b.Events()[i])) {
					return
				}
			}
		})
		f.Add(name, body, uint64(3))
		f.Add(name, body[:len(body)-5], uint64(3))
	}
	f.Fuzz(func(t *testing.T, name string, body []byte, want uint64) {
		format, ok := encode.Formats()[name]
		if !ok {
			return
		}
		var given uint64
		told, err := newUnpacker(format).unpack(body, want, func(b *flow.Batch) error {
			if b.Len() == 0 || b.Len() > unpackSlots {
				t.Errorf("a batch of %d", b.Len())
			}
			given += uint64(b.Len())
			return nil
		})
		if told != given || err == nil && given != want {
			t.Errorf("%d rows handed on, %d told, %d wanted, %v", given, told, want, err)
		}
	})
}
