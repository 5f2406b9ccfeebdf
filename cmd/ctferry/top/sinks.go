package top

import (
	"fmt"
	"slices"
	"time"

	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/source/flow"
)

// sinkLine is all that is known of a sink.
type sinkLine struct {
	*flow.SinkBooks
	more *admin.Sink     // nil: not told
	rate *admin.SinkRate // nil: not measured yet
}

// state is how a sink is, in a word.
func (l *sinkLine) state() (string, mood) {
	switch {
	case !l.Up && l.LastError != "":
		return "down", bad
	case l.rate != nil && l.rate.Dropped > 0:
		return "dropping", bad
	case l.Up:
		return "up", good
	case l.Held > 0:
		return "waiting", warn
	}
	return "idle", faint
}

// sinkLines joins what is told of each sink; those that are ill come first.
func sinkLines(r *Reading) []sinkLine {
	var all []sinkLine
	for i := range r.Books.Sinks {
		l := sinkLine{SinkBooks: &r.Books.Sinks[i]}
		for j := range r.Sinks {
			if r.Sinks[j].Name == l.Name {
				l.more = &r.Sinks[j]
			}
		}
		if l.more == nil && !r.Remote {
			continue // it is no longer configured
		}
		for j := range ratesOf(r) {
			if r.Rates.Sinks[j].Name == l.Name {
				l.rate = &r.Rates.Sinks[j]
			}
		}
		all = append(all, l)
	}
	slices.SortStableFunc(all, func(a, b sinkLine) int { return a.ill() - b.ill() })
	return all
}

func ratesOf(r *Reading) []admin.SinkRate {
	if r.Rates == nil {
		return nil
	}
	return r.Rates.Sinks
}

func (l *sinkLine) ill() int {
	if _, m := l.state(); m == bad {
		return 0
	}
	return 1
}

// cells are a sink's row, in the order of sinkColumns.
func (l *sinkLine) cells(now time.Time) []cell {
	word, m := l.state()
	var records, bytes, oldest, kind, success string
	if l.rate != nil {
		records, bytes = rate(l.rate.Delivered), size(l.rate.Bytes)+"/s"
	}
	if k := l.more; k != nil {
		kind = k.Type + " " + k.Encoding
		if !k.Oldest.IsZero() && l.Held > 0 {
			oldest = span(now.Sub(k.Oldest))
		}
		success = "never"
		if !k.LastSuccess.IsZero() {
			success = span(now.Sub(k.LastSuccess)) + " ago"
		}
	}
	dropped, lost := cell{count(l.DroppedTotal()), calm}, cell{count(l.DeadLettered), calm}
	if l.DroppedTotal() > 0 {
		dropped.mood = bad
	}
	if l.DeadLettered > 0 {
		lost.mood = warn
	}
	return []cell{{l.Name, strong}, {word, m}, {records, calm}, {bytes, calm}, {count(l.Held), calm}, {oldest, calm}, dropped,
		lost, {count(l.Retries), calm}, {count(l.Delivered), calm}, {success, calm}, {kind, faint}}
}

func sinkColumns() []column {
	return []column{
		{title: "sink", most: 22}, {title: "state"}, {title: "records/s", right: true}, {title: "bytes/s", right: true, spare: 2},
		{title: "waiting", right: true, spare: 1}, {title: "oldest", right: true, spare: 3}, {title: "dropped", right: true},
		{title: "dead", right: true, spare: 4}, {title: "retries", right: true, spare: 5}, {title: "delivered", right: true, spare: 8},
		{title: "last success", right: true, spare: 6}, {title: "type", spare: 7},
	}
}

// sinks tells how each sink is.
func (s *screen) sinks() section {
	all := sinkLines(s.reading)
	rows := make([][]cell, 0, len(all))
	for i := range all {
		rows = append(rows, all[i].cells(s.reading.Time))
	}
	k := section{head: []string{s.in(strong, "SINKS")}, least: 4, roll: true, from: s.from}
	if len(rows) == 0 {
		k.head[0] += "  none"
		return k
	}
	lines := table(s.paint, sinkColumns(), rows, s.width)
	k.head, k.rows = append(k.head, lines[0]), lines[1:]
	ill := 0
	for i := range all {
		ill += 1 - all[i].ill()
	}
	k.head[0] += fmt.Sprintf("  %d", len(all))
	if ill > 0 {
		k.head[0] += ", " + s.in(bad, fmt.Sprintf("%d not well", ill))
	}
	return k
}
