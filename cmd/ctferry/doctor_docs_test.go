package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/doctor"
)

// TestDoctorDocs holds docs/doctor.md to the program: every check has its line in
// a table, and every command line in it runs.
func TestDoctorDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range doctor.IDs() {
		if !strings.Contains(string(page), "\n| "+id+" | ") {
			t.Errorf("docs/doctor.md has no line for %s", id)
		}
	}
	cfg, ns, ran := wanting(t, "zones.yaml"), soundNamespace(t), 0
	for line := range strings.Lines(string(page)) {
		command, ok := strings.CutPrefix(line, "    ctferry ")
		if !ok {
			continue
		}
		command, _, _ = strings.Cut(command, "#")
		args := strings.Fields(strings.NewReplacer("/etc/ctferry/ctferry.yaml", cfg, "blue", ns.Path()).Replace(command))
		if x := runDoctor(t, exec.Command(binary(t), args...)); x.code == exitUsage || x.out == "" {
			t.Errorf("%q: code %d, %s%s", args, x.code, x.out, x.errOut)
		}
		ran++
	}
	if ran < 7 {
		t.Errorf("%d command lines found in docs/doctor.md", ran)
	}
}
