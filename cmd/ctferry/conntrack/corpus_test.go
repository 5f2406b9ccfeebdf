package conntrack

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// corpusLine is one line of testdata/corpus.txt: the ID of the difference that
// it shows, if any, and the words of a command line, quoted as for -R, with
// single quotes too.
type corpusLine struct {
	difference string
	text       string
	argv       []string
}

func corpus(t testing.TB) []corpusLine {
	t.Helper()
	data, err := os.ReadFile("testdata/corpus.txt")
	if err != nil {
		t.Fatal(err)
	}
	var lines []corpusLine
	for text := range strings.Lines(string(data)) {
		text = strings.TrimSuffix(text, "\n")
		if strings.HasPrefix(text, "#") || text == "" {
			continue
		}
		id, line, found := strings.Cut(text, "\t")
		if !found {
			t.Fatalf("corpus: %q has no tab", text)
		}
		argv, err := splitLine(nil, line)
		if err != nil {
			t.Fatalf("corpus: %q: %v", line, err)
		}
		lines = append(lines, corpusLine{strings.TrimSpace(id), line, argv})
	}
	return lines
}

// TestCorpus holds, without the tool, that every difference of the corpus is
// on the list, and that what Parse accepts it reads back from Args.
func TestCorpus(t *testing.T) {
	known := map[string]bool{"": true}
	for _, d := range Differences() {
		known[d.ID] = true
	}
	var p Parser
	for _, l := range corpus(t) {
		if !known[l.difference] {
			t.Errorf("%s: no difference is called %q", l.text, l.difference)
		}
		if c, err := p.Parse(l.argv); err == nil {
			checkRoundTrip(t, &p, c)
		} else if _, id := verdictOf(c, err); id != "" && id != l.difference && !strings.Contains(l.text, "-l") {
			t.Errorf("%s: %v is %q, the corpus says %q", l.text, err, id, l.difference)
		}
	}
}

func TestDifferencesAreWellFormed(t *testing.T) {
	ds := Differences()
	if !slices.IsSortedFunc(ds, func(a, b Difference) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("not in the order of their IDs")
	}
	for _, d := range ds {
		if d.ID == "" || d.Tool == "" || d.Ours == "" || d.Why == "" || d.Example == "" {
			t.Errorf("%+v: a field is empty", d)
		}
	}
}
