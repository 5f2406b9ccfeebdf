package frontend

import (
	"bytes"
	"io"
	"time"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// printFill is how much is printed at once where nobody waits for each line.
const printFill = 64 << 10

// printer writes rows and events to standard output.
type printer struct {
	out     io.Writer
	table   flow.Table
	names   *Names
	text    encode.Text
	records encode.Encoder // of -o json; nil otherwise
	named   bool           // each line says whose it is
	deleted bool           // rows are of -D

	buf   []byte
	open  bool // XML's header is printed
	count uint64
	lost  uint64 // events, by the gaps among them
	err   error
}

func newPrinter(f *Front, c *conntrack.Command, named bool) *printer {
	o := c.Output
	p := &printer{out: f.Out, table: tableOf(c), names: f.Names, named: named, deleted: c.Verb == conntrack.VerbDelete}
	p.text = encode.Text{
		Extended: o.Has(conntrack.OutputExtended), ID: o.Has(conntrack.OutputID), Timestamp: o.Has(conntrack.OutputTimestamp),
		KTimestamp: o.Has(conntrack.OutputKTimestamp), Labels: o.Has(conntrack.OutputLabels), Save: o.Has(conntrack.OutputSave), XML: o.Has(conntrack.OutputXML),
	}
	if c.Verb != conntrack.VerbDelete && len(c.Labels)+len(c.LabelAdd)+len(c.LabelDel) > 0 || c.LabelDelAll {
		p.text.Labels = true // who speaks of labels sees them, as with conntrack
	}
	if o.Has(conntrack.OutputJSON) {
		p.records = encode.Formats()["json"].NewEncoder(encode.Projection{})
	}
	return p
}

func tableOf(c *conntrack.Command) flow.Table {
	if c.Table == conntrack.TableExpect {
		return flow.TableExpect
	}
	return flow.TableConntrack
}

// rows prints rows, and writes what is enough to be worth it.
func (p *printer) rows(b *flow.Batch) error {
	events := b.Events()
	p.text.Now = time.Now().UnixNano()
	for i := range events {
		p.row(&events[i])
	}
	if len(p.buf) < printFill {
		return nil
	}
	return p.flush()
}

func (p *printer) row(e *flow.Event) {
	p.name(e)
	p.count++
	switch {
	case p.records != nil:
		p.buf = append(p.records.Append(p.buf, e), '\n')
	case p.deleted:
		p.end(p.nodeOf(e), p.text.AppendDeleted(p.begin(), e))
	default:
		p.end(p.nodeOf(e), p.text.AppendRow(p.begin(), e))
	}
}

// events prints live events and gives them away at once.
func (p *printer) events(b *flow.Batch) error {
	events := b.Events()
	p.text.Now = time.Now().UnixNano()
	for i := range events {
		e := &events[i]
		if e.Type == flow.TypeGap {
			p.gap(e.Gap)
		} else {
			p.name(e)
			p.count++
		}
		switch {
		case p.records != nil:
			p.buf = append(p.records.Append(p.buf, e), '\n')
		case e.Type != flow.TypeGap:
			p.end(p.nodeOf(e), p.text.AppendEvent(p.begin(), e))
		}
	}
	return p.flush()
}

func (p *printer) gap(g *flow.Gap) {
	switch {
	case g.Lost != nil:
		p.lost += *g.Lost
	case g.LostMax != nil:
		p.lost += *g.LostMax
	default:
		p.lost++
	}
}

// name gives labels their names, where the reader has not.
func (p *printer) name(e *flow.Event) {
	if !p.text.Labels && p.records == nil || !e.Got(flow.HasLabels) || e.Got(flow.HasLabelNames) {
		return
	}
	names := p.names.list(e.Labels)
	if len(names) == 0 {
		return
	}
	if e.Extra == nil {
		e.Extra = new(flow.Extra)
	}
	e.Extra.LabelNames = names
	e.Has |= flow.HasLabelNames
}

// nodeOf is the name of an event's node, if lines are to have it.
func (p *printer) nodeOf(e *flow.Event) string {
	if !p.named || e.Origin == nil {
		return ""
	}
	return plain(e.Origin.Node)
}

// begin is where a line is appended; XML's header stands before the first one.
func (p *printer) begin() []byte {
	if p.text.XML && !p.open {
		p.open = true
		p.buf = encode.AppendXMLHeader(p.buf, p.table)
	}
	return p.buf
}

// end takes a line that was appended to the buffer and ends it. With several
// hosts a line says whose it is: text by a last word, XML by an attribute.
func (p *printer) end(node string, line []byte) {
	from := len(p.buf)
	switch {
	case len(line) == from:
		return // no line of conntrack's
	case node == "":
		p.buf = append(line, '\n')
	case p.text.XML:
		tag, rest, _ := bytes.Cut(bytes.Clone(line[from:]), []byte("<flow"))
		line = append(append(line[:from], tag...), `<flow node="`...)
		line = append(append(line, escaped(node)...), '"')
		p.buf = append(append(line, rest...), '\n')
	default:
		p.buf = append(append(append(line, " node="...), node...), '\n')
	}
}

// escaped is a name that may stand in an attribute.
func escaped(name string) []byte {
	var b []byte
	for _, c := range []byte(name) {
		switch c {
		case '<', '>', '&', '"':
			c = '_'
		}
		b = append(b, c)
	}
	return b
}

// close ends the document and writes what is left.
func (p *printer) close() error {
	if p.open {
		p.buf = encode.AppendXMLFooter(p.buf, p.table)
		p.open = false
	}
	return p.flush()
}

// flush writes; after an error nothing more is written.
func (p *printer) flush() error {
	if p.err == nil && len(p.buf) > 0 {
		_, p.err = p.out.Write(p.buf)
	}
	p.buf = p.buf[:0]
	return p.err
}
