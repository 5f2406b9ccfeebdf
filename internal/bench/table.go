package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// line is a line of the table: a figure of a subject, and what it is compared with.
type line struct {
	measure string
	subject string
	unit    string
	values  series
	against string // name of the baseline; empty: none
	base    series // of the same rounds
	ratios  series // where they are known already; else values over base
	target  float64
	// absolute: the target is for the value, not for the ratio.
	absolute bool
	// atLeast: more is better.
	atLeast bool
	note    string
}

// under sets the greatest ratio that is wanted.
func (l line) under(ratio float64) line {
	l.target = ratio
	return l
}

// within sets the greatest value that is wanted.
func (l line) within(value float64) line {
	l.target, l.absolute = value, true
	return l
}

// noting adds to the note.
func (l line) noting(format string, args ...any) line {
	text := fmt.Sprintf(format, args...)
	if l.note != "" && text != "" {
		l.note += "; "
	}
	l.note += text
	return l
}

// judged is the figure that the target is about; NaN if there is none.
func (l line) judged() float64 {
	if l.absolute {
		return l.values.median()
	}
	return l.compared().median()
}

// compared are the ratios, round by round.
func (l line) compared() series {
	if l.ratios != nil {
		return l.ratios
	}
	return l.values.over(l.base)
}

// verdict says whether the target was reached: "yes", "no" or "" where there is none.
func (l line) verdict() string {
	got := l.judged()
	switch {
	case l.target == 0 && !l.absolute:
		return ""
	case math.IsNaN(got):
		return "not measured"
	case got <= l.target && !l.atLeast, got >= l.target && l.atLeast:
		return "yes"
	}
	return "**no**"
}

// wanted is the target as text.
func (l line) wanted() string {
	if l.target == 0 && !l.absolute {
		return ""
	}
	sign := "≤ "
	if l.atLeast {
		sign = "≥ "
	}
	if l.absolute {
		return strings.TrimSpace(sign + number(l.target) + " " + l.unit)
	}
	return sign + number(l.target) + " x"
}

// table renders lines as a table of Markdown. A measure is named once.
func table(lines []line) string {
	var out strings.Builder
	out.WriteString("| measure | of | median | min - max | against | ratio (min - max) | target | reached | |\n")
	out.WriteString("|---|---|---:|---:|---|---:|---:|---|---|\n")
	former := ""
	for _, l := range lines {
		measure := l.measure
		if measure == former {
			measure = ""
		}
		former = l.measure
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", measure, l.subject,
			value(l.values.median(), l.unit), span(l.values), l.against, ratio(l.compared()), l.wanted(), l.verdict(), cell(l.note))
	}
	return out.String()
}

// cell is a text without what would break the table.
func cell(text string) string {
	return strings.NewReplacer("|", "/", "\n", " ").Replace(strings.TrimSpace(text))
}

func value(v float64, unit string) string {
	if math.IsNaN(v) {
		return "-"
	}
	return strings.TrimSpace(number(v) + " " + unit)
}

func span(s series) string {
	if len(s.known()) == 0 {
		return "-"
	}
	low, high := s.spread()
	return number(low) + " - " + number(high)
}

func ratio(s series) string {
	if len(s.known()) == 0 {
		return ""
	}
	low, high := s.spread()
	return fmt.Sprintf("**%s** (%s - %s)", number(s.median()), number(low), number(high))
}

// number shows three digits that count, and never an exponent.
func number(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
	if unit >= 1 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	short, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	return strconv.FormatFloat(short, 'f', -1, 64)
}
