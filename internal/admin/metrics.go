package admin

import (
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// kind says how a metric behaves.
type kind string

const (
	counter kind = "counter"
	gauge   kind = "gauge"
	summary kind = "summary" // a sum of seconds and a count, without quantiles
)

// emit takes one sample: its value and the values of its labels.
type emit func(value float64, labels ...string)

// metric is one family: what it is called, and where a snapshot has it. This
// table is the list of metrics; docs/metrics.md is written from it.
type metric struct {
	name   string // without ctferry_
	kind   kind
	labels []string
	help   string
	read   func(*Snapshot, emit)
	count  func(*Snapshot, emit) // of a summary: how many; read gives the seconds
}

// metrics is every metric, by what it is about.
func metrics() []metric {
	var all []metric
	for _, part := range [][]metric{processMetrics(), eventMetrics(), bufferMetrics(), trackMetrics(), tableMetrics(), sinkMetrics(), queueMetrics(), spoolMetrics(), controlMetrics()} {
		all = append(all, part...)
	}
	return all
}

// one reads a single figure.
func one(read func(*Snapshot) float64) func(*Snapshot, emit) {
	return func(s *Snapshot, put emit) { put(read(s)) }
}

// eachSocket reads a figure of every namespace.
func eachSocket(read func(*flow.SocketBooks) uint64) func(*Snapshot, emit) {
	return func(s *Snapshot, put emit) {
		for _, b := range byNamespace(s.Books.Sockets) {
			put(float64(read(&b)), b.NetNS)
		}
	}
}

// eachSink reads a figure of every sink's account.
func eachSink(read func(*flow.SinkBooks) uint64) func(*Snapshot, emit) {
	return func(s *Snapshot, put emit) {
		for i := range s.Books.Sinks {
			put(float64(read(&s.Books.Sinks[i])), s.Books.Sinks[i].Name)
		}
	}
}

func truth(yes bool) uint64 {
	if yes {
		return 1
	}
	return 0
}

// seconds is a time since the epoch; what never was has none.
func seconds(t time.Time, put emit, labels ...string) {
	if !t.IsZero() {
		put(float64(t.UnixMilli())/1000, labels...)
	}
}

func processMetrics() []metric {
	return []metric{
		{name: "build_info", kind: gauge, labels: []string{"version", "revision", "goversion"}, help: "Always 1; the labels say what runs.",
			read: func(s *Snapshot, put emit) { put(1, s.Version, s.Revision, s.Go) }},
		{name: "node_info", kind: gauge, labels: []string{"node", "run"}, help: "Always 1; the labels are those of this process's records.",
			read: func(s *Snapshot, put emit) { put(1, s.Node, s.Run) }},
		{name: "start_timestamp_seconds", kind: gauge, help: "When the process began.",
			read: func(s *Snapshot, put emit) { seconds(s.Started, put) }},
		{name: "ready", kind: gauge, help: "1 while events are read: the sockets are bound and no stop is under way.",
			read: one(func(s *Snapshot) float64 { return float64(truth(s.Ready)) })},
		{name: "reader_standstill_seconds", kind: gauge, help: "How long ago the slowest reader last went round its loop; about 1 at most when all is well.",
			read: one(func(s *Snapshot) float64 { return s.Standstill })},
		{name: "books_balanced", kind: gauge, help: "1 while every account adds up.",
			read: one(func(s *Snapshot) float64 { return float64(truth(s.Books.Balanced())) })},
		{name: "warnings", kind: gauge, help: "How many things make records poorer or fewer than they could be; ctferry doctor names them.",
			read: one(func(s *Snapshot) float64 { return float64(len(s.Warnings)) })},
		{name: "config_reload_success", kind: gauge, help: "1 if the last reload of the configuration went well, or there was none.",
			read: one(func(s *Snapshot) float64 { return float64(truth(s.Reload.OK)) })},
		{name: "config_last_reload_success_timestamp_seconds", kind: gauge, help: "When the configuration that runs was loaded.",
			read: func(s *Snapshot, put emit) { seconds(s.Reload.LastSuccess, put) }},
		{name: "config_reloads_total", kind: counter, labels: []string{"result"}, help: "Reloads, by result: ok or failed.",
			read: func(s *Snapshot, put emit) {
				put(float64(s.Reload.Reloads-s.Reload.Failed), "ok")
				put(float64(s.Reload.Failed), "failed")
			}},
		{name: "certificate_expiry_timestamp_seconds", kind: gauge, labels: []string{"key"}, help: "When the first certificate of a file that the configuration names expires.",
			read: func(s *Snapshot, put emit) {
				for _, c := range s.Certificates {
					seconds(c.NotAfter, put, c.Key)
				}
			}},
		{name: "certificate_readable", kind: gauge, labels: []string{"key"}, help: "1 while a file of certificates that the configuration names can be read.",
			read: func(s *Snapshot, put emit) {
				for _, c := range s.Certificates {
					put(float64(truth(c.Error == "")), c.Key)
				}
			}},
		{name: "clock_synchronized", kind: gauge, help: "1 if the host's clock is kept right (adjtimex(2)); absent where that is not known.",
			read: func(s *Snapshot, put emit) {
				if s.Clock.Synced != nil {
					put(float64(truth(*s.Clock.Synced)))
				}
			}},
		{name: "clock_steps_total", kind: counter, help: "Times that the host's clock was set.",
			read: one(func(s *Snapshot) float64 { return float64(s.Clock.Steps) })},
	}
}
