package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/cmd/ctferry/frontend"
	"github.com/ctferry/ctferry/internal/testnet"
)

// TestParity runs every line of the corpus with conntrack(8) and with the
// program, in namespaces that are the same: standard output and error, exit code
// and the tables afterwards are equal, or the line is marked with a difference
// of the lists.
func TestParity(t *testing.T) {
	newStage(t).corpus(t, tool(asName(t, "conntrack"), "conntrack"))
}

// asName gives the program under another name.
func asName(tb testing.TB, name string) string {
	tb.Helper()
	link := filepath.Join(tb.TempDir(), name)
	if err := os.Symlink(binary(tb), link); err != nil {
		tb.Fatal(err)
	}
	return link
}

// corpus runs all groups with a runner in the place of the program.
func (s *stage) corpus(t *testing.T, ours runner) {
	t.Helper()
	const least = 300
	known, shown, lines := differences(), map[string]bool{}, 0
	for _, g := range parityCorpus(t) {
		if only := os.Getenv("PARITY_GROUP"); only != "" && only != g.name {
			continue
		}
		lines += len(g.lines)
		t.Run(g.name, func(t *testing.T) { s.group(t, g, ours, known, shown) })
	}
	if os.Getenv("PARITY_GROUP") != "" {
		return
	}
	if lines < least {
		t.Errorf("%d lines, expected at least %d", lines, least)
	}
	for _, d := range frontend.Differences() {
		if !shown[d.ID] && !elsewhere[d.ID] {
			t.Errorf("no line shows difference %q", d.ID)
		}
	}
	t.Logf("%d lines", lines)
}

// elsewhere are the differences that other tests show.
var elsewhere = map[string]bool{"expect-delete": true, "expect-create": true, "events-lost": true, "rights": true}

// differences are those of the grammar and those of the front end.
func differences() map[string]bool {
	known := map[string]bool{}
	for _, d := range conntrack.Differences() {
		known[d.ID] = true
	}
	for _, d := range frontend.Differences() {
		known[d.ID] = true
	}
	return known
}

// group runs a group's lines.
func (s *stage) group(t *testing.T, g *parityGroup, ours runner, known, shown map[string]bool) {
	fresh := false
	for i := range g.lines {
		l := &g.lines[i]
		if l.difference != "" && !known[l.difference] {
			t.Errorf("line %d: no difference is called %q", l.number, l.difference)
		}
		if !fresh && !(g.traffic && i > 0) {
			s.fill(t, g)
		}
		problem := s.line(t, g, l, ours)
		if s.passes != nil && problem != "" && s.passes(l) {
			continue
		}
		fresh = !l.writes()
		switch {
		case problem != "" && l.difference == "":
			t.Errorf("line %d: conntrack %s\n%s", l.number, l.text, problem)
		case problem == "" && l.difference != "":
			t.Errorf("line %d: conntrack %s\nis marked as a difference, and there is none", l.number, l.text)
		case problem != "":
			shown[l.difference] = true
		}
	}
}

// line runs one line with both tools and says how they differ.
func (s *stage) line(t *testing.T, g *parityGroup, l *parityLine, ours runner) string {
	if g.traffic {
		return s.trafficLine(t, l, ours)
	}
	begun := time.Now()
	results := map[*testnet.Namespace]*outcome{s.theirs: {}, s.ours: {}}
	tables := map[*testnet.Namespace]*string{s.theirs: new(string), s.ours: new(string)}
	s.both(func(ns *testnet.Namespace) {
		run := ours
		if ns == s.theirs {
			run = tool(s.oracle, "conntrack")
		}
		*results[ns] = run(t, ns, l, g.labels)
		if l.writes() {
			*tables[ns] = s.tables(t, ns, g.labels)
		}
	})
	apart := s.apart(begun)
	return problems(
		compareOutcomes(l, *results[s.theirs], *results[s.ours], apart),
		differ("the table afterwards", *tables[s.theirs], *tables[s.ours], apart),
	)
}

// trafficLine compares in one namespace, since no two have the same real
// flows. What the program deletes there must be what conntrack -L lists before.
func (s *stage) trafficLine(t *testing.T, l *parityLine, ours runner) string {
	theirs, begun := *l, time.Now()
	if l.writes() {
		theirs.argv = slices.Clone(l.argv)
		theirs.argv[0] = "-L" // in the place of -D
	}
	a := tool(s.oracle, "conntrack")(t, s.ours, &theirs, false)
	a.stderr = strings.Replace(a.stderr, "shown", map[bool]string{true: "deleted", false: "shown"}[l.writes()], 1)
	b := ours(t, s.ours, l, false)
	if !l.writes() {
		return compareOutcomes(l, a, b, s.apart(begun))
	}
	left := tool(s.oracle, "conntrack")(t, s.ours, &theirs, false).stdout
	return problems(compareOutcomes(l, a, b, s.apart(begun)), differ("the table afterwards", "", left, 0))
}

// apart is how many seconds timeouts and ages may differ by after a line that was begun
// then: on a machine that is busy filling took long, or the line, and nobody knows when
// in that time each tool had its turn.
func (s *stage) apart(begun time.Time) int {
	return closely + int((s.filling+time.Since(begun))/time.Second)
}

func problems(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(p string) bool { return p == "" }), "\n")
}
