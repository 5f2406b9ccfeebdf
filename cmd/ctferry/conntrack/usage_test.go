package conntrack

import (
	"strings"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// TestUsageNamesEverything keeps the help complete: every option but the one
// that does nothing, every word of a list, every table.
func TestUsageNamesEverything(t *testing.T) {
	text := Usage("conntrack")
	if !strings.HasPrefix(text, "Usage: conntrack ") {
		t.Errorf("begins %q", text[:30])
	}
	for _, o := range options() {
		if o.key == kNATRange {
			continue
		}
		for _, n := range o.names {
			if !strings.Contains(text, "--"+n) {
				t.Errorf("--%s is missing", n)
			}
		}
		if o.short != 0 && !strings.Contains(text, "-"+string(o.short)+", --"+o.names[0]) {
			t.Errorf("-%c is missing", o.short)
		}
	}
	for _, w := range append(outputWords(), tableNames[:]...) {
		if !strings.Contains(text, w) {
			t.Errorf("%q is missing", w)
		}
	}
}

func TestProtocolUsage(t *testing.T) {
	for _, name := range flow.ProtoNames() {
		num, _ := flow.ProtoNum(name)
		for _, o := range protocolOf(num).options {
			if got := ProtocolUsage(num); !strings.Contains(got, "--"+o.names[0]) {
				t.Errorf("%s: --%s is missing in\n%s", name, o.names[0], got)
			}
		}
	}
	if got := ProtocolUsage(50); got != "" {
		t.Errorf("esp has options: %q", got)
	}
}
