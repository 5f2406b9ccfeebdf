package main

import (
	"context"
	"io"
	"maps"
	"strings"
	"testing"
)

func TestBenchmarkLine(t *testing.T) {
	for _, c := range []struct {
		text, name string
		metrics    map[string]float64
	}{
		{"BenchmarkX/a/lz4-2   \t 1\t 0 ns/op\t 1.05 ratio\t 250000 records/s\n", "X/a/lz4", map[string]float64{"ns/op": 0, "ratio": 1.05, "records/s": 250000}},
		{"BenchmarkX-16 5 12.5 ns/op", "X", map[string]float64{"ns/op": 12.5}},
		{"BenchmarkX/two-words 5 12.5 ns/op", "X/two-words", map[string]float64{"ns/op": 12.5}},
		{"BenchmarkX", "", nil},
		{"BenchmarkX-2 5 x ns/op", "", nil},
		{"BenchmarkX-2 5 1 ns/op 3", "", nil},
		{"ok  \tgithub.com/x 3.2s", "", nil},
		{"--- SKIP: BenchmarkX", "", nil},
	} {
		name, metrics, ok := benchmark(c.text)
		if name != c.name || !maps.Equal(metrics, c.metrics) || ok != (c.name != "") {
			t.Errorf("%q: %q %v %v", c.text, name, metrics, ok)
		}
	}
}

func TestProviderLines(t *testing.T) {
	const output = `goos: linux
BenchmarkBrokers/kafka/default/1/lz4-2  1  0 ns/op  90000 baseline/s  1.10 ratio  1.30 ratio-max  0.95 ratio-min  99000 records/s
BenchmarkBrokers/kafka/tuned/1/lz4-2  1  0 ns/op  90000 baseline/s  0.80 ratio  1.30 ratio-max  0.70 ratio-min  72000 records/s
BenchmarkBrokers/nats/core-2  1  0 ns/op  100 baseline/s  0.90 ratio  0.91 ratio-max  0.80 ratio-min  90 records/s
BenchmarkBrokers/nats/core/headers-against-none-2  1  0 ns/op  100 baseline/s  0.12 cpu-ratio  0.70 ratio  0.91 ratio-max  0.60 ratio-min  70 records/s
BenchmarkBrokers/alone-2  1  0 ns/op  7 records/s
BenchmarkOther-2  1  5 ns/op
PASS
`
	got := providers()[0].lines(output)
	if len(got) != 5 {
		t.Fatalf("%d lines: %+v", len(got), got)
	}
	for i, want := range []struct {
		against, verdict string
		ratio            float64
	}{
		{"kafka-producer-perf-test", "yes", 1.1}, {"kafka-producer-perf-test with our batches", "", 0.8}, {"bare nats.go loop", "**no**", 0.9},
		{"bare nats.go loop without headers", "", 0.7},
	} {
		if l := got[i]; l.against != want.against || l.verdict() != want.verdict || l.judged() != want.ratio {
			t.Errorf("%+v: %q, %v", l, l.verdict(), l.judged())
		}
	}
	if got[4].subject != "Brokers/alone" || got[4].against != "" || got[4].verdict() != "" {
		t.Errorf("%+v", got[4])
	}
}

// TestProvideSaysWhy runs a benchmark that is not there.
func TestProvideSaysWhy(t *testing.T) {
	l := smallLab(t, "/bin/true")
	l.out = io.Discard
	_, err := l.provide(t.Context(), provider{folder: ".", bench: "^BenchmarkNoSuch$"})
	if err == nil || !strings.Contains(err.Error(), "no result of ^BenchmarkNoSuch$") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.provide(ctx, provider{folder: ".", bench: "^$"}); err == nil {
		t.Error("cancelled, and no error")
	}
}
