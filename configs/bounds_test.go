package configs

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bomb is ten levels of aliases, each ten times the one before.
func bomb(item string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "x-0: &a0 %s\n", item)
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "x-%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String()
}

// mergeBomb is a mapping that merges ten times what merges ten times …
func mergeBomb() string {
	var b strings.Builder
	b.WriteString("x-0: &a0 {k: v}\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "x-%d: &a%d {<<: [%s]}\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String()
}

// faultBomb is a fault that is told many times.
func faultBomb() string {
	return "sinks:\n" + strings.Repeat("  a: {type: stdout}\n", 100_000)
}

// keyBomb has keys as long as the file: paths must not grow with their product.
func keyBomb() string {
	return "x-a: &a {" + strings.Repeat("k", maxFileSize/2) + ": [" + strings.Repeat("1, ", 1000) + "]}\nx-b: [*a, *a, *a]\n"
}

// cpu is what the process has used of the processors, whoever else runs.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestBounds(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"aliases":      {bomb("lol"), "the document is too large with its aliases expanded"},
		"alias maps":   {bomb("{a: b, c: d}"), "the document is too large with its aliases expanded"},
		"merges":       {mergeBomb(), "the document is too large with its aliases expanded"},
		"deep lists":   {"x: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000), "more than 24 levels deep"},
		"deep maps":    {strings.Repeat("{a: ", 9000) + strings.Repeat("}", 9000), "more than 24 levels deep"},
		"deeper":       {strings.Repeat("[", 1_000_000), "not valid YAML: exceeded max depth of 10000"},
		"indented":     {strings.Repeat("- ", 100_000), "not valid YAML: "},
		"many faults":  {faultBomb(), "stands twice, first at line 2"},
		"long keys":    {keyBomb(), "not valid YAML: "},
		"many values":  {"x: [" + strings.Repeat("1,", maxFileSize/2-10) + "]", "the document is too large with its aliases expanded"},
		"many anchors": {strings.Repeat("- &a b\n", 100_000), "expected a mapping of keys to values, not a list"},
		"long text":    {"node: " + strings.Repeat("x", 1<<20), "…"},
	} {
		t.Run(name, func(t *testing.T) {
			before := cpu(t)
			got := file(c.text).faults(t)
			if !strings.Contains(got, c.want) {
				t.Errorf("no %q in %.2000s", c.want, got)
			}
			if took := cpu(t) - before; took > 30*time.Second {
				t.Errorf("took %v of the processors", took)
			}
			if len(got) > 64<<10 {
				t.Errorf("%d bytes of faults", len(got))
			}
		})
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.Sys > 2<<30 {
		t.Errorf("%d MiB taken", m.Sys>>20)
	}
}

func TestLargeFilterIsAccepted(t *testing.T) {
	var b strings.Builder
	b.WriteString("sinks: {out: {type: stdout}}\nsource:\n  filter:\n    exclude:\n      - addr:\n")
	for i := range 60_000 {
		fmt.Fprintf(&b, "          - 10.%d.%d.%d\n", i>>15, i>>7&255, i&127*2)
	}
	if cfg := file(b.String()).load(t); cfg.Source.Filter == nil {
		t.Error("no filter")
	}
}

func TestManyFaultsAreCut(t *testing.T) {
	var b strings.Builder
	b.WriteString("sinks: {out: {type: stdout}}\n")
	for i := range 150 {
		fmt.Fprintf(&b, "zz%d: 1\n", i)
	}
	lines := strings.Split(file(b.String()).faults(t), "\n")
	if len(lines) != maxErrors+1 || lines[maxErrors] != "and more: mend these first" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}
