package flow

// DumpInfo says which dump a row belongs to. It is shared by the dump's rows
// and must not be changed while they are in flight.
type DumpInfo struct {
	ID            uint64 // random, one for each dump
	Reason        string // start, interval or request
	CountersReset bool   // the dump read the counters and set them to zero

	// The rest is for the dump_end record.
	Count    uint64 // rows that the kernel sent
	Complete bool   // the kernel ended the dump itself and nothing of it was lost
}

// Gap is a loss, told in the place in the stream where it happened.
type Gap struct {
	Scope   string  // kernel, sink or restart
	Source  string  // the socket: its namespace's name, or "host"
	Sink    string  // the sink, where scope is sink
	Reason  string  // receive_buffer, memory, spool_full, not_running, opened, …
	Lost    *uint64 // exact count, nil when unknown
	LostMax *uint64 // upper bound, where only that is known
	Since   int64   // ns since the epoch: no event before this is missing; 0 when unknown
	Until   int64   // none after this is
}

// Agent is the content of a status record: what a consumer needs to judge
// whether what it has is complete, and why a value is absent.
type Agent struct {
	Reason   string // start, stop, reload, interval or reliable (that mode went off or on)
	Version  string // ctferry's
	Kernel   string // uname -r
	Uptime   int64  // of the process, ns
	Acct     *int64 // net.netfilter.nf_conntrack_acct
	Stamps   *int64 // net.netfilter.nf_conntrack_timestamp
	Events   *int64 // net.netfilter.nf_conntrack_events
	Clock    Clock
	Tables   []TableFill
	Sockets  []SocketBooks
	Sink     *SinkBooks // the books of the sink that the record goes to
	LastSeq  uint64     // last sequence number given out before this record
	Warnings []string
}

// Clock tells whether the host's clock can be trusted (adjtimex(2)).
type Clock struct {
	Synced *bool  `json:"synced,omitempty"` // nil when unknown
	Steps  uint64 `json:"steps"`
	Last   int64  `json:"last_step_ns,omitempty"` // the last step, ns, forwards positive
}

// TableFill is how full a namespace's conntrack table is.
type TableFill struct {
	NetNS   string `json:"netns"`
	Entries uint32 `json:"entries"`
	Max     uint32 `json:"max"`
}
