package sinks

import (
	"strings"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

func TestKafkaTopicTemplate(t *testing.T) {
	tcp := templateKey{node: "edge.1/a b", netns: "", table: flow.TableConntrack, event: flow.TypeNew, family: flow.IPv6, proto: flow.ProtoTCP}
	gap := templateKey{node: "edge", netns: "blue", event: flow.TypeGap}
	odd := templateKey{node: "é", family: flow.IPv4, proto: 89}
	for _, tt := range []struct {
		template string
		key      templateKey
		want     string
	}{
		{"flows", tcp, "flows"},
		{"ct.{node}", tcp, "ct.edge.1_a_b"},
		{"{netns}-{table}", tcp, "host-conntrack"},
		{"{event_type}.{family}.{proto}", tcp, "new.ipv6.tcp"},
		{"{netns}.{event_type}.{family}.{proto}.{table}", gap, "blue.gap.none.none.none"},
		{"{node}{proto}", odd, "_89"},
		{"{node}", templateKey{node: ".."}, "__"},
		{"{node}", templateKey{node: strings.Repeat("n", 400)}, strings.Repeat("n", 249)},
		{"{node}", templateKey{}, "none"},
	} {
		got, err := parseKafkaTopic(tt.template)
		if err != nil {
			t.Errorf("%s: %v", tt.template, err)
			continue
		}
		if name := got.expand(tt.key); name != tt.want {
			t.Errorf("%s: %q, want %q", tt.template, name, tt.want)
		}
	}
}

func TestKafkaTopicTemplateFaults(t *testing.T) {
	for template, want := range map[string]string{
		"":                            "missing",
		"flows.{nod}":                 "column 7: unknown field {nod}: expected {node}",
		"{src}":                       "column 1: unknown field {src}",
		"{}":                          "unknown field {}",
		"flows.{node":                 "column 7: '{' without '}'",
		"flows {node}":                "column 1: ' '",
		"flöws":                       "'ö'",
		"a}b":                         "'}'",
		"..":                          "cannot be a topic's name",
		strings.Repeat("a", 250):      "cannot be a topic's name",
		strings.Repeat("{node}", 100): "too long",
	} {
		if _, err := parseKafkaTopic(template); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", template, err, want)
		}
	}
}

// FuzzKafkaTopic: whatever parses gives a legal name for every record.
func FuzzKafkaTopic(f *testing.F) {
	for _, s := range []string{"flows", "{node}", "a.{event_type}.{proto}", "{", "}", "{{node}}", "."} {
		f.Add(s, "edge 1", "ns", uint8(6))
	}
	f.Fuzz(func(t *testing.T, template, node, netns string, proto uint8) {
		parsed, err := parseKafkaTopic(template)
		if err != nil {
			return
		}
		name := parsed.expand(templateKey{node: node, netns: netns, proto: proto, family: flow.IPv4, event: flow.TypeNew})
		if name == "" || len(name) > kafkaTopicLen || name == "." || name == ".." || strings.ContainsFunc(name, func(r rune) bool { return !kafkaTopicRune(r) }) {
			t.Fatalf("%q gives %q", template, name)
		}
		if parsed.fixed() && name != template {
			t.Fatalf("%q gives %q", template, name)
		}
	})
}
