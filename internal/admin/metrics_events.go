package admin

import (
	"github.com/ctferry/ctferry/source/flow"
)

func eventMetrics() []metric {
	return []metric{
		{name: "events_received_total", kind: counter, labels: []string{"table", "event", "proto"}, help: "Events read, before source.filter, by table, type and protocol.",
			read: func(s *Snapshot, put emit) {
				for _, e := range s.Books.Events {
					put(float64(e.Count), e.Table, e.Event, e.Proto)
				}
			}},
		{name: "netlink_offered_total", kind: counter, labels: []string{"netns"}, help: "Events that the kernel had for the socket: received and dropped ones.",
			read: eachSocket(func(b *flow.SocketBooks) uint64 { return b.Offered })},
		{name: "netlink_received_total", kind: counter, labels: []string{"netns"}, help: "Messages read: emitted, filtered, malformed and foreign ones.",
			read: eachSocket(func(b *flow.SocketBooks) uint64 { return b.Received })},
		{name: "netlink_dropped_total", kind: counter, labels: []string{"netns"}, help: "Events that the kernel dropped because the buffer was full. Exact; with source.reliable an upper bound.",
			read: eachSocket(func(b *flow.SocketBooks) uint64 { return b.Lost })},
		{name: "events_emitted_total", kind: counter, labels: []string{"netns"}, help: "Events handed on to the sinks.",
			read: eachSocket(func(b *flow.SocketBooks) uint64 { return b.Emitted })},
		{name: "events_filtered_total", kind: counter, labels: []string{"netns"}, help: "Events that source.filter or source.events left out.",
			read: eachSocket(func(b *flow.SocketBooks) uint64 { return b.Excluded })},
		{name: "decode_errors_total", kind: counter, labels: []string{"netns"}, help: "Datagrams that could not be decoded, and were passed over.",
			read: eachSocket(func(b *flow.SocketBooks) uint64 { return b.Malformed })},
		{name: "netlink_foreign_total", kind: counter, labels: []string{"netns"}, help: "Messages that are no conntrack event.",
			read: eachSocket(func(b *flow.SocketBooks) uint64 { return b.Foreign })},
		{name: "last_sequence", kind: gauge, labels: []string{"netns"}, help: "The sequence number of the last event handed on.",
			read: eachSocket(func(b *flow.SocketBooks) uint64 { return b.LastSeq })},
	}
}

func bufferMetrics() []metric {
	return []metric{
		{name: "netlink_rcvbuf_bytes", kind: gauge, labels: []string{"netns"}, help: "The effective receive buffer; with source.shards, of the fullest.",
			read: eachSocket(func(b *flow.SocketBooks) uint64 { return b.Buffer })},
		{name: "netlink_rcvbuf_limit_bytes", kind: gauge, help: "What each receive buffer may grow to (source.buffer.max).",
			read: one(func(s *Snapshot) float64 { return float64(s.BufferMax) })},
		{name: "netlink_queued_bytes", kind: gauge, labels: []string{"netns"}, help: "What is in use of that buffer, when it was last looked at.",
			read: eachSocket(func(b *flow.SocketBooks) uint64 { return b.Queued })},
		{name: "netlink_headroom_seconds", kind: gauge, labels: []string{"netns"}, help: "How long the free part of the buffer would last at the present rate if nobody read; absent where nothing comes.",
			read: func(s *Snapshot, put emit) {
				for _, b := range s.Buffers {
					if b.Headroom != nil {
						put(*b.Headroom, b.NetNS)
					}
				}
			}},
		{name: "netlink_rcvbuf_growths_total", kind: counter, labels: []string{"netns"}, help: "Times that the buffer was raised.",
			read: eachSocket(func(b *flow.SocketBooks) uint64 { return b.Growths })},
		{name: "netlink_reliable", kind: gauge, labels: []string{"netns"}, help: "1 while the kernel keeps DESTROY events until they are delivered (source.reliable).",
			read: eachSocket(func(b *flow.SocketBooks) uint64 { return truth(b.Reliable) })},
		{name: "netlink_reliable_let_go_total", kind: counter, labels: []string{"netns"}, help: "Times that source.reliable was given up because the table was filling.",
			read: eachSocket(func(b *flow.SocketBooks) uint64 { return b.LetGo })},
	}
}

