package top

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// column is a column of a table. Where there is no room the one with the highest
// spare goes first; 0 never goes.
type column struct {
	title string
	right bool
	most  int // columns of the screen; 0 is as wide as it gets
	spare int
}

type cell struct {
	text string
	mood mood
}

// gap stands between two columns.
const gap = "  "

// table lays rows out; the first line is that of the titles, and missing if no
// column has one. A column in which no row has a text is left out.
func table(p paint, cols []column, rows [][]cell, width int) (lines []string) {
	widths := measure(cols, rows)
	fit(cols, widths, width)
	head := make([]cell, len(cols))
	titled := false
	for i, c := range cols {
		head[i] = cell{c.title, faint}
		titled = titled || c.title != "" && widths[i] > 0
	}
	if titled {
		lines = append(lines, row(p, cols, head, widths))
	}
	for _, r := range rows {
		lines = append(lines, row(p, cols, r, widths))
	}
	return lines
}

// measure gives each column's width, 0 for one that is empty.
func measure(cols []column, rows [][]cell) []int {
	widths := make([]int, len(cols))
	for i, c := range cols {
		for _, r := range rows {
			widths[i] = max(widths[i], lipgloss.Width(r[i].text))
		}
		if widths[i] == 0 && len(rows) > 0 {
			continue
		}
		widths[i] = max(widths[i], lipgloss.Width(c.title))
		if c.most > 0 {
			widths[i] = min(widths[i], c.most)
		}
	}
	return widths
}

// fit takes columns away until the others fit.
func fit(cols []column, widths []int, width int) {
	for width > 0 {
		sum, last := 2-len(gap), -1
		for i, w := range widths {
			if w == 0 {
				continue
			}
			sum += w + len(gap)
			if cols[i].spare > 0 && (last < 0 || cols[i].spare > cols[last].spare) {
				last = i
			}
		}
		if sum <= width || last < 0 {
			return
		}
		widths[last] = 0
	}
}

func row(p paint, cols []column, cells []cell, widths []int) string {
	var b strings.Builder
	b.WriteString("  ")
	first := true
	for i, c := range cols {
		if widths[i] == 0 {
			continue
		}
		if !first {
			b.WriteString(gap)
		}
		first = false
		text := short(cells[i].text, widths[i])
		pad := strings.Repeat(" ", widths[i]-lipgloss.Width(text))
		if c.right {
			b.WriteString(pad + p.in(cells[i].mood, text))
		} else {
			b.WriteString(p.in(cells[i].mood, text) + pad)
		}
	}
	return strings.TrimRight(b.String(), " ")
}
