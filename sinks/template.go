package sinks

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// template is a destination's name with fields in braces.
type template struct{ parts []templatePart }

// templatePart is a literal, or a field if that is set.
type templatePart struct{ literal, field string }

// templateFields are the only fields: each has few values, and none is an
// address or a port, so that traffic cannot choose a destination.
func templateFields() []string {
	return []string{"node", "netns", "table", "event_type", "family", "proto"}
}

// templateSigns are what may stand beside the fields, and how a message says it.
type templateSigns struct {
	legal    func(rune) bool
	expected string
}

// parseTemplate reads a template. Its errors name the column, counted from 1.
func parseTemplate(s string, signs templateSigns) (template, error) {
	var t template
	for i := 0; i < len(s); {
		part, n, err := parseTemplatePart(s[i:], signs)
		if err != nil {
			return template{}, fmt.Errorf("column %d: %w", i+1, err)
		}
		t.parts = append(t.parts, part)
		i += n
	}
	return t, nil
}

// parseTemplatePart reads one literal or field and tells its length.
func parseTemplatePart(s string, signs templateSigns) (templatePart, int, error) {
	if s[0] != '{' {
		n := strings.IndexByte(s, '{')
		if n < 0 {
			n = len(s)
		}
		if i := strings.IndexFunc(s[:n], func(r rune) bool { return !signs.legal(r) }); i >= 0 {
			return templatePart{}, 0, fmt.Errorf("%q: expected %s or a {field}", []rune(s[i:n])[0], signs.expected)
		}
		return templatePart{literal: s[:n]}, n, nil
	}
	n := strings.IndexByte(s, '}')
	if n < 0 {
		return templatePart{}, 0, errors.New("'{' without '}'")
	}
	field := s[1:n]
	if !slices.Contains(templateFields(), field) {
		return templatePart{}, 0, fmt.Errorf("unknown field {%s}: expected {%s}", field, strings.Join(templateFields(), "} {"))
	}
	return templatePart{field: field}, n + 1, nil
}

// fixed reports whether there is no field.
func (t template) fixed() bool { return t.fields() == 0 }

// fields counts the fields.
func (t template) fields() (n int) {
	for _, p := range t.parts {
		if p.field != "" {
			n++
		}
	}
	return n
}

// has reports whether the template uses the field.
func (t template) has(field string) bool {
	return slices.ContainsFunc(t.parts, func(p templatePart) bool { return p.field == field })
}

// expand puts in each field's place what value says.
func (t template) expand(value func(field string) string) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.field == "" {
			b.WriteString(p.literal)
		} else {
			b.WriteString(value(p.field))
		}
	}
	return b.String()
}

// templateKey is all of a record that a destination's name may depend on.
type templateKey struct {
	node, netns string
	table       flow.Table
	event       flow.Type
	family      flow.Family
	proto       uint8
}

func templateKeyOf(r *Record) templateKey {
	k := templateKey{table: r.Table, event: r.Type, family: r.Family, proto: r.Proto}
	if r.Origin != nil {
		k.node, k.netns = r.Origin.Node, r.Origin.NetNS
	}
	return k
}

// value gives a field as the record has it, "" if it has none.
func (k templateKey) value(field string) string {
	switch field {
	case "node":
		return k.node
	case "netns":
		return k.netns
	case "table":
		return k.table.String()
	case "event_type":
		return k.event.String()
	case "family":
		return k.family.String()
	case "proto":
		return k.protoName()
	}
	return ""
}

// protoName is conntrack's word or the number; what has no family has no protocol.
func (k templateKey) protoName() string {
	if name := flow.ProtoName(k.proto); name != "" || k.family == flow.FamilyUnspecified {
		return name
	}
	return strconv.Itoa(int(k.proto))
}

// replaceRunes puts '_' in the place of every rune that is not legal.
func replaceRunes(s string, legal func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if legal(r) {
			return r
		}
		return '_'
	}, s)
}
