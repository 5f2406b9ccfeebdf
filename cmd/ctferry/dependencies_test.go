package main

import (
	"os"
	"strings"
	"testing"
)

// TestDependenciesAreExplained wants every module that the project itself asks
// for in ARCHITECTURE.md, which says what for and why that one.
func TestDependenciesAreExplained(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(page), "## Dependencies")
	if !ok {
		t.Fatal("ARCHITECTURE.md has no section Dependencies")
	}
	asked := 0
	for line := range strings.Lines(string(mod)) {
		words := strings.Fields(line)
		if len(words) != 2 || !strings.HasPrefix(words[1], "v") {
			continue // no requirement, or an indirect one
		}
		asked++
		// github.com/owner/name/v2 stands in the table as owner/name.
		parts := strings.Split(strings.TrimPrefix(words[0], "github.com/"), "/")
		name := strings.Join(parts[:min(2, len(parts))], "/")
		if !strings.Contains(table, name) {
			t.Errorf("%s: no line in ARCHITECTURE.md has %q", words[0], name)
		}
	}
	if asked < 10 {
		t.Errorf("%d requirements found in go.mod: this test reads it wrongly", asked)
	}
}
