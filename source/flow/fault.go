package flow

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a value that somebody wrote. Path is
// its place below the value that was read: levels parted by dots, list places
// as [0].
type Fault struct {
	Path string
	Text string // what is wrong and what was expected
}

// Error gives path and text.
func (f Fault) Error() string {
	if f.Path == "" {
		return f.Text
	}
	return f.Path + ": " + f.Text
}

// MaxFaults is how many faults are told at once; the last one then says that there are more.
const MaxFaults = 64

// Faults is everything that is wrong; it is an error when it is not empty.
type Faults []Fault

// Error gives one line a fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

func (fs *Faults) add(path, format string, args ...any) {
	switch {
	case len(*fs) < MaxFaults-1:
		*fs = append(*fs, Fault{path, fmt.Sprintf(format, args...)})
	case len(*fs) == MaxFaults-1:
		*fs = append(*fs, Fault{path, "and more: mend these first"})
	}
}

// nearest finds the name that a misspelt word most likely meant, or "".
func nearest(word string, names []string) string {
	word = strings.ToLower(strings.ReplaceAll(word, "-", "_"))
	best, found := 1+len(word)/3, ""
	for _, n := range names {
		if d := distance(word, strings.ToLower(n), best); d <= best && (found == "" || d < best) {
			best, found = d, n
		}
	}
	return found
}

// distance is the Levenshtein distance of a and b, or any number above limit
// when it is certain to be more than that.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := left
			if a[i] != b[j] {
				cost++
			}
			left = row[j+1]
			row[j+1] = min(cost, left+1, row[j]+1)
		}
	}
	return row[len(b)]
}
