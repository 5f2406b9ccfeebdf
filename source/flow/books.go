package flow

// Books is the account of every event: what was offered, and what became of it.
// Every figure counts from the start of the process.
type Books struct {
	Sockets []SocketBooks
	Sinks   []SinkBooks
}

// SocketBooks is the account of one event socket. Offered = Received + Lost and
// Received = Emitted + Excluded + Malformed + Foreign hold at every moment at which no
// batch is in flight.
type SocketBooks struct {
	NetNS     string // "" for the service's own
	Offered   uint64 // events that the kernel had for the socket, after its own filter
	Received  uint64 // events read
	Lost      uint64 // events that the kernel dropped (SO_MEMINFO's drop counter); at most so many once Reliable
	Emitted   uint64 // events handed on
	Excluded  uint64 // events that source.filter or source.events left out
	Malformed uint64 // datagrams that could not be decoded
	Foreign   uint64 // messages that are no conntrack event
	LastSeq   uint64
	Buffer    uint64 // effective receive buffer, bytes
	Queued    uint64 // bytes of it in use
	Growths   uint64 // times the buffer was raised
	Reliable  bool   // the kernel keeps DESTROY events until they are delivered, now
	LetGo     uint64 // times that Reliable was given up because the table was filling

	KernelFilter bool    // the kernel runs a part of source.filter
	Refused      *uint64 // events that this part refused, and that are not Offered; nil where nobody counts them: without the ring
	Track        TrackBooks
}

// TrackBooks is the account of a namespace's tracked flows and of the records
// that come of them. The kernel offers none of those records, so they stand
// beside SocketBooks' own figures, as dump rows do. Flows + Ended = Added holds
// at every moment.
type TrackBooks struct {
	Flows        uint64 // flows that are tracked
	Max          uint64 // what all namespaces together may track; 0: nothing is tracked
	Added        uint64 // flows taken in
	Ended        uint64 // flows let go, at their end
	Untracked    uint64 // times that a flow was not taken in because Max was reached
	Synthetic    uint64 // records handed on that were inferred
	Interim      uint64 // interim records handed on
	Suppressed   uint64 // dump rows left out because they trailed their flow's destroy
	Contradicted uint64 // kernel's events that came after the flow's end was inferred
	Reconciled   uint64 // dumps that were compared with what is tracked
	Failed       uint64 // dumps that should have been and were not whole
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
	Name         string
	Offered      uint64 // records that the sink's mask and filter selected
	Recovered    uint64 // records taken over from an earlier run's spool
	Delivered    uint64 // records that the other side has acknowledged
	Dropped      []Drop
	DeadLettered uint64
	Held         uint64 // records in memory or in the spool
	Bytes        uint64 // encoded bytes delivered
	Retries      uint64 // batches tried again
	Errors       []Drop // errors by class
	LastSeq      uint64 // highest sequence number delivered
	Up           bool   // the last attempt succeeded
	LastError    string
}

// Drop is a count with its reason.
type Drop struct {
	Reason string
	Count  uint64
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

// Balanced reports whether every account adds up.
func (b *Books) Balanced() bool {
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
