package configs

import (
	"fmt"
	"slices"
	"strings"
)

// hint offers the nearest of the known names, or lists them if they are few.
func hint(name string, known []string) string {
	best, dist := "", len(name)/3+2
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := distance(name, k); d < dist && d < len(k) {
			best, dist = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %s?", best)
	case strings.Contains(name, "."):
		return "; a dot does not part levels in a file: nest the keys"
	case len(known) > 0 && len(known) <= 9:
		return "; known here: " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
	}
	return ""
}

// distance is Levenshtein's, over bytes, where two neighbours that changed
// places count once. Names are short: the walker bounds keys.
func distance(a, b string) int {
	older, old, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		older, old, row = old, row, older
		row[0] = i + 1
		for j := range len(b) {
			cost := old[j]
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, old[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
