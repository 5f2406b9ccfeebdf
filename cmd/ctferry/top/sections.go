package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/source/flow"
)

// sections are the parts of the screen, from the top.
func (s *screen) sections() []section {
	if s.reading == nil {
		return nil
	}
	return []section{s.events(), s.fill(), s.sinks(), s.errors()}
}

// events tells how fast events come, by protocol and kind, and what was lost.
func (s *screen) events() section {
	r := s.reading
	line := s.in(strong, "EVENTS/s") + "  measuring …"
	if v := r.Rates; v != nil {
		lost := calm
		if v.Lost > 0 {
			lost = bad
		}
		line = s.in(strong, "EVENTS/s") + "  offered " + s.in(strong, rate(v.Offered)) + "  received " + rate(v.Received) +
			"  emitted " + rate(v.Emitted) + "  " + s.in(lost, "lost "+rate(v.Lost))
	}
	e := section{head: []string{line, s.loss()}, least: 3}
	rows := s.kinds()
	if len(rows) == 0 {
		return e
	}
	lines := table(s.paint, []column{{}, {title: "new", right: true}, {title: "update", right: true}, {title: "destroy", right: true}}, rows, s.width)
	e.head, e.rows = append(e.head, lines[0]), lines[1:]
	return e
}

// loss tells the account since the start.
func (s *screen) loss() string {
	var sum, lost uint64
	for i := range s.reading.Books.Sockets {
		sum += s.reading.Books.Sockets[i].Offered
		lost += s.reading.Books.Sockets[i].Lost
	}
	m, most := good, ""
	if lost > 0 {
		m = bad
	}
	if slices.ContainsFunc(s.reading.Books.Sockets, func(b flow.SocketBooks) bool { return b.Reliable }) {
		most = "at most "
	}
	if sum == 0 {
		return "  no event yet"
	}
	return "  since the start " + count(sum) + " offered, " + s.in(m, most+count(lost)+" lost")
}

// kinds are rows of rates: a protocol each, those that have come at least once.
func (s *screen) kinds() [][]cell {
	if s.reading.Rates == nil {
		return nil
	}
	per := map[[3]string]float64{}
	for _, e := range s.reading.Rates.Events {
		per[[3]string{e.Table, e.Event, e.Proto}] = e.PerSecond
	}
	var names [][2]string
	seen := map[[2]string]uint64{}
	for _, e := range s.reading.Books.Events {
		key := [2]string{e.Table, e.Proto}
		if seen[key] == 0 && e.Count > 0 {
			names = append(names, key)
		}
		seen[key] += e.Count
	}
	slices.SortStableFunc(names, func(a, b [2]string) int { return cmp.Compare(seen[b], seen[a]) })
	var rows [][]cell
	for _, n := range names {
		name := n[1]
		if n[0] != "conntrack" {
			name = n[0] + " " + n[1]
		}
		line := []cell{{name, calm}}
		for _, event := range []string{"new", "update", "destroy"} {
			line = append(line, figure(per[[3]string{n[0], event, n[1]}]))
		}
		rows = append(rows, line)
	}
	return rows
}

func figure(v float64) cell {
	if v == 0 {
		return cell{"0", faint}
	}
	return cell{rate(v), calm}
}

// fill tells how full everything is that can be.
func (s *screen) fill() section {
	var rows [][]cell
	for _, b := range sortedBy(s.reading.Buffers, func(b admin.Buffer) float64 { return percent(b.Queued, b.Size) }) {
		note := ""
		if b.Headroom != nil {
			note = headroom(*b.Headroom) + " headroom"
		}
		rows = append(rows, s.gauge("buffer", b.NetNS, percent(b.Queued, b.Size), size(float64(b.Queued))+" of "+size(float64(b.Size)), note))
	}
	for _, t := range sortedBy(s.reading.Tables, func(t flow.TableFill) float64 { return percent(uint64(t.Entries), uint64(t.Max)) }) {
		rows = append(rows, s.gauge("table", t.NetNS, percent(uint64(t.Entries), uint64(t.Max)), count(uint64(t.Entries))+" of "+count(uint64(t.Max)), ""))
	}
	if p := s.reading.Spool; p != nil {
		rows = append(rows, s.gauge("spool", "", percent(p.Bytes, p.Max), size(float64(p.Bytes))+" of "+size(float64(p.Max)), size(float64(p.Free))+" free on disk"))
	}
	f := section{head: []string{s.in(strong, "FILL")}, least: 3}
	if len(rows) > 0 {
		f.rows = table(s.paint, []column{{most: 24}, {spare: 2}, {right: true}, {right: true}, {spare: 1}}, rows, s.width)
	}
	return f
}

// sortedBy puts the fullest first.
func sortedBy[T any](all []T, full func(T) float64) []T {
	own := slices.Clone(all)
	slices.SortStableFunc(own, func(a, b T) int { return cmp.Compare(full(b), full(a)) })
	return own
}

// The shares from which on a fill is shown as near its end; reliable delivery
// lets go of a table at 80 %.
const (
	fillWarn = 0.5
	fillBad  = 0.8
)

func (s *screen) gauge(what, netns string, full float64, amount, note string) []cell {
	m := good
	switch {
	case full >= fillBad:
		m = bad
	case full >= fillWarn:
		m = warn
	}
	if netns != "" {
		what += " " + netns
	}
	width := 20
	if s.width > 100 {
		width = 40
	}
	return []cell{{what, calm}, {bar(full, width), m}, {fmt.Sprintf("%.0f%%", full*100), m}, {amount, calm}, {note, calm}}
}

// errors tells what went wrong last, and what is to be known.
func (s *screen) errors() section {
	r := s.reading
	var rows []string
	for _, e := range r.Errors {
		when := "error"
		if !e.Time.IsZero() {
			when = e.Time.In(s.now.Location()).Format(time.TimeOnly)
		}
		rows = append(rows, s.told(when, warn, e.Part+": "+e.Text)...)
	}
	for _, c := range r.Certificates {
		switch left := c.NotAfter.Sub(r.Time); {
		case c.Error != "":
			rows = append(rows, s.told("file", warn, "certificate "+c.Key+": "+c.Error)...)
		case !c.NotAfter.IsZero() && left <= 0:
			rows = append(rows, s.told("file", bad, "certificate "+c.Key+": has expired")...)
		case !c.NotAfter.IsZero() && left < certificateSoon:
			rows = append(rows, s.told("file", warn, "certificate "+c.Key+": expires in "+span(left))...)
		}
	}
	for _, w := range r.Warnings {
		rows = append(rows, s.told("note", calm, strings.TrimSpace(w))...)
	}
	title := s.in(strong, "LAST ERRORS")
	if len(rows) == 0 {
		title += "  none"
	}
	return section{head: []string{title}, rows: rows, least: 2}
}

// maxToldLines is how many lines one error may take.
const maxToldLines = 3

// told is a text beside when it was, or what it is.
func (s *screen) told(when string, m mood, text string) (rows []string) {
	for _, line := range wrapped(text, s.width-12, maxToldLines) {
		rows = append(rows, "  "+s.in(faint, fmt.Sprintf("%-8s", when))+"  "+s.in(m, line))
		when = ""
	}
	return rows
}

// certificateSoon is how long before its end a certificate is told of.
const certificateSoon = 21 * 24 * time.Hour
