package frontend

import (
	"fmt"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/source/flow"
)

// step is one request, and what is behind it: one command, or several -I or -A
// of a file that follow one another.
type step struct {
	request *control.Request
	cmd     *conntrack.Command // the first
	made    []made             // create: what made each entry
	file    string             // where they stand; "" is the command line
}

// made is the command behind an entry.
type made struct {
	verb conntrack.Verb
	line int
}

// place is where the command behind an entry stands.
func (s *step) place(n int) string { return fmt.Sprintf("%s:%d", s.file, s.made[n].line) }

// step turns a command into a request.
func (f *Front) step(c *conntrack.Command, t Target) (*step, error) {
	q, err := f.request(c, t)
	if err != nil {
		return nil, err
	}
	aim(q, t)
	return &step{request: q, cmd: c, made: []made{{verb: c.Verb}}}, nil
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

// refusal is why a command, which is right by itself, cannot be carried out.
func refusal(c *conntrack.Command, t Target) error {
	switch {
	case t.Limit > 0 && !limited(c):
		return wrong("Illegal option `--limit' with this command")
	case creates(c) && zones(c) > 1:
		return wrong("cannot specify more than one of `--zone', `--orig-zone' and `--reply-zone': an entry has one")
	}
	return nil
}

// request says what a command asks for.
func (f *Front) request(c *conntrack.Command, t Target) (*control.Request, error) {
	if err := refusal(c, t); err != nil {
		return nil, err
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
		q.Verb, q.Entries = control.VerbCreate, []control.Entry{f.entry(c, new(flow.Event))}
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
