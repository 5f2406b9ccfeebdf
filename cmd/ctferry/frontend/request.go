package frontend

import (
	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/control"
)

// step is one request of a line or of a file, and the commands behind it: one,
// or several -I or -A that follow one another.
type step struct {
	request  *control.Request
	commands []*conntrack.Command
	places   []string // of a file: where each of them stands
}

// maxTogether is how many entries one request makes: no more than failures are
// told of, because -A has to know of each that it is not that the entry exists.
const maxTogether = control.MaxFailures

// steps turns commands into requests, in their order. places are where they
// stand in a file, nil if they do not.
func (f *Front) steps(commands []*conntrack.Command, places []string, t Target) ([]step, error) {
	var all []step
	for i, c := range commands {
		if creates(c) && zones(c) > 1 {
			return nil, wrong("cannot specify more than one of `--zone', `--orig-zone' and `--reply-zone': an entry has one")
		}
		if n := len(all); creates(c) && n > 0 && joins(&all[n-1], c) {
			last := &all[n-1]
			last.request.Entries = append(last.request.Entries, f.entry(c))
			last.commands = append(last.commands, c)
			last.places = append(last.places, places[i])
			continue
		}
		q, err := f.request(c, t)
		if err != nil {
			return nil, err
		}
		aim(q, t)
		s := step{request: q, commands: []*conntrack.Command{c}}
		if places != nil {
			s.places = []string{places[i]}
		}
		all = append(all, s)
	}
	return all, nil
}

func creates(c *conntrack.Command) bool {
	return c.Verb == conntrack.VerbCreate || c.Verb == conntrack.VerbAdd
}

func zones(c *conntrack.Command) (n int) {
	for _, z := range []conntrack.Opt[uint16]{c.Zone, c.OrigZone, c.ReplyZone} {
		if z.Set {
			n++
		}
	}
	return n
}

// joins reports whether a command that makes an entry may go with a step.
func joins(s *step, c *conntrack.Command) bool {
	return creates(s.commands[0]) && s.commands[0].Table == c.Table && len(s.commands) < maxTogether
}

// request says what a command asks for; nil is nothing at all.
func (f *Front) request(c *conntrack.Command, t Target) (*control.Request, error) {
	if t.Limit > 0 && !limited(c) {
		return nil, wrong("Illegal option `--limit' with this command")
	}
	q := &control.Request{Table: tableName(c.Table)}
	switch c.Verb {
	case conntrack.VerbList, conntrack.VerbDelete, conntrack.VerbUpdate, conntrack.VerbEvents:
		return q, f.selection(q, c, t)
	case conntrack.VerbGet:
		q.Verb = control.VerbGet
		key := keyOf(c)
		q.Keys = []control.Key{{Conntrack: &key}}
		if c.Table == conntrack.TableExpect {
			q.Keys = []control.Key{expectOf(c)}
		}
	case conntrack.VerbCreate, conntrack.VerbAdd:
		q.Verb, q.Entries = control.VerbCreate, []control.Entry{f.entry(c)}
	case conntrack.VerbFlush:
		q.Verb, q.Family = control.VerbFlush, c.Family
	case conntrack.VerbCount:
		q.Verb = control.VerbCount
	case conntrack.VerbStats:
		q.Verb = control.VerbStats
	}
	return q, nil
}

// limited reports whether --limit bounds a command.
func limited(c *conntrack.Command) bool {
	switch c.Verb {
	case conntrack.VerbList, conntrack.VerbUpdate:
		return true
	case conntrack.VerbDelete:
		return c.Table == conntrack.TableConntrack // the tuple of an expectation names one
	}
	return false
}

func expectOf(c *conntrack.Command) control.Key {
	key := expectKeyOf(c)
	return control.Key{Expect: &key}
}

// selection is a request about what matches.
func (f *Front) selection(q *control.Request, c *conntrack.Command, t Target) (err error) {
	if c.Secmark.Set {
		return wrong("`--secmark' cannot be carried out: the kernel tells no entry's mark, only its context")
	}
	q.Verb, q.Family = control.VerbList, c.AddrFamily()
	switch {
	case c.Verb == conntrack.VerbList && c.Zero:
		q.Verb = control.VerbZero
	case c.Verb == conntrack.VerbDelete && c.Table == conntrack.TableExpect:
		q.Verb, q.Family, q.Keys = control.VerbDelete, 0, []control.Key{expectOf(c)}
		return nil
	case c.Verb == conntrack.VerbDelete:
		q.Verb, q.Rows = control.VerbDelete, true
	case c.Verb == conntrack.VerbUpdate:
		change := f.change(c)
		q.Verb, q.Rows, q.Change = control.VerbUpdate, true, &change
	case c.Verb == conntrack.VerbEvents:
		q.Verb, q.Types, q.Buffer = control.VerbWatch, c.Events, socketBuffer(c)
	}
	q.Limit = t.Limit
	if c.Table == conntrack.TableExpect {
		return nil // no filter but the family
	}
	q.Filter, err = f.filter(c)
	return err
}

// socketBuffer is what -b asks for: the kernel doubles the number it is told
// (socket(7)), and requests speak of what it then is.
func socketBuffer(c *conntrack.Command) int {
	const largest = 1<<31 - 1
	return min(c.Buffer.Value, largest/2) * 2
}

func tableName(t conntrack.Table) control.Table {
	switch t {
	case conntrack.TableExpect:
		return control.TableExpect
	case conntrack.TableDying:
		return control.TableDying
	case conntrack.TableUnconfirmed:
		return control.TableUnconfirmed
	}
	return control.TableConntrack
}

// nothing reports whether an update changes nothing.
func nothing(q *control.Request) bool { return q.Change != nil && *q.Change == control.Change{} }
