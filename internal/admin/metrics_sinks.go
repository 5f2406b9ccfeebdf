package admin

import (
	"strconv"

	"github.com/ctferry/ctferry/source/flow"
)

func sinkMetrics() []metric {
	drops := func(list func(*flow.SinkBooks) []flow.Drop) func(*Snapshot, emit) {
		return func(s *Snapshot, put emit) {
			for i := range s.Books.Sinks {
				for _, d := range list(&s.Books.Sinks[i]) {
					put(float64(d.Count), s.Books.Sinks[i].Name, d.Reason)
				}
			}
		}
	}
	each := func(read func(*Sink, emit)) func(*Snapshot, emit) {
		return func(s *Snapshot, put emit) {
			for i := range s.Sinks {
				read(&s.Sinks[i], func(v float64, _ ...string) { put(v, s.Sinks[i].Name) })
			}
		}
	}
	return []metric{
		{name: "sink_offered_total", kind: counter, labels: []string{"sink"}, help: "Records that the sink's events and filter selected.",
			read: eachSink(func(b *flow.SinkBooks) uint64 { return b.Offered })},
		{name: "sink_recovered_total", kind: counter, labels: []string{"sink"}, help: "Records taken over from an earlier run's spool.",
			read: eachSink(func(b *flow.SinkBooks) uint64 { return b.Recovered })},
		{name: "sink_records_total", kind: counter, labels: []string{"sink", "result"}, help: "Records whose fate is known: delivered, dropped or dead_lettered.",
			read: func(s *Snapshot, put emit) {
				for i := range s.Books.Sinks {
					b := &s.Books.Sinks[i]
					put(float64(b.Delivered), b.Name, "delivered")
					put(float64(b.DroppedTotal()), b.Name, "dropped")
					put(float64(b.DeadLettered), b.Name, "dead_lettered")
				}
			}},
		{name: "queue_dropped_total", kind: counter, labels: []string{"sink", "reason"}, help: "Records dropped, by reason.",
			read: drops(func(b *flow.SinkBooks) []flow.Drop { return b.Dropped })},
		{name: "sink_bytes_total", kind: counter, labels: []string{"sink"}, help: "Encoded bytes delivered.",
			read: eachSink(func(b *flow.SinkBooks) uint64 { return b.Bytes })},
		{name: "sink_retries_total", kind: counter, labels: []string{"sink"}, help: "Batches tried again.",
			read: eachSink(func(b *flow.SinkBooks) uint64 { return b.Retries })},
		{name: "sink_errors_total", kind: counter, labels: []string{"sink", "class"}, help: "Attempts that failed, by how they were dealt with.",
			read: drops(func(b *flow.SinkBooks) []flow.Drop { return b.Errors })},
		{name: "sink_up", kind: gauge, labels: []string{"sink"}, help: "1 if the last attempt succeeded.",
			read: eachSink(func(b *flow.SinkBooks) uint64 { return truth(b.Up) })},
		{name: "sink_last_success_timestamp_seconds", kind: gauge, labels: []string{"sink"}, help: "When the other side last acknowledged something.",
			read: each(func(k *Sink, put emit) { seconds(k.LastSuccess, put) })},
		{name: "sink_last_error_timestamp_seconds", kind: gauge, labels: []string{"sink"}, help: "When an attempt last failed.",
			read: each(func(k *Sink, put emit) { seconds(k.LastError, put) })},
		{name: "sink_latency_seconds", kind: summary, labels: []string{"sink"}, help: "How long the other side took over a batch.",
			read: each(func(k *Sink, put emit) { put(k.WriteTime) }), count: each(func(k *Sink, put emit) { put(float64(k.Writes)) })},
	}
}

