package frontend

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/control"
)

// FuzzRequest holds that every command line that the grammar takes becomes a
// request that any node takes too and that travels unchanged, or is refused as
// a wrong line.
func FuzzRequest(f *testing.F) {
	corpus, err := os.ReadFile("../testdata/parity.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(corpus)) {
		if words, ok := strings.CutPrefix(strings.TrimSpace(line), "$ "); ok {
			f.Add(words)
		}
	}
	front := &Front{Names: NewNames("esp 50\n", "0 zero\n127 last\n")}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := front.parser().Parse(strings.Fields(text))
		if err != nil {
			return
		}
		target, err := newTarget(c.Extra)
		switch c.Verb {
		case conntrack.VerbNone, conntrack.VerbHelp, conntrack.VerbVersion, conntrack.VerbLoadFile:
			return
		}
		if err != nil || target.NetNS != "" {
			return
		}
		s, err := front.step(c, target)
		var usage *conntrack.UsageError
		if errors.As(err, &usage) {
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		q := s.request
		if nothing(q) {
			return
		}
		if err := q.Validate(); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		travels(t, text, q)
	})
}

func travels(t *testing.T, text string, q *control.Request) {
	first, err := json.Marshal(q)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	var again control.Request
	if err := json.Unmarshal(first, &again); err != nil {
		t.Fatalf("%q: %v in %s", text, err, first)
	}
	second, err := json.Marshal(&again)
	if err != nil || string(first) != string(second) {
		t.Fatalf("%q: %v\n%s\n%s", text, err, first, second)
	}
}
