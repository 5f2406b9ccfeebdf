package admin

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

var shots = flag.String("shots", "", "keep pictures of the page in a directory")

const documentHead = `# Metrics

What ` + "`/metrics`" + ` of the admin port (` + "`admin.listen`" + `) tells, in Prometheus's text format or OpenMetrics, beside Go's
own ` + "`go_…`" + ` and ` + "`process_…`" + `. The same figures are in ` + "`/stats.json`" + `, in status records, in what ` + "`ctferry nodes`" + ` prints and in the log's
last lines. No metric is labelled by an address, a port or a flow. ` + "`netns`" + ` is empty for the service's own namespace. A
summary has ` + "`_sum`" + ` (seconds) and ` + "`_count`" + `.

Two laws hold at every scrape, for each namespace and each sink:

    netlink_offered = netlink_received + netlink_dropped
    netlink_received = events_emitted + events_filtered + decode_errors + netlink_foreign
    sink_offered + sink_recovered = sink_records{delivered, dropped, dead_lettered} + queue_depth

This page is written by a test from the table in ` + "`internal/admin`" + `.

| metric | type | labels | meaning |
|---|---|---|---|
`

// TestMetricsDocument holds docs/metrics.md to the code.
func TestMetricsDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString(documentHead)
	for _, m := range metrics() {
		fmt.Fprintf(&b, "| `%s%s` | %s | %s | %s |\n", namespace, m.name, m.kind, strings.Join(m.labels, ", "), m.help)
	}
	const path = "../../docs/metrics.md"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != b.String() {
		t.Errorf("%s is not what the code says (%v): run go test with -update", path, err)
	}
}

// TestMetricsTable holds names to the conventions, and labels to what is few.
func TestMetricsTable(t *testing.T) {
	seen := map[string]bool{}
	few := []string{"netns", "sink", "table", "event", "proto", "reason", "result", "class", "key", "name", "stat", "node", "run", "verb", "code", "version", "revision", "goversion"}
	for _, m := range metrics() {
		switch {
		case seen[m.name] || !regexp.MustCompile(`^[a-z][a-z_]*[a-z]$`).MatchString(m.name):
			t.Errorf("%q is twice or no name", m.name)
		case strings.HasSuffix(m.name, "_total") != (m.kind == counter):
			t.Errorf("%s is a %s", m.name, m.kind)
		case m.kind == summary && (m.count == nil || !strings.HasSuffix(m.name, "_seconds")):
			t.Errorf("%s counts nothing, or not seconds", m.name)
		case !strings.HasSuffix(m.help, ".") || m.read == nil || strings.Contains(m.help, "|"):
			t.Errorf("%s: help %q", m.name, m.help)
		}
		for _, label := range m.labels {
			if !slices.Contains(few, label) {
				t.Errorf("%s: label %s", m.name, label)
			}
		}
		seen[m.name] = true
	}
}

// TestEveryMetricIsTold gathers a snapshot that has everything: each metric has a
// series, twice the same, and Prometheus's own lint is content.
func TestEveryMetricIsTold(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := newSampler(sample)
	s.sample(true)
	s.sample(false)
	if err := registry.Register(fixed{&collector{s}, s}); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range families {
		found[f.GetName()] = true
	}
	for _, m := range metrics() {
		if !found[namespace+m.name] && m.name != "netlink_headroom_seconds" { // nothing came between the two
			t.Errorf("%s is not told", m.name)
		}
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// fixed collects the last snapshot of a sampler that does not run.
type fixed struct {
	*collector
	s *sampler
}

func (f fixed) Collect(out chan<- prometheus.Metric) {
	for _, m := range metrics() {
		collect(&m, f.s.latest(), out)
	}
}

// TestBareSnapshot has nothing that may be absent: nothing is told of it.
func TestBareSnapshot(t *testing.T) {
	out := make(chan prometheus.Metric, 4096)
	for _, m := range metrics() {
		collect(&m, &Snapshot{}, out)
	}
	close(out)
	for m := range out {
		if text := m.Desc().String(); strings.Contains(text, "spool") || strings.Contains(text, "control") || strings.Contains(text, "timestamp") {
			t.Errorf("told: %s", text)
		}
	}
}
