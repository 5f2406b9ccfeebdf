package main

import (
	"os"
	"strings"
	"testing"
)

// The corpus of the parity suite, testdata/parity.txt, is made of groups:
//
//	== NAME [traffic] [labels]   begins one; its tables are filled anew before
//	                             each line that finds them changed, but with
//	                             traffic, which is made once
//	+ WORDS                      a line of a file for -R that fills the tables
//	$ WORDS                      a command line that both tools are to carry out
//	$ [id] WORDS                 one on which they differ on purpose
//	< TEXT                       a line of the last command's standard input
//
// Words are parted by blanks; single quotes keep a blank in a word.
type parityGroup struct {
	name            string
	traffic, labels bool
	setup           []string
	lines           []parityLine
}

type parityLine struct {
	number     int // in the file
	text       string
	difference string
	argv       []string
	stdin      string
}

// writes reports whether the line may change a table.
func (l *parityLine) writes() bool {
	for _, w := range l.argv {
		switch w {
		case "-D", "-I", "-A", "-U", "-F", "-R", "-z", "--delete", "--create", "--add", "--update", "--flush", "--load-file", "--zero":
			return true
		}
	}
	return false
}

func parityCorpus(t *testing.T) (groups []*parityGroup) {
	t.Helper()
	data, err := os.ReadFile("testdata/parity.txt")
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	for text := range strings.Lines(string(data)) {
		number++
		text = strings.TrimSuffix(text, "\n")
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		sign, rest, _ := strings.Cut(text, " ")
		switch last := len(groups) - 1; {
		case sign == "==":
			groups = append(groups, newParityGroup(rest))
		case last < 0:
			t.Fatalf("line %d: no group", number)
		case sign == "+":
			groups[last].setup = append(groups[last].setup, rest)
		case sign == "$":
			groups[last].lines = append(groups[last].lines, newParityLine(number, rest))
		case sign == "<":
			n := len(groups[last].lines) - 1
			groups[last].lines[n].stdin += rest + "\n"
		default:
			t.Fatalf("line %d: %q is nothing", number, text)
		}
	}
	return groups
}

func newParityGroup(rest string) *parityGroup {
	words := strings.Fields(rest)
	g := &parityGroup{name: words[0]}
	for _, w := range words[1:] {
		g.traffic = g.traffic || w == "traffic"
		g.labels = g.labels || w == "labels"
	}
	return g
}

func newParityLine(number int, rest string) parityLine {
	l := parityLine{number: number, text: rest}
	if strings.HasPrefix(rest, "[") {
		l.difference, rest, _ = strings.Cut(rest[1:], "] ")
	}
	for i, part := range strings.Split(rest, "'") {
		if i%2 == 1 {
			l.argv = append(l.argv, part)
		} else {
			l.argv = append(l.argv, strings.Fields(part)...)
		}
	}
	return l
}
