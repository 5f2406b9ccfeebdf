package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

// TestDemo runs the demo as a newcomer does: it ends by itself within its
// limit, and every flow that was sent was told and delivered.
func TestDemo(t *testing.T) {
	testnet.New(t) // says why where namespaces are refused
	begun := time.Now()
	cmd := exec.CommandContext(t.Context(), binary(t), "demo")
	var errOut strings.Builder
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil || errOut.Len() > 0 {
		t.Fatalf("%v; standard error:\n%s\noutput:\n%s", err, errOut.String(), out)
	}
	text := string(out)
	for _, want := range []string{
		`"event_type":"new"`, `"nat":{"type":"dnat"`, "flows made", "icmpv6 IPv6", "Every event is accounted for: the books balance.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the demo does not show %q:\n%s", want, text)
		}
	}
	if took := time.Since(begun); took > demoLimit {
		t.Errorf("the demo took %s", took)
	}
}
