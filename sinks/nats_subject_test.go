package sinks

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ctferry/ctferry/source/flow"
)

func TestNATSSubject(t *testing.T) {
	tcp := templateKey{node: "edge.1/a b", table: flow.TableConntrack, event: flow.TypeNew, family: flow.IPv6, proto: flow.ProtoTCP}
	gap := templateKey{node: "edge", netns: "blue", event: flow.TypeGap}
	status := templateKey{node: "édge>*", event: flow.TypeStatus, table: flow.TableExpect}
	odd := templateKey{node: "e", family: flow.IPv4, proto: 89}
	for _, tt := range []struct {
		template string
		key      templateKey
		want     string
		wildcard string
	}{
		{"flows", tcp, "flows", "flows"},
		{natsDefaultSubject, tcp, "ctferry.v1.default.evt.edge_1_a_b.conntrack.new", "ctferry.v1.default.evt.*.*.*"},
		{natsDefaultSubject, gap, "ctferry.v1.default.evt.edge.conntrack.gap", "ctferry.v1.default.evt.*.*.*"},
		{natsDefaultSubject, status, "ctferry.v1.default.evt._dge__.conntrack.status", "ctferry.v1.default.evt.*.*.*"},
		{"a-{netns}.{family}.{proto}", tcp, "a-_.ipv6.tcp", "*.*.*"},
		{"{netns}.{family}.{proto}", gap, "blue._._", "*.*.*"},
		{"x.{proto}.y", odd, "x.89.y", "x.*.y"},
		{"{node}", templateKey{node: strings.Repeat("n", 400)}, strings.Repeat("n", 255), "*"},
		{"{node}{table}", templateKey{}, "__", "*"},
	} {
		got, err := parseNATSSubject(tt.template)
		if err != nil {
			t.Errorf("%s: %v", tt.template, err)
			continue
		}
		if s := got.expand(tt.key); s != tt.want {
			t.Errorf("%s: %q, want %q", tt.template, s, tt.want)
		}
		if w := got.wildcard(); w != tt.wildcard || !natsWithin(w, tt.want) {
			t.Errorf("%s: wildcard %q, want %q", tt.template, w, tt.wildcard)
		}
	}
}

func TestNATSSubjectFaults(t *testing.T) {
	for template, want := range map[string]string{
		"":                          "missing",
		"ct.{nod}":                  "column 4: unknown field {nod}: expected {node}",
		"{src}":                     "column 1: unknown field {src}",
		"ct.{node":                  "column 4: '{' without '}'",
		"ct.*":                      "column 1: '*'",
		"ct.>":                      "'>'",
		"a b":                       "' '",
		"é":                         "'é'",
		"a}":                        "'}'",
		"a..b":                      "a token is empty",
		".a":                        "a token is empty",
		"{node}.":                   "a token is empty",
		"$JS.API.x":                 "the server's own",
		"_INBOX.x":                  "the server's own",
		strings.Repeat("a", 513):    "too long",
		strings.Repeat("{node}", 9): "too many fields",
	} {
		if _, err := parseNATSSubject(template); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", template, err, want)
		}
	}
}

// FuzzNATSSubject: whatever parses gives a literal subject that nats-server
// takes, of as many tokens as its wildcard, whatever the record says.
func FuzzNATSSubject(f *testing.F) {
	for _, s := range []string{"flows", natsDefaultSubject, "a.{node}x{netns}.b", "{", "{{node}}", "."} {
		f.Add(s, "edge 1", "n.s", uint8(6))
	}
	f.Fuzz(func(t *testing.T, template, node, netns string, proto uint8) {
		parsed, err := parseNATSSubject(template)
		if err != nil {
			return
		}
		s := parsed.expand(templateKey{node: node, netns: netns, proto: proto, family: flow.IPv4, event: flow.TypeNew})
		if !server.IsValidLiteralSubject(s) || len(s) > 4000 || strings.ContainsFunc(s, func(r rune) bool { return !natsLiteralRune(r) }) {
			t.Fatalf("%q gives %q", template, s)
		}
		if w := parsed.wildcard(); !server.IsValidSubject(w) || !natsWithin(w, s) || !server.SubjectsCollide(w, s) {
			t.Fatalf("%q gives %q, which is not in %q", template, s, w)
		}
	})
}

func TestNATSCovers(t *testing.T) {
	for _, tt := range []struct {
		pattern, inner string
		want           bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.c", false}, {"a.b", "a", false}, {"a", "a.b", false},
		{"a.*", "a.b", true}, {"a.*", "a.*", true}, {"a.b", "a.*", false}, {"a.*", "a.b.c", false},
		{"a.>", "a.b.c", true}, {"a.>", "a", false}, {"a.>", "a.>", true}, {"a.*", "a.>", false},
		{">", "a", true}, {">", ">", true}, {"*", ">", false}, {"a.*.c", "a.*.*", false}, {"a.>", "a.*.*", true},
	} {
		if got := natsWithin(tt.pattern, tt.inner); got != tt.want {
			t.Errorf("%s in %s: %v", tt.inner, tt.pattern, got)
		}
	}
	if natsCovers(nil, "a") || !natsCovers([]string{"b", "a"}, "a") {
		t.Error("lists")
	}
}
