package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// providerTimeout bounds one provider.
const providerTimeout = 20 * time.Minute

// provider is a benchmark of another package that compares by itself, and whose results
// belong into the table: one that needs a broker, or the inside of a package. It reports
// records/s and baseline/s (medians) and ratio, ratio-min and ratio-max over its rounds.
type provider struct {
	row     string // its name
	folder  string // of the package
	bench   string // regular expression for -bench
	measure string
	targets []wanted // by the benchmark's name, the first that it begins with
}

// wanted is the least ratio of benchmarks whose names begin with a text.
type wanted struct {
	prefix, against string
	least           float64
}

// providers are all that there are.
func providers() []provider {
	return []provider{{
		row: "brokers", folder: "./sinks", bench: "^BenchmarkBrokers$", measure: "records a second to a broker, acknowledged",
		targets: []wanted{
			{"Brokers/kafka/default", "kafka-producer-perf-test", 1},
			{"Brokers/kafka/tuned", "kafka-producer-perf-test with our batches", 0},
			{"Brokers/nats/core/headers-against-none", "bare nats.go loop without headers", 0},
			{"Brokers/nats/jetstream/headers-against-none", "bare nats.go loop without headers or ids", 0},
			{"Brokers/nats", "bare nats.go loop", 0.95},
		},
	}}
}

// asRow makes a row of a provider.
func (p provider) asRow() row {
	return row{p.row, func(ctx context.Context, l *lab) ([]line, error) { return l.provide(ctx, p) }}
}

// provide runs a provider on all CPUs.
func (l *lab) provide(ctx context.Context, p provider) ([]line, error) {
	ctx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", p.bench, "-benchtime", "1x", "-timeout", providerTimeout.String(), p.folder)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGINT) } // go test passes it on
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := pinned(cmd.Start, l.generatorCPU, l.subjectCPU); err != nil {
		return nil, err
	}
	err := cmd.Wait()
	lines := p.lines(out.String())
	for _, one := range lines {
		l.say("  %s: %s records/s, %s x", one.subject, number(one.values.median()), ratio(one.ratios))
	}
	if len(lines) == 0 && err == nil {
		err = fmt.Errorf("no result of %s in %s", p.bench, p.folder)
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, lastWords(out.String()))
	}
	return lines, err
}

// lastWords are the end of an output, on one line.
func lastWords(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return text[max(0, len(text)-300):]
}

// lines reads the output of go test.
func (p provider) lines(output string) (lines []line) {
	for text := range strings.Lines(output) {
		name, metrics, ok := benchmark(text)
		rate, reports := metrics["records/s"]
		if !ok || !reports {
			continue
		}
		one := line{measure: p.measure, subject: name, unit: "/s", values: series{rate}, atLeast: true}
		if base, ok := metrics["baseline/s"]; ok {
			one.base, one.ratios = series{base}, series{metrics["ratio-min"], metrics["ratio"], metrics["ratio-max"]}
			one.against = "baseline"
		}
		for _, w := range p.targets {
			if strings.HasPrefix(name, w.prefix) {
				one.against, one.target = w.against, w.least
				break
			}
		}
		lines = append(lines, one)
	}
	return lines
}

// benchmark reads a line such as "BenchmarkX/y-2  1  5 ns/op  12 records/s"; the name is
// without "Benchmark" and the number of processors.
func benchmark(text string) (name string, metrics map[string]float64, ok bool) {
	words := strings.Fields(text)
	if len(words) < 4 || len(words)%2 != 0 || !strings.HasPrefix(words[0], "Benchmark") {
		return "", nil, false
	}
	metrics = map[string]float64{}
	for i := 2; i < len(words); i += 2 {
		v, err := strconv.ParseFloat(words[i], 64)
		if err != nil {
			return "", nil, false
		}
		metrics[words[i+1]] = v
	}
	name = strings.TrimPrefix(words[0], "Benchmark")
	if i := strings.LastIndexByte(name, '-'); i > 0 && strings.Trim(name[i+1:], "0123456789") == "" {
		name = name[:i]
	}
	return name, metrics, true
}
