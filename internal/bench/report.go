package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// What stands between these lines of the document is written by this program; the rest
// is for people.
const (
	begin = "<!-- make bench writes from here -->"
	end   = "<!-- to here -->"
)

// preface begins a document that does not exist yet.
const preface = `# Benchmarks

Ratios within one run on one machine; medians, and the smallest and greatest value. How it is
measured: the comment of internal/bench. Ratios are taken round by round, and the median is
theirs, so it need not be the quotient of the medians beside it.

`

// embedded puts the measured part into a document: in place of the former one, or at its end.
func embedded(document, part string) string {
	part = begin + "\n\n" + strings.TrimSpace(part) + "\n\n" + end
	before, rest, found := strings.Cut(document, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		if document == "" {
			document = preface
		}
		return strings.TrimRight(document, "\n") + "\n\n" + part + "\n"
	}
	return before + part + after
}

// writeReport writes the measured part into the document at path.
func writeReport(path, part string) error {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("report: %w", err)
	}
	return os.WriteFile(path, []byte(embedded(string(text), part)), 0o644)
}
