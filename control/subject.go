package control

import "strings"

// TableAgent is no table of the kernel's: its one verb is stats, which tells
// the node's status records, one for each sink. Whoever may read statistics may
// read it.
const TableAgent Table = "agent"

// Subjects lay out what control uses of NATS. Every request has the same number
// of tokens, so that a permission can name verbs, tables and nodes by wildcard;
// fleet stands where the node's two tokens would, so none on node.* reaches it.
type Subjects struct {
	Prefix, Site string // a token each
}

// Where requests of all tables are heard, and what is not a table beside them.
const (
	anyToken    = "*"
	streamToken = "stream" // words of a caller about an answer under way
	whoToken    = "who"    // asks for the run that goes by the node's name
)

// Node is where one node hears a request.
func (s Subjects) Node(node string, t Table, v Verb) string {
	return s.node(node, string(t), string(v))
}

// Fleet is where every node of the site hears a request.
func (s Subjects) Fleet(t Table, v Verb) string {
	return s.join("fleet", string(t), string(v))
}

// Audit is where a node's audit goes.
func (s Subjects) Audit(node string) string { return s.join("audit", Token(node)) }

// stream is where the node hears the caller of one answer, "*" of all.
func (s Subjects) stream(node, token string) string { return s.node(node, streamToken, token) }

// who is where a run that serves the node answers for its name.
func (s Subjects) who(node string) string { return s.node(node, string(TableAgent), whoToken) }

func (s Subjects) node(node string, rest ...string) string {
	return s.join(append([]string{"node", Token(node)}, rest...)...)
}

func (s Subjects) join(rest ...string) string {
	return strings.Join(append([]string{s.Prefix, "v1", s.Site}, rest...), ".")
}

// problem tells what is wrong with the layout, or nothing.
func (s Subjects) problem() *Error {
	switch {
	case s.Prefix == "" || Token(s.Prefix) != s.Prefix:
		return &Error{Code: CodeInvalid, Field: "prefix", Message: "expected a subject token of A-Z, a-z, 0-9, _ and -"}
	case s.Site == "" || Token(s.Site) != s.Site:
		return &Error{Code: CodeInvalid, Field: "site", Message: "expected a subject token of A-Z, a-z, 0-9, _ and -"}
	}
	return nil
}

// Token makes a subject token of a name: signs other than A-Z, a-z, 0-9, _ and
// - become _, and so does the empty name.
func Token(name string) string {
	if name == "" {
		return "_"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, name)
}

// tableOf is the table that a request's subject names: its last token but one.
func tableOf(subject string) Table {
	head, _, _ := cutLast(subject)
	_, table, _ := cutLast(head)
	return Table(table)
}

func cutLast(subject string) (head, last string, found bool) {
	i := strings.LastIndexByte(subject, '.')
	if i < 0 {
		return "", subject, false
	}
	return subject[:i], subject[i+1:], true
}