// eachTracker reads a figure of every namespace whose flows are tracked.
func eachTracker(read func(*flow.TrackBooks) uint64) func(*Snapshot, emit) {
	return func(s *Snapshot, put emit) {
		for _, b := range byNamespace(s.Books.Sockets) {
			if b.Track.Max > 0 {
				put(float64(read(&b.Track)), b.NetNS)
			}
		}
	}
}

func trackMetrics() []metric {
	return []metric{
		{name: "track_flows", kind: gauge, labels: []string{"netns"}, help: "Flows that are tracked (source.track).",
			read: eachTracker(func(b *flow.TrackBooks) uint64 { return b.Flows })},
		{name: "track_flows_limit", kind: gauge, labels: []string{"netns"}, help: "What all namespaces together may track.",
			read: eachTracker(func(b *flow.TrackBooks) uint64 { return b.Max })},
		{name: "track_added_total", kind: counter, labels: []string{"netns"}, help: "Flows taken in.",
			read: eachTracker(func(b *flow.TrackBooks) uint64 { return b.Added })},
		{name: "track_ended_total", kind: counter, labels: []string{"netns"}, help: "Flows let go, at their end.",
			read: eachTracker(func(b *flow.TrackBooks) uint64 { return b.Ended })},
		{name: "track_untracked_total", kind: counter, labels: []string{"netns"}, help: "Times that a flow was not taken in because there were too many.",
			read: eachTracker(func(b *flow.TrackBooks) uint64 { return b.Untracked })},
		{name: "track_synthetic_total", kind: counter, labels: []string{"netns"}, help: "Records handed on that were inferred.",
			read: eachTracker(func(b *flow.TrackBooks) uint64 { return b.Synthetic })},
		{name: "track_interim_total", kind: counter, labels: []string{"netns"}, help: "Interim records handed on.",
			read: eachTracker(func(b *flow.TrackBooks) uint64 { return b.Interim })},
		{name: "track_suppressed_total", kind: counter, labels: []string{"netns"}, help: "Dump rows left out because they trailed their flow's destroy.",
			read: eachTracker(func(b *flow.TrackBooks) uint64 { return b.Suppressed })},
		{name: "track_contradicted_total", kind: counter, labels: []string{"netns"}, help: "Events that came after their flow's end was inferred.",
			read: eachTracker(func(b *flow.TrackBooks) uint64 { return b.Contradicted })},
		{name: "resync_dumps_total", kind: counter, labels: []string{"netns", "result"}, help: "Dumps that were compared with what is tracked (ok), or should have been and were not whole (failed).",
			read: func(s *Snapshot, put emit) {
				eachTracker(func(b *flow.TrackBooks) uint64 { return b.Reconciled })(s, func(v float64, l ...string) { put(v, l[0], "ok") })
				eachTracker(func(b *flow.TrackBooks) uint64 { return b.Failed })(s, func(v float64, l ...string) { put(v, l[0], "failed") })
			}},
	}
}

func tableMetrics() []metric {
	fill := func(read func(*flow.TableFill) uint32) func(*Snapshot, emit) {
		return func(s *Snapshot, put emit) {
			for i := range s.Tables {
				put(float64(read(&s.Tables[i])), s.Tables[i].NetNS)
			}
		}
	}
	return []metric{
		{name: "conntrack_entries", kind: gauge, labels: []string{"netns"}, help: "Entries of the conntrack table.",
			read: fill(func(t *flow.TableFill) uint32 { return t.Entries })},
		{name: "conntrack_entries_limit", kind: gauge, labels: []string{"netns"}, help: "What the table may hold (nf_conntrack_max).",
			read: fill(func(t *flow.TableFill) uint32 { return t.Max })},
		{name: "conntrack_stat_total", kind: counter, labels: []string{"netns", "stat"}, help: "What the kernel counts of the table, over all CPUs, since the namespace was made: drop, early_drop, insert_failed and what else it tells (conntrack -S).",
			read: func(s *Snapshot, put emit) {
				for _, c := range s.Counters {
					put(float64(c.Count), c.NetNS, c.Stat)
				}
			}},
		{name: "conntrack_setting", kind: gauge, labels: []string{"name"}, help: "The settings acct, timestamp and events (net.netfilter.nf_conntrack_…).",
			read: func(s *Snapshot, put emit) {
				for name, v := range map[string]*int64{"acct": s.Settings.Acct, "timestamp": s.Settings.Timestamp, "events": s.Settings.Events} {
					if v != nil {
						put(float64(*v), name)
					}
				}
			}},
	}
}
