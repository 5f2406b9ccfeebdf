package configs

import (
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source/flow"
)

const profiled = "sinks: {s: {type: kafka, brokers: ['a:1'], topic: t, profile: cgnat, "

func sinkOf(t *testing.T, keys string) sinks.Config {
	t.Helper()
	cfg := file(profiled + keys + "}}\n").load(t)
	sameConfig(t, cfg)
	return cfg.Sinks[0]
}

func TestProfilePresets(t *testing.T) {
	c := sinkOf(t, "")
	if want := flow.TypesOf(flow.TypeNew, flow.TypeDestroy) | flow.AlwaysTypes; c.Types() != want {
		t.Errorf("it takes %v", c.Types().Names())
	}
	if !c.OmitDestination || c.Options.(*sinks.KafkaOptions).Key != "inside" || c.Filter.(*flow.Filter).String() != `{"include":[{"nat":"any"}]}` {
		t.Errorf("%+v %+v %v", c, c.Options, c.Filter)
	}
	if slices.Contains(c.Fields, "boot_id") || slices.Contains(c.Fields, "id") || !slices.Contains(c.Fields, "nat") && !slices.Contains(c.Fields, "nat.src") {
		t.Errorf("fields %v", c.Fields)
	}
}

// Every key that the profile sets can be set otherwise.
func TestProfileIsOverridden(t *testing.T) {
	for _, c := range []struct {
		keys string
		ok   func(*sinks.Config) bool
	}{
		{"events: [destroy]", func(c *sinks.Config) bool { return len(c.Events) == 1 }},
		{"omit_destination: false", func(c *sinks.Config) bool { return !c.OmitDestination }},
		{"filter: {nat: snat, proto: tcp}", func(c *sinks.Config) bool { return strings.Contains(c.Filter.(*flow.Filter).String(), "snat") }},
		{"filter: {}", func(c *sinks.Config) bool { return c.Filter == nil }},
		{"fields: [orig.src]", func(c *sinks.Config) bool { return slices.Equal(c.Fields, []string{"orig.src"}) }},
		{"fields: []", func(c *sinks.Config) bool { return len(c.Fields) == 0 && c.OmitDestination }},
		{"omit: [mark]", func(c *sinks.Config) bool { return len(c.Fields) == 0 && slices.Equal(c.Omit, []string{"mark"}) }},
		{"key: flow", func(c *sinks.Config) bool { return c.Options.(*sinks.KafkaOptions).Key == "flow" }},
		{"omit_destination: false, community_id: true", func(c *sinks.Config) bool { return c.CommunityID }},
	} {
		if got := sinkOf(t, c.keys); !c.ok(&got) {
			t.Errorf("%s: %+v %+v %v", c.keys, got, got.Options, got.Filter)
		}
	}
}

func TestProfileFaults(t *testing.T) {
	for keys, want := range map[string]string{
		"profile: cgna":                      `sinks.s.profile: "cgna" is not known: expected cgnat`,
		"profile: cgnat, community_id: true": "sinks.s.community_id: tells the destination",
		"profile: [cgnat]":                   "sinks.s.profile: expected a text, not a list",
		"profile: cgnat, omit: [x]":          `sinks.s.omit[0]: unknown field "x"`,
	} {
		if got := file("sinks: {s: {type: stdout, " + keys + "}}\n").faults(t); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", keys, got, want)
		}
	}
}
