package frontend

import (
	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/source/flow"
)

// maxTogether is how many entries one request makes: no more than failures are
// told of, because -A has to know of each that it is not that the entry exists.
const maxTogether = control.MaxFailures

// several are entries of a file that are made by one request, in memory that
// serves for all that follow.
type several struct {
	first   conntrack.Command
	entries []control.Entry
	made    []made
	events  [maxTogether]flow.Event
}

func (s *several) len() int { return len(s.entries) }

func (s *several) reset() { s.entries, s.made = s.entries[:0], s.made[:0] }

// add adds the entry of a command, where there is room, and reports whether it
// was the last for which there is.
func (s *several) add(f *Front, c *conntrack.Command, line int) (full bool) {
	n := len(s.entries)
	if n == 0 {
		s.first = *c
	}
	s.entries = append(s.entries, f.entry(c, &s.events[n]))
	s.made = append(s.made, made{c.Verb, line})
	return n+1 == maxTogether
}

// step is the request for them, valid until the reset.
func (s *several) step(t Target) *step {
	q := &control.Request{Table: tableName(s.first.Table), Verb: control.VerbCreate, Entries: s.entries}
	aim(q, t)
	return &step{request: q, cmd: &s.first, made: s.made}
}
