package sinks

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// A subject must stay below nats-server's max_control_line, 4096 bytes.
const (
	natsSubjectLen    = 512 // of the template
	natsSubjectFields = 8
	natsValueLen      = 255 // of what stands in a field's place
)

// natsSubjectTemplate is a subject with fields in braces.
type natsSubjectTemplate struct{ template }

// parseNATSSubject reads a template. Its errors name the column, counted from
// 1, or the token.
func parseNATSSubject(s string) (natsSubjectTemplate, error) {
	none := natsSubjectTemplate{}
	if s == "" {
		return none, errors.New("missing: expected a subject")
	}
	parsed, err := parseTemplate(s, templateSigns{legal: natsLiteralRune, expected: "a printable sign other than a space, '*', '>'"})
	if err != nil {
		return none, err
	}
	t := natsSubjectTemplate{parsed}
	switch {
	case len(s) > natsSubjectLen:
		return none, fmt.Errorf("too long: expected at most %d bytes", natsSubjectLen)
	case t.fields() > natsSubjectFields:
		return none, fmt.Errorf("too many fields: expected at most %d", natsSubjectFields)
	case slices.Contains(strings.Split(s, "."), ""):
		return none, errors.New("a token is empty: expected words parted by single dots")
	case s[0] == '$' || strings.HasPrefix(s, "_INBOX."):
		return none, errors.New("subjects that begin with $ or _INBOX are the server's own")
	}
	return t, nil
}

// natsLiteralRune tells what may stand in a template beside fields.
func natsLiteralRune(r rune) bool {
	return r > ' ' && r <= '~' && r != '*' && r != '>' && r != '{' && r != '}'
}

// natsTokenRune tells what may stand in a field's place.
func natsTokenRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}

// natsToken makes a value fit for one token of a subject: other signs become
// '_', and so does an empty value.
func natsToken(v string) string {
	if v == "" {
		return "_"
	}
	return replaceRunes(v[:min(len(v), natsValueLen)], natsTokenRune)
}

// expand gives the record's subject.
func (t natsSubjectTemplate) expand(k templateKey) string {
	if flow.AlwaysTypes.Has(k.event) {
		k.table = flow.TableConntrack // gaps and status are of no table; so they have one place
	}
	return t.template.expand(func(field string) string { return natsToken(k.value(field)) })
}

// wildcard gives the narrowest subject that matches whatever expand can give.
func (t natsSubjectTemplate) wildcard() string {
	tokens := strings.Split(t.template.expand(func(string) string { return "*" }), ".")
	for i, token := range tokens {
		if strings.Contains(token, "*") {
			tokens[i] = "*"
		}
	}
	return strings.Join(tokens, ".")
}

// splitsFlows reports whether one flow's records can have several subjects.
// What the other fields show is the same over a flow's whole life.
func (t natsSubjectTemplate) splitsFlows() bool { return t.has("event_type") || t.has("table") }

// natsCovers reports whether every subject that matches inner, which may have
// wildcards, matches one of the patterns.
func natsCovers(patterns []string, inner string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return natsWithin(p, inner) })
}

func natsWithin(pattern, inner string) bool {
	outer, tokens := strings.Split(pattern, "."), strings.Split(inner, ".")
	for i, o := range outer {
		switch {
		case o == ">":
			return len(tokens) > i
		case i >= len(tokens) || tokens[i] == ">":
			return false
		case o != "*" && o != tokens[i]:
			return false
		}
	}
	return len(outer) == len(tokens)
}
