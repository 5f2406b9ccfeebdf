package sinks

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// kafkaTopicLen is the longest name of a topic (org.apache.kafka.common.internals.Topic).
const kafkaTopicLen = 249

// kafkaTopicTemplate is a topic's name with fields in braces.
type kafkaTopicTemplate struct{ parts []kafkaTopicPart }

// kafkaTopicPart is a literal, or a field if that is set.
type kafkaTopicPart struct{ literal, field string }

// kafkaTopicFields are the only fields: each has few values, and none is an
// address or a port, so that traffic cannot choose a topic.
func kafkaTopicFields() []string {
	return []string{"node", "netns", "table", "event_type", "family", "proto"}
}

// parseKafkaTopic reads a template. Its errors name the column, counted from 1.
func parseKafkaTopic(s string) (kafkaTopicTemplate, error) {
	var t kafkaTopicTemplate
	if s == "" {
		return t, errors.New("missing: expected a topic's name")
	}
	for i := 0; i < len(s); {
		part, n, err := parseKafkaTopicPart(s[i:])
		if err != nil {
			return kafkaTopicTemplate{}, fmt.Errorf("column %d: %w", i+1, err)
		}
		t.parts = append(t.parts, part)
		i += n
	}
	if t.fixed() && (len(s) > kafkaTopicLen || s == "." || s == "..") {
		return kafkaTopicTemplate{}, fmt.Errorf("%q cannot be a topic's name", s)
	}
	if len(s) > 2*kafkaTopicLen {
		return kafkaTopicTemplate{}, fmt.Errorf("too long: expected at most %d bytes", 2*kafkaTopicLen)
	}
	return t, nil
}

// parseKafkaTopicPart reads one literal or field and tells its length.
func parseKafkaTopicPart(s string) (kafkaTopicPart, int, error) {
	if s[0] != '{' {
		n := strings.IndexByte(s, '{')
		if n < 0 {
			n = len(s)
		}
		if i := strings.IndexFunc(s[:n], func(r rune) bool { return !kafkaTopicRune(r) }); i >= 0 {
			return kafkaTopicPart{}, 0, fmt.Errorf("%q: expected letters, digits, '.', '_', '-' or a {field}", []rune(s[i:n])[0])
		}
		return kafkaTopicPart{literal: s[:n]}, n, nil
	}
	n := strings.IndexByte(s, '}')
	if n < 0 {
		return kafkaTopicPart{}, 0, errors.New("'{' without '}'")
	}
	field := s[1:n]
	if !slices.Contains(kafkaTopicFields(), field) {
		return kafkaTopicPart{}, 0, fmt.Errorf("unknown field {%s}: expected {%s}", field, strings.Join(kafkaTopicFields(), "} {"))
	}
	return kafkaTopicPart{field: field}, n + 1, nil
}

func kafkaTopicRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
}

// fixed reports whether there is no field.
func (t kafkaTopicTemplate) fixed() bool {
	return !slices.ContainsFunc(t.parts, func(p kafkaTopicPart) bool { return p.field != "" })
}

// has reports whether the template uses the field.
func (t kafkaTopicTemplate) has(field string) bool {
	return slices.ContainsFunc(t.parts, func(p kafkaTopicPart) bool { return p.field == field })
}

// kafkaTopicKey is all of a record that a topic's name may depend on.
type kafkaTopicKey struct {
	node, netns string
	table       flow.Table
	event       flow.Type
	family      flow.Family
	proto       uint8
}

func kafkaTopicKeyOf(r *Record) kafkaTopicKey {
	k := kafkaTopicKey{table: r.Table, event: r.Type, family: r.Family, proto: r.Proto}
	if r.Origin != nil {
		k.node, k.netns = r.Origin.Node, r.Origin.NetNS
	}
	return k
}

// expand gives the name: signs that a topic cannot have become '_', and what
// is absent (a gap has no family) "none"; the service's own namespace is "host".
func (t kafkaTopicTemplate) expand(k kafkaTopicKey) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.field == "" {
			b.WriteString(p.literal)
			continue
		}
		for _, r := range k.value(p.field) {
			if !kafkaTopicRune(r) {
				r = '_'
			}
			b.WriteRune(r)
		}
	}
	name := b.String()
	name = name[:min(len(name), kafkaTopicLen)]
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "_")
	}
	return name
}

func (k kafkaTopicKey) value(field string) string {
	var v string
	switch field {
	case "node":
		v = k.node
	case "netns":
		if v = k.netns; v == "" {
			return "host"
		}
	case "table":
		v = k.table.String()
	case "event_type":
		v = k.event.String()
	case "family":
		v = k.family.String()
	case "proto":
		v = k.protoName()
	}
	if v == "" {
		return "none"
	}
	return v
}

// protoName is conntrack's word or the number; what has no family has no protocol.
func (k kafkaTopicKey) protoName() string {
	if name := flow.ProtoName(k.proto); name != "" || k.family == flow.FamilyUnspecified {
		return name
	}
	return strconv.Itoa(int(k.proto))
}
