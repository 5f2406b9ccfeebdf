package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/cmd/ctferry/frontend"
	"github.com/ctferry/ctferry/encode"
)

var update = flag.Bool("update", false, "write the generated documents anew")

const differencesHead = `# Where ctferry and conntrack(8) differ

The oracle is conntrack 1.4.7, as Debian ships it. Every command line of our
test corpus gives the same output, exit code, summary and table, or stands
here: the tests accept no other difference. The lists are made from the code.
`

// TestDifferencesDocument holds docs/differences.md to the lists in the code.
func TestDifferencesDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString(differencesHead)
	b.WriteString("\n## The command line\n\n| example | conntrack 1.4.7 | ctferry | why | name |\n|---|---|---|---|---|\n")
	for _, d := range conntrack.Differences() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", cell(d.Example), cell(d.Tool), cell(d.Ours), cell(d.Why), d.ID)
	}
	b.WriteString("\n## What is done\n\n| example | conntrack 1.4.7 | ctferry | why | name |\n|---|---|---|---|---|\n")
	for _, d := range frontend.Differences() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", cell(d.Example), cell(d.Tool), cell(d.Ours), cell(d.Why), d.ID)
	}
	b.WriteString("\n## What is printed\n\n| output | conntrack 1.4.7 | ctferry | why | name |\n|---|---|---|---|---|\n")
	for _, d := range encode.TextDifferences() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", cell(d.Output), cell(d.Tool), cell(d.Ours), cell(d.Why), d.Name)
	}
	sameDocument(t, "../../docs/differences.md", b.String())
}

// cell makes a text fit into a cell of a Markdown table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// sameDocument compares a generated document with the file, or writes it.
func sameDocument(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the code says: run go test with -update", path)
	}
}
