package flow

// Books is the account of every event: what was offered, and what became of it.
// Every figure counts from the start of the process. In JSON the figures are
// called as in status records.
type Books struct {
	Sockets []SocketBooks `json:"sockets"`
	Sinks   []SinkBooks   `json:"sinks"`
	Events  []EventCount  `json:"events,omitempty"` // what the sockets received, by kind; nil: not counted
}

// EventCount is how many events of one kind the sockets have received, of all
// namespaces together and before source.filter. The kinds are few and fixed.
type EventCount struct {
	Table string `json:"table"` // conntrack or expect
	Event string `json:"event"` // new, update or destroy
	Proto string `json:"proto"` // tcp, udp, icmp, icmpv6, sctp, dccp, gre or other
	Count uint64 `json:"count"`
}

// SocketBooks is the account of one namespace's event socket, or the sum of its
// sockets' where it is read by several (source.shards). Offered = Received + Lost and
// Received = Emitted + Excluded + Malformed + Foreign hold at every moment at which no
// batch is in flight.
type SocketBooks struct {
	NetNS     string `json:"netns"`     // "" for the service's own
	Offered   uint64 `json:"offered"`   // events that the kernel had for the socket, after its own filter
	Received  uint64 `json:"received"`  // events read
	Lost      uint64 `json:"lost"`      // events that the kernel dropped (SO_MEMINFO's drop counter); at most so many once Reliable
	Emitted   uint64 `json:"emitted"`   // events handed on
	Excluded  uint64 `json:"excluded"`  // events that source.filter or source.events left out
	Malformed uint64 `json:"malformed"` // datagrams that could not be decoded
	Foreign   uint64 `json:"foreign"`   // messages that are no conntrack event
	LastSeq   uint64 `json:"last_seq"`
	Buffer    uint64 `json:"buffer"`   // effective receive buffer, bytes; of several that of the fullest
	Queued    uint64 `json:"queued"`   // bytes of it in use
	Growths   uint64 `json:"growths"`  // times the buffer was raised
	Reliable  bool   `json:"reliable"` // the kernel keeps DESTROY events until they are delivered, now
	LetGo     uint64 `json:"let_go"`   // times that Reliable was given up because the table was filling

	KernelFilter bool       `json:"kernel_filter"`     // the kernel runs a part of source.filter
	Refused      *uint64    `json:"refused,omitempty"` // events that this part refused, and that are not Offered; nil where nobody counts them: without the ring
	Track        TrackBooks `json:"track,omitzero"`
}

// TrackBooks is the account of a namespace's tracked flows and of the records
// that come of them. The kernel offers none of those records, so they stand
// beside SocketBooks' own figures, as dump rows do. Flows + Ended = Added holds
// at every moment.
type TrackBooks struct {
	Flows        uint64 `json:"flows"`        // flows that are tracked
	Max          uint64 `json:"max_flows"`    // what all namespaces together may track; 0: nothing is tracked
	Added        uint64 `json:"added"`        // flows taken in
	Ended        uint64 `json:"ended"`        // flows let go, at their end
	Untracked    uint64 `json:"untracked"`    // times that a flow was not taken in because Max was reached
	Synthetic    uint64 `json:"synthetic"`    // records handed on that were inferred
	Interim      uint64 `json:"interim"`      // interim records handed on
	Suppressed   uint64 `json:"suppressed"`   // dump rows left out because they trailed their flow's destroy
	Contradicted uint64 `json:"contradicted"` // kernel's events that came after the flow's end was inferred
	Reconciled   uint64 `json:"reconciled"`   // dumps that were compared with what is tracked
	Failed       uint64 `json:"failed"`       // dumps that should have been and were not whole
}

// Balanced reports whether the account adds up.
func (b *TrackBooks) Balanced() bool { return b.Flows+b.Ended == b.Added }

// Balanced reports whether the socket's account adds up.
func (b *SocketBooks) Balanced() bool {
	return b.Offered == b.Received+b.Lost && b.Received == b.Emitted+b.Excluded+b.Malformed+b.Foreign && b.Track.Balanced()
}

// SinkBooks is the account of one sink. Offered + Recovered = Delivered +
// Dropped (all reasons) + DeadLettered + Held.
type SinkBooks struct {
	Name         string `json:"name"`
	Offered      uint64 `json:"offered"`   // records that the sink's mask and filter selected
	Recovered    uint64 `json:"recovered"` // records taken over from an earlier run's spool
	Delivered    uint64 `json:"delivered"` // records that the other side has acknowledged
	Dropped      []Drop `json:"dropped"`
	DeadLettered uint64 `json:"dead_lettered"`
	Held         uint64 `json:"held"`     // records in memory or in the spool
	Bytes        uint64 `json:"bytes"`    // encoded bytes delivered
	Retries      uint64 `json:"retries"`  // batches tried again
	Errors       []Drop `json:"errors"`   // errors by class
	LastSeq      uint64 `json:"last_seq"` // highest sequence number delivered
	Up           bool   `json:"up"`       // the last attempt succeeded
	LastError    string `json:"last_error,omitempty"`
}

// Drop is a count with its reason.
type Drop struct {
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`
}

// DroppedTotal sums the drops over all reasons.
func (b *SinkBooks) DroppedTotal() uint64 {
	var sum uint64
	for _, d := range b.Dropped {
		sum += d.Count
	}
	return sum
}

// Balanced reports whether the sink's account adds up.
func (b *SinkBooks) Balanced() bool {
	return b.Offered+b.Recovered == b.Delivered+b.DroppedTotal()+b.DeadLettered+b.Held
}

// Balanced reports whether every account adds up, that of the kinds with that of
// the sockets too.
func (b *Books) Balanced() bool {
	if b.Events != nil && !b.kindsBalanced() {
		return false
	}
	for i := range b.Sockets {
		if !b.Sockets[i].Balanced() {
			return false
		}
	}
	for i := range b.Sinks {
		if !b.Sinks[i].Balanced() {
			return false
		}
	}
	return true
}

// kindsBalanced reports whether every event received is of one of the kinds.
func (b *Books) kindsBalanced() bool {
	var kinds, events uint64
	for i := range b.Events {
		kinds += b.Events[i].Count
	}
	for i := range b.Sockets {
		events += b.Sockets[i].Emitted + b.Sockets[i].Excluded
	}
	return kinds == events
}

// Add sums two accounts; Max, which all namespaces share, stays.
func (b *TrackBooks) Add(o *TrackBooks) {
	b.Flows += o.Flows
	b.Added += o.Added
	b.Ended += o.Ended
	b.Untracked += o.Untracked
	b.Synthetic += o.Synthetic
	b.Interim += o.Interim
	b.Suppressed += o.Suppressed
	b.Contradicted += o.Contradicted
	b.Reconciled += o.Reconciled
	b.Failed += o.Failed
}
