package top

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// mood is what a text is painted by. It never says what the text does not say.
type mood uint8

const (
	calm mood = iota
	strong
	faint
	good
	warn
	bad
)

// paint colours texts; plain leaves them as they are. The colours are the
// terminal's own sixteen, which its owner has chosen to suit its ground.
type paint struct{ plain bool }

func (p paint) in(m mood, s string) string {
	if p.plain || m == calm || s == "" {
		return s
	}
	style := lipgloss.NewStyle().Inline(true)
	switch m {
	case strong:
		style = style.Bold(true)
	case faint:
		style = style.Faint(true)
	case good:
		style = style.Foreground(lipgloss.Green)
	case warn:
		style = style.Foreground(lipgloss.Yellow)
	case bad:
		style = style.Foreground(lipgloss.Red).Bold(true)
	}
	return style.Render(s)
}

// clip cuts a painted line to so many columns.
func clip(line string, width int) string {
	if width <= 0 || lipgloss.Width(line) <= width {
		return line
	}
	return lipgloss.NewStyle().Inline(true).MaxWidth(width).Render(line)
}

// short cuts a plain text to so many columns, with a sign that says so.
func short(s string, width int) string {
	if lipgloss.Width(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	return clip(s, width-1) + "…"
}

// wrapped breaks a plain text into at most so many lines; the last one is cut.
func wrapped(s string, width, most int) []string {
	if width < 10 || lipgloss.Width(s) <= width {
		return []string{s}
	}
	lines := strings.Split(lipgloss.Wrap(s, width, ""), "\n")
	if len(lines) > most {
		rest := strings.Join(lines[most-1:], " ")
		lines = append(lines[:most-1], short(rest, width))
	}
	return lines
}

// bar draws how full something is.
func bar(full float64, width int) string {
	n := int(full*float64(width) + 0.5)
	n = max(0, min(n, width))
	return strings.Repeat("█", n) + strings.Repeat("░", width-n)
}
