package conntrack

import (
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// Extra is a long option of the caller's own. It may stand anywhere on any
// line, by its whole name or by a prefix that is no prefix of an option of
// conntrack's; it never changes what a line means that conntrack understands.
type Extra struct {
	Name  string // without dashes
	Value bool   // it takes one: --name=value or --name value
}

// Parser reads command lines. The zero Parser is ready; a Parser is not
// changed by use, so goroutines may share it.
type Parser struct {
	Protocol func(name string) (uint8, bool) // the names of protocols(5), exactly; nil: none but conntrack's own
	Label    func(name string) bool          // the names of connlabel.conf; nil: any name will do
	Extra    []Extra
}

// Parse reads a command line, without the program's name, by the zero Parser.
// Its error is a *UsageError.
func Parse(argv []string) (*Command, error) { return new(Parser).Parse(argv) }

// line is a command line while it is read.
type line struct {
	scanner
	parser *Parser
	known  func(string) bool
	cmd    Command
	given  keys
	proto  *protocol
	family flow.Family

	src, dst             end
	expectSrc, expectDst end
	natRange             bool
	unset                bool // -u had UNSET
	markMask             bool // -m had a mask
}

// Parse reads a command line, without the program's name. Its error is a
// *UsageError, for the first fault in the order in which conntrack finds them.
func (p *Parser) Parse(argv []string) (*Command, error) { return new(line).parse(p, argv) }

// parse forgets the line before. The Command is a part of l.
func (l *line) parse(p *Parser, argv []string) (*Command, error) {
	*l = line{parser: p, known: p.Label}
	l.argv, l.table = argv, options()
	for _, x := range p.Extra {
		o := option{key: kExtra, names: []string{x.Name}}
		if x.Value {
			o.arg = argRequired
		}
		l.extra = append(l.extra, o)
	}
	for {
		o, value, has, ok, err := l.read()
		if err == nil && ok {
			err = l.take(o, value, has)
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			return l.finish()
		}
	}
}

// take carries out one option.
func (l *line) take(o *option, value string, has bool) error {
	if o.key == kExtra {
		if o.arg == argRequired && value == "" {
			return wrong("option `%s' requires an argument", l.word)
		}
		l.cmd.Extra = append(l.cmd.Extra, ExtraValue{Name: o.names[0], Value: value})
		return nil
	}
	l.options++
	if l.cmd.Verb == VerbLoadFile {
		return stricter("load-file", "`--load-file' stands alone: unexpected option `%s'", l.word)
	}
	if o.key == kCommand {
		return l.command(o, value, has)
	}
	l.given |= keysOf(o.key)
	switch {
	case o.key >= kPortSrc:
		return l.protocolOption(o, value)
	case o.key == kOrigZone, o.key == kReplyZone, o.key == kZone, o.key == kID, o.key == kSecmark, o.key == kTimeout, o.key == kBuffer:
		return l.numeric(o, value)
	}
	return l.parameter(o, value, has)
}

// command takes -L and its like with the table's name.
func (l *line) command(o *option, value string, has bool) error {
	if o.verb == VerbLoadFile && l.options > 1 { // the tool knows it as the first word only
		return l.unknown()
	}
	if l.cmd.Verb != VerbNone {
		return wrong("Invalid commands combination")
	}
	l.cmd.Verb = o.verb
	if o.verb == VerbLoadFile {
		l.cmd.File = value
		return nil
	}
	attached := has && l.attached()
	if o.arg == argNone && l.bundle == "" && l.next < len(l.argv) && !strings.HasPrefix(l.argv[l.next], "-") {
		value, has = l.argv[l.next], true // of -S, -h and -V, which have no value for getopt
		l.next++
	}
	if !has {
		return nil
	}
	t, ok := parseTable(value)
	switch {
	case attached && (!ok || t.String() != value):
		return stricter("attached", "unknown type `%s' in `%s': a command takes nothing but a table's whole name there", value, l.word)
	case value == "":
		return stricter("empty-words", "unknown type `'")
	case !ok:
		return wrong("unknown type `%s'", value)
	}
	l.cmd.Table = t
	return checkTable(o.verb, t)
}

// attached reports whether the value that was read last stood in its option's
// own word. The tool throws an optional value away that does.
func (l *line) attached() bool { return l.argv[l.next-1] == l.word }

// parseTable finds a table by its name or the beginning of it.
func parseTable(s string) (Table, bool) {
	for t := range tables {
		if s != "" && strings.HasPrefix(t.String(), s) {
			return t, true
		}
	}
	return 0, false
}

// protocol takes -p: its value decides which options exist from here on.
func (l *line) protocol(value string) error {
	num, ok := l.protocolNumber(value)
	if !ok {
		return wrong("`%s' unsupported protocol", value)
	}
	if l.cmd.Proto.Set && l.cmd.Proto.Value != num && l.given>>kPortSrc != 0 {
		return stricter("protocol-twice", "`--protonum %s' after an option of another protocol", value)
	}
	l.cmd.Proto = Some(num)
	l.proto = protocolOf(num)
	l.table = options()
	if l.proto != nil {
		l.table = l.proto.table
	}
	return nil
}

func (l *line) protocolNumber(s string) (uint8, bool) {
	for _, name := range flow.ProtoNames() {
		if strings.EqualFold(name, s) {
			return flow.ProtoNum(name)
		}
	}
	if n, ok := (bound{max: 255}).parse(s); ok {
		return uint8(n), true
	}
	if l.parser.Protocol == nil {
		return 0, false
	}
	return l.parser.Protocol(s)
}
