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
// Each first gets its least, then all that there is.
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
	// In turn, so that none takes what another needs more.
	give := func(most func(*section) int) {
		for more := true; more && lines > 0; {
			more = false
			for i := range all {
				if lines > 0 && got[i] < most(&all[i]) {
					got[i]++
					lines--
					more = true
				}
			}
		}
	}
	give(func(k *section) int { return min(k.least, len(k.rows)) })
	give(func(k *section) int { return len(k.rows) })
	return got
}

// shown gives n of a section's rows.
func (s *section) shown(n int) []string {
	from := s.first(n)
	return s.rows[from : from+n]
}

// first is the first row that is shown if n are.
func (s *section) first(n int) int {
	if !s.roll {
		return 0
	}
	return max(0, min(s.from, len(s.rows)-n))
}

// cut says which rows are shown if n are; "" if all.
func (s *section) cut(n int) string {
	switch {
	case n >= len(s.rows):
		return ""
	case !s.roll:
		return fmt.Sprintf("  %d lines more", len(s.rows)-n)
	case n == 0:
		return "  ↑↓"
	}
	from := s.first(n)
	return fmt.Sprintf("  shown %d-%d, ↑↓ for more", from+1, from+n)
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
		head := len(out)
		out = append(out, all[i].head...)
		out[head] += p.in(faint, all[i].cut(got[i]))
		out = append(out, all[i].shown(got[i])...)
	}
	return out
}
