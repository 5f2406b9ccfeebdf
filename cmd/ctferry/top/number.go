package top

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// count writes a whole number with its digits in threes.
func count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// rate writes how many there are in a second; what is slow is not nothing.
func rate(v float64) string {
	switch {
	case math.IsNaN(v) || v < 0:
		return "?"
	case v == 0:
		return "0"
	case v < 0.1:
		return "<0.1"
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v < 1e15:
		return count(uint64(math.Round(v)))
	}
	return fmt.Sprintf("%.1e", v)
}

// size writes bytes in the unit that suits.
func size(v float64) string {
	const units = "KMGTPE"
	switch {
	case math.IsNaN(v) || v < 0:
		return "?"
	case v > 0 && v < 1:
		return "<1 B"
	case v < 1024:
		return fmt.Sprintf("%.0f B", v)
	}
	n := -1
	for v >= 1023.5 && n < len(units)-1 {
		v /= 1024
		n++
	}
	format := "%.1f %ciB"
	if v >= 100 {
		format = "%.0f %ciB"
	}
	return fmt.Sprintf(format, v, units[n])
}

// span writes a time in its two largest units.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 0:
		return "0s"
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// seconds is a figure of seconds as a time; bounded, for a foreign figure may be
// anything.
func seconds(s float64) time.Duration {
	return time.Duration(max(0, min(s, 1e9)) * float64(time.Second))
}

// headroom writes for how long a buffer's room lasts.
func headroom(s float64) string {
	switch {
	case math.IsNaN(s):
		return "?"
	case s >= 3600:
		return "over 1h"
	case s < 10:
		return fmt.Sprintf("%.1fs", max(0, s))
	}
	return span(seconds(s))
}

// percent tells how much of a whole a part is, from 0 to 1.
func percent(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return min(1, float64(part)/float64(whole))
}
