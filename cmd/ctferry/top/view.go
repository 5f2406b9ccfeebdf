package top

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// screen is what is shown, and how.
type screen struct {
	paint
	width, height int // in signs; 0 is no bound
	now           time.Time

	reading *Reading // nil: none yet
	asked   string   // whom
	every   time.Duration
	fault   string    // why there is no answer; "" if there is
	since   time.Time // of the last answer

	paused, help bool
	keys         bool // somebody can press them
	from         int  // the first sink that is shown
}

// String lays everything out. No line is wider than the screen, nor are there
// more lines than it has.
func (s *screen) String() string {
	lines := s.header()
	room := s.room(len(lines))
	body := compose(s.paint, s.sections(), room)
	if s.help {
		body = helpLines()
	}
	if room > 0 {
		body = body[:min(len(body), room)]
	}
	lines = append(lines, body...)
	if s.keys {
		for s.height > 0 && len(lines) < s.height-1 {
			lines = append(lines, "")
		}
		lines = append(lines, s.footer())
	}
	if s.height > 0 {
		lines = lines[:min(len(lines), s.height)]
	}
	for i := range lines {
		lines[i] = clip(lines[i], s.width)
	}
	return strings.Join(lines, "\n")
}

// room is how many lines are left for the sections; 0 is no bound.
func (s *screen) room(header int) int {
	if s.height <= 0 {
		return 0
	}
	if s.keys {
		header++
	}
	return max(1, s.height-header)
}

// hidden is how many sinks there is no room for.
func (s *screen) hidden() int {
	all := s.sections()
	for i, got := range share(all, s.room(len(s.header()))) {
		if all[i].roll {
			return len(all[i].rows) - got
		}
	}
	return 0
}

// header tells who it is and whether it is well.
func (s *screen) header() []string {
	r := s.reading
	if r == nil {
		if s.fault == "" {
			return []string{s.in(strong, "ctferry top") + "  asking " + s.asked}
		}
		return []string{s.in(strong, "ctferry top"), s.in(bad, "no answer yet, trying again: "+s.fault)}
	}
	left := s.in(strong, r.Node)
	if word := s.health(); word != "" {
		left += "  " + word
	}
	if s.paused {
		left += "  " + s.in(warn, "PAUSED")
	}
	left += "  up " + span(seconds(r.Uptime)) + "  ctferry " + r.Version
	if r.Kernel != "" {
		left += "  Linux " + r.Kernel
	}
	clock := r.Time.In(s.now.Location()).Format(time.TimeOnly)
	lines := []string{left}
	if gap := s.width - lipgloss.Width(left) - len(clock); gap >= 2 {
		lines[0] += strings.Repeat(" ", gap) + s.in(faint, clock)
	}
	if s.fault == "" {
		return lines
	}
	text := fmt.Sprintf("no answer since %s (%s), trying again: %s", s.since.Format(time.TimeOnly), span(s.now.Sub(s.since)), s.fault)
	for _, line := range wrapped(text, s.width, 2) {
		lines = append(lines, s.in(bad, line))
	}
	return lines
}

// maxStandstill is for how many seconds a reader may stand still; the admin port
// says so too.
const maxStandstill = 10

func (s *screen) health() string {
	r := s.reading
	switch {
	case s.fault != "":
		return s.in(bad, "NO ANSWER")
	case r.Remote: // a status record does not tell
		return ""
	case r.Standstill > maxStandstill:
		return s.in(bad, fmt.Sprintf("THE READER STANDS STILL for %.0fs", r.Standstill))
	case !r.Ready:
		return s.in(warn, "not ready")
	}
	return s.in(good, "ready")
}

func (s *screen) footer() string {
	return s.in(faint, fmt.Sprintf("q quit  p pause  ↑↓ sinks  ? help   every %v, %s", s.every, s.asked))
}

func helpLines() []string {
	return strings.Split(`
  q, Ctrl-C        quit
  p, space         hold the screen; again: go on
  ↑ ↓, k j         scroll the sinks, PgUp PgDn by five, Home to the first
  ?                this help; again: back

  offered          events that the kernel had for the service, a second
  headroom         until the receive buffer is full if nobody read it, at the
                   present rate; a short one is no loss, only how near it is
  waiting          records that a sink holds, in memory or in the spool
  oldest           how long ago the oldest of them was stored
  lost             events that the kernel dropped, exactly
  dropped, dead    records that a sink gave up, and those it put aside`, "\n")
}
