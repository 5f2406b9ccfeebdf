package main

import (
	"flag"
	"math"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files") //nolint:gochecknoglobals // a flag of the tests

// specimen has a line of every kind.
func specimen() []line {
	base := series{2000, 2600, 3000}
	cpu := func(name string, values series) line {
		return line{measure: "CPU an event", subject: name, unit: "ns", values: values, against: "bare C", base: base}
	}
	return []line{
		{measure: "CPU an event", subject: "bare C", unit: "ns", values: base, note: "0 lost"},
		cpu("reached", series{1000, 1200, 1490}).under(0.5),
		cpu("missed", series{1500, 1700, 1600}).under(0.5).noting("disturbed: %d %%", 12).noting("more"),
		cpu("without a target", series{50000, 61234.5, 70000}),
		cpu("one round only", series{1000}).under(0.9),
		cpu("failed", nil).under(0.9).noting("failed: a | b\nc"),
		line{measure: "events lost", subject: "ctferry", values: series{0}, against: ""}.within(0),
		line{measure: "events lost", subject: "worse", values: series{3}}.within(0),
		line{measure: "memory", subject: "ctferry", unit: "MiB", values: series{31.94, 32.04}}.within(32),
		{measure: "records", subject: "ours", unit: "/s", values: series{120_000}, base: series{100_000}, against: "theirs", target: 1, atLeast: true, ratios: series{0.9, 1.25, 1.3}},
		{measure: "records", subject: "ours, slower", unit: "/s", values: series{90_000}, base: series{100_000}, against: "theirs", target: 0.95, atLeast: true},
		{measure: "a row", note: "failed: every subject failed"},
	}
}

func TestTableGolden(t *testing.T) {
	const path = "testdata/table.md"
	got := table(specimen())
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the table is\n%s\nexpected (-update writes it)\n%s", got, want)
	}
	head := strings.Count(strings.SplitN(got, "\n", 2)[0], "|")
	for text := range strings.Lines(got) {
		if n := strings.Count(text, "|"); n != head {
			t.Errorf("%d bars, expected %d: %s", n, head, text)
		}
	}
}

func TestVerdict(t *testing.T) {
	one := func(value, base, target float64) line {
		return line{values: series{value}, base: series{base}}.under(target)
	}
	for _, c := range []struct {
		line line
		want string
	}{
		{one(5, 10, 0.5), "yes"},
		{one(5.001, 10, 0.5), "**no**"},
		{one(5, 10, 0), ""},
		{line{values: series{5}}.under(0.5), "not measured"},
		{line{values: series{0}}.within(0), "yes"},
		{line{values: series{1}}.within(0), "**no**"},
		{line{}.within(0), "not measured"},
		{line{values: series{9}, base: series{10}, target: 0.95, atLeast: true}, "**no**"},
		{line{values: series{9.5}, base: series{10}, target: 0.95, atLeast: true}, "yes"},
		{line{values: series{1}, base: series{10}, ratios: series{0.3, 0.4, 2}}.under(0.4), "yes"},
	} {
		if got := c.line.verdict(); got != c.want {
			t.Errorf("%+v: %q, expected %q", c.line, got, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 32: "32", 0.5: "0.5", 0.06: "0.06", 0.03: "0.03", 0.1: "0.1",
		0.123456: "0.123", 0.0004321: "0.000432", 1.005: "1", 12.345: "12.3", 123.45: "123", 61234.5: "61234", 250000: "250000",
		1234567: "1234567", -2.345: "-2.35", 99.99: "100", 0.9999: "1", 1e-9: "0.000000001",
	} {
		if got := number(v); got != want {
			t.Errorf("%v: %q, expected %q", v, got, want)
		}
	}
	if number(math.NaN()) != "NaN" || number(math.Inf(1)) != "+Inf" {
		t.Errorf("%q, %q", number(math.NaN()), number(math.Inf(1)))
	}
}
