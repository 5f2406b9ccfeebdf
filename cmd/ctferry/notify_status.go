package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ctferry/ctferry/source/flow"
)

// The bounds of a status line: systemctl shows it on one line, and a message
// may have 4096 bytes.
const (
	maxSinksTold = 8
	maxErrorTold = 120 // bytes
)

// statusLine says in words what happened in span, between two accounts.
func statusLine(before, now *flow.Books, span time.Duration) string {
	received, lost := socketTotals(now)
	earlier, _ := socketTotals(before)
	parts := []string{fmt.Sprintf("%s events/s, %d lost of %d", rate(received-earlier, span), lost, received+lost)}
	up := 0
	for i := range now.Sinks {
		if now.Sinks[i].Up {
			up++
		}
	}
	parts = append(parts, fmt.Sprintf("%d of %d sinks up", up, len(now.Sinks)))
	for i := range now.Sinks {
		if i == maxSinksTold {
			parts = append(parts, fmt.Sprintf("and %d more", len(now.Sinks)-i))
			break
		}
		parts = append(parts, sinkStatus(before, &now.Sinks[i], span))
	}
	return strings.Join(parts, "; ")
}

// socketTotals sums over the namespaces.
func socketTotals(b *flow.Books) (received, lost uint64) {
	for i := range b.Sockets {
		received += b.Sockets[i].Received
		lost += b.Sockets[i].Lost
	}
	return received, lost
}

// sinkStatus says what a sink does, and why not.
func sinkStatus(before *flow.Books, k *flow.SinkBooks, span time.Duration) string {
	var earlier uint64
	for i := range before.Sinks {
		if before.Sinks[i].Name == k.Name {
			earlier = before.Sinks[i].Delivered
		}
	}
	text := fmt.Sprintf("%s %s/s", k.Name, rate(k.Delivered-earlier, span))
	if dropped := k.DroppedTotal(); dropped > 0 {
		text += fmt.Sprintf(" dropped %d", dropped)
	}
	if !k.Up && k.LastError != "" {
		text += " down: " + oneLine(k.LastError)
	}
	return text
}

// rate has a digit after the point where it matters.
func rate(count uint64, span time.Duration) string {
	perSecond := float64(count) / max(span.Seconds(), 1e-3)
	if perSecond > 0 && perSecond < 10 {
		return fmt.Sprintf("%.1f", perSecond)
	}
	return fmt.Sprintf("%.0f", perSecond)
}

// oneLine shortens a text and takes its line ends out: in a message to the
// service manager a new line would be a new assignment.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	if len(text) <= maxErrorTold {
		return text
	}
	cut := maxErrorTold
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
