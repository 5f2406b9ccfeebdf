package admin

import (
	"context"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// namespace is what every metric's name begins with.
const namespace = "ctferry_"

// collector gives Prometheus what a fresh snapshot says.
type collector struct{ sampler *sampler }

// Describe lists every metric.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range metrics() {
		out <- m.desc()
	}
}

func (m *metric) desc() *prometheus.Desc {
	return prometheus.NewDesc(namespace+m.name, m.help, m.labels, nil)
}

// Collect gives every sample of a snapshot; none if there is no snapshot yet.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	snap := c.sampler.fresh(context.Background())
	if snap == nil {
		return
	}
	for _, m := range metrics() {
		collect(&m, snap, out)
	}
}

func collect(m *metric, snap *Snapshot, out chan<- prometheus.Metric) {
	counts := map[string]uint64{}
	if m.count != nil {
		m.count(snap, func(v float64, labels ...string) { counts[strings.Join(labels, "\x00")] = uint64(v) })
	}
	desc := m.desc()
	m.read(snap, func(v float64, labels ...string) {
		for i := range labels {
			labels[i] = strings.ToValidUTF8(labels[i], "�")
		}
		switch m.kind {
		case summary:
			out <- prometheus.MustNewConstSummary(desc, counts[strings.Join(labels, "\x00")], v, nil, labels...)
		case counter:
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, v, labels...)
		case gauge:
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
		}
	})
}