func queueMetrics() []metric {
	return []metric{
		{name: "queue_depth", kind: gauge, labels: []string{"sink"}, help: "Records held, in memory or in the spool.",
			read: eachSink(func(b *flow.SinkBooks) uint64 { return b.Held })},
		{name: "queue_capacity_bytes", kind: gauge, labels: []string{"sink"}, help: "What the sink's queue may take of memory.",
			read: func(s *Snapshot, put emit) {
				for i := range s.Sinks {
					put(float64(s.Sinks[i].Memory), s.Sinks[i].Name)
				}
			}},
		{name: "queue_oldest_timestamp_seconds", kind: gauge, labels: []string{"sink"}, help: "When the oldest record held was stored; only with a spool.",
			read: func(s *Snapshot, put emit) {
				for i := range s.Sinks {
					seconds(s.Sinks[i].Oldest, put, s.Sinks[i].Name)
				}
			}},
	}
}

func spoolMetrics() []metric {
	spool := func(read func(*Spool) uint64) func(*Snapshot, emit) {
		return func(s *Snapshot, put emit) {
			if s.Spool != nil {
				put(float64(read(s.Spool)))
			}
		}
	}
	lag := func(read func(*Lag) uint64) func(*Snapshot, emit) {
		return func(s *Snapshot, put emit) {
			for i := range s.Sinks {
				if l := s.Sinks[i].Lag; l != nil {
					put(float64(read(l)), s.Sinks[i].Name)
				}
			}
		}
	}
	return []metric{
		{name: "spool_bytes", kind: gauge, help: "What the spool's segments take on disk.", read: spool(func(p *Spool) uint64 { return p.Bytes })},
		{name: "spool_limit_bytes", kind: gauge, help: "What they may take (spool.max); beyond it the oldest is dropped.", read: spool(func(p *Spool) uint64 { return p.Max })},
		{name: "spool_free_bytes", kind: gauge, help: "What is free on the spool's file system.", read: spool(func(p *Spool) uint64 { return p.Free })},
		{name: "spool_free_limit_bytes", kind: gauge, help: "What must stay free there (spool.min_free); below it the oldest segment is dropped.", read: spool(func(p *Spool) uint64 { return p.MinFree })},
		{name: "spool_records_total", kind: counter, help: "Records ever stored, by earlier runs too.", read: spool(func(p *Spool) uint64 { return p.Records })},
		{name: "spool_faults_total", kind: counter, help: "Writes, syncs and saves that failed.", read: spool(func(p *Spool) uint64 { return p.Faults })},
		{name: "spool_damaged_total", kind: counter, help: "Damaged places that were come upon.", read: spool(func(p *Spool) uint64 { return p.Damaged })},
		{name: "spool_lag_records", kind: gauge, labels: []string{"sink"}, help: "Records on disk that the sink has not had.", read: lag(func(l *Lag) uint64 { return l.Records })},
		{name: "spool_lag_bytes", kind: gauge, labels: []string{"sink"}, help: "Bytes on disk that the sink has not had.", read: lag(func(l *Lag) uint64 { return l.Bytes })},
	}
}

func controlMetrics() []metric {
	requests := func(read func(*RequestCount) float64) func(*Snapshot, emit) {
		return func(s *Snapshot, put emit) {
			if s.Control == nil {
				return
			}
			for i := range s.Control.Requests {
				r := &s.Control.Requests[i]
				put(read(r), r.Verb, strconv.Itoa(r.Code))
			}
		}
	}
	return []metric{
		{name: "control_serving", kind: gauge, help: "1 while requests over NATS are heard; absent where control is off.",
			read: func(s *Snapshot, put emit) {
				if s.Control != nil {
					put(float64(truth(s.Control.Serving)))
				}
			}},
		{name: "control_requests_total", kind: counter, labels: []string{"verb", "code"}, help: "Requests that ended, by verb and code; 200 is one that was carried out.",
			read: requests(func(r *RequestCount) float64 { return float64(r.Count) })},
		{name: "control_duration_seconds", kind: summary, labels: []string{"verb", "code"}, help: "How long requests took.",
			read:  requests(func(r *RequestCount) float64 { return r.Seconds }),
			count: requests(func(r *RequestCount) float64 { return float64(r.Count) })},
	}
}
