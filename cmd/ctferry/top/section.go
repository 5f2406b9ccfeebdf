package top

import "fmt"

// section is a part of the screen: lines that always stand, and rows of which
// some may have to go.
type section struct {
	head  []string
	rows  []string
	least int // rows that it should have
	from  int // the first that is shown, of one that can be scrolled
	roll  bool
}

// share says how many rows each section gets, in so many lines; 0 is no bound.
// Each first gets its least, in their order, then all in turn.
func share(all []section, lines int) []int {
	got := make([]int, len(all))
	if lines <= 0 {
		for i := range all {
			got[i] = len(all[i].rows)
		}
		return got
	}
	for i := range all {
		lines -= len(all[i].head)
	}
	for i := range all {
		got[i] = max(0, min(all[i].least, len(all[i].rows), lines))
		lines -= got[i]
	}
	for more := true; more && lines > 0; {
		more = false
		for i := range all {
			if lines > 0 && got[i] < len(all[i].rows) {
				got[i]++
				lines--
				more = true
			}
		}
	}
	return got
}

// shown gives n of a section's rows, and says how many more there are.
func (s *section) shown(p paint, n int) []string {
	switch {
	case n >= len(s.rows):
		return s.rows
	case n <= 0:
		return nil
	case s.roll:
		from := max(0, min(s.from, len(s.rows)-n))
		return s.rows[from : from+n]
	}
	rest := p.in(faint, fmt.Sprintf("  … %d more", len(s.rows)-n+1))
	return append(append([]string(nil), s.rows[:n-1]...), rest)
}

// compose puts sections into so many lines, with an empty one between them where
// there is room.
func compose(p paint, all []section, lines int) (out []string) {
	got := share(all, lines)
	used := 0
	for i := range all {
		used += len(all[i].head) + got[i]
	}
	airy := lines <= 0 || used+len(all)-1 <= lines
	for i := range all {
		if airy && i > 0 {
			out = append(out, "")
		}
		out = append(out, all[i].head...)
		if k := &all[i]; k.roll && got[i] > 0 && got[i] < len(k.rows) {
			from := max(0, min(k.from, len(k.rows)-got[i]))
			out[len(out)-len(k.head)] += p.in(faint, fmt.Sprintf("  shown %d-%d, ↑↓ for more", from+1, from+got[i]))
		}
		out = append(out, all[i].shown(p, got[i])...)
	}
	return out
}
