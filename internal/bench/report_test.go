package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEmbedded(t *testing.T) {
	fresh := embedded("", "\npart one\n")
	if !strings.HasPrefix(fresh, "# Benchmarks\n") || !strings.Contains(fresh, "\n"+begin+"\n\npart one\n\n"+end+"\n") {
		t.Errorf("%s", fresh)
	}
	people := "before\n" + fresh + "\n## What did not help\n\n- this\n"
	again := embedded(people, "part two")
	if want := strings.Replace(people, "part one", "part two", 1); again != want {
		t.Errorf("%s\nexpected\n%s", again, want)
	}
	if got := embedded("only people's\n", "part"); got != "only people's\n\n"+begin+"\n\npart\n\n"+end+"\n" {
		t.Errorf("%s", got)
	}
	// Without the end nobody knows what is whose: nothing is taken away.
	if got := embedded("a\n"+begin+"\nb\n", "part"); !strings.HasPrefix(got, "a\n"+begin+"\nb\n") {
		t.Errorf("%s", got)
	}
}

func TestWriteReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "B.md")
	for _, part := range []string{"one", "two"} {
		if err := writeReport(path, part); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), begin) != 1 || !strings.Contains(string(text), "two") || strings.Contains(string(text), "one\n\n"+end) {
		t.Errorf("%s, %v", text, err)
	}
	if err := writeReport(t.TempDir(), "x"); err == nil {
		t.Error("a directory was accepted")
	}
}

func TestModelName(t *testing.T) {
	if got := modelName("processor\t: 0\nmodel name\t: AMD EPYC 7R13\nmodel name\t: other\n"); got != "AMD EPYC 7R13" {
		t.Errorf("%q", got)
	}
	if got := modelName(""); got != "unknown" {
		t.Errorf("%q", got)
	}
}

func TestMachineText(t *testing.T) {
	m := machine{
		date: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC), cpu: "EPYC", kernel: "6.18 x86_64", cores: 2, memory: 8 << 30,
		programs: []string{"go1.26", "conntrack v1.4.7"}, load: "0.10", rounds: 5, own: 1,
	}
	const want = "2 January 2026, 03:04 UTC. EPYC, 2 cores, 8192 MiB; Linux 6.18 x86_64; load average 0.10 before it began. go1.26; conntrack v1.4.7. " +
		"Generator on CPU 0, what is measured on CPU 1. 5 rounds.\n"
	if got := m.String(); got != want {
		t.Errorf("%q", got)
	}
}

func TestDescribe(t *testing.T) {
	l := smallLab(t, "/bin/true")
	m := l.describe(t.Context())
	if m.kernel == "" || m.cores < 1 || m.memory < 64<<20 || m.load == "" || len(m.programs) < 2 || m.cpu == "" {
		t.Errorf("%+v", m)
	}
}

func TestFirstLine(t *testing.T) {
	if got := firstLine(t.Context(), []string{"/bin/sh", "-c", "echo v1; echo v2"}); got != "v1" {
		t.Errorf("%q", got)
	}
	if got := firstLine(t.Context(), []string{"/nosuch"}); !strings.HasPrefix(got, "/nosuch: ") {
		t.Errorf("%q", got)
	}
}
