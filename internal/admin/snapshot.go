package admin

import (
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// Schema names the form of a Snapshot in JSON, in which fields are only ever
// added.
const Schema = "ctferry.stats.v1"

// Snapshot is everything that is told, at one moment. Figures that count do so
// from the start of the process; what is not known is absent. Nothing in it
// names an address, a port or a flow.
type Snapshot struct {
	Schema   string    `json:"schema"`
	Time     time.Time `json:"time"`
	Version  string    `json:"version"`
	Revision string    `json:"revision,omitempty"` // of the source that was built
	Go       string    `json:"go_version"`
	Node     string    `json:"node"`
	Run      string    `json:"run"` // hex
	BootID   string    `json:"boot_id"`
	Kernel   string    `json:"kernel,omitempty"`
	Started  time.Time `json:"started"`
	Uptime   float64   `json:"uptime_seconds"`

	Ready      bool    `json:"ready"`              // the event sockets are bound, and no stop is under way
	Standstill float64 `json:"standstill_seconds"` // since the slowest reader last went round its loop

	Books     flow.Books       `json:"books"`
	Tables    []flow.TableFill `json:"tables"`
	Counters  []TableCounter   `json:"counters"` // the kernel's own, of each table
	Settings  Settings         `json:"settings"`
	Clock     flow.Clock       `json:"clock"`
	EventCost uint64           `json:"event_cost_bytes"` // what an event takes of a receive buffer, at most
	BufferMax uint64           `json:"buffer_max_bytes"` // what each may grow to
	Buffers   []Buffer         `json:"buffers"`
	Rates     *Rates           `json:"rates,omitempty"` // absent in the first second

	Sinks        []Sink        `json:"sinks"` // those of Books.Sinks that are configured now
	Spool        *Spool        `json:"spool,omitempty"`
	Control      *Control      `json:"control,omitempty"`
	Reload       Reload        `json:"reload"`
	Certificates []Certificate `json:"certificates"`
	Errors       []Failure     `json:"errors"` // the latest of each part, the newest first
	Warnings     []string      `json:"warnings"`
}

// TableCounter is a figure that the kernel keeps of a namespace's conntrack
// table, over all CPUs, since the namespace was made.
type TableCounter struct {
	NetNS string `json:"netns"`
	Stat  string `json:"stat"` // conntrack(8)'s word for it: drop, early_drop, insert_failed …
	Count uint64 `json:"count"`
}

// Settings are the kernel's that decide what records hold (net.netfilter.nf_conntrack_…).
type Settings struct {
	Acct      *int64 `json:"acct,omitempty"`
	Timestamp *int64 `json:"timestamp,omitempty"`
	Events    *int64 `json:"events,omitempty"`
}

// Buffer is a socket's receive buffer.
type Buffer struct {
	NetNS    string   `json:"netns"`
	Size     uint64   `json:"size_bytes"`
	Queued   uint64   `json:"queued_bytes"`
	Headroom *float64 `json:"headroom_seconds,omitempty"` // until it is full if nobody read, at the present rate; absent where nothing comes
}

// Rates are how fast the books grew over the last seconds.
type Rates struct {
	Seconds  float64     `json:"seconds"` // that they were measured over
	Offered  float64     `json:"offered"` // events a second, over all sockets
	Received float64     `json:"received"`
	Lost     float64     `json:"lost"`
	Emitted  float64     `json:"emitted"`
	Events   []EventRate `json:"events"` // as Books.Events
	Sinks    []SinkRate  `json:"sinks"`  // as Books.Sinks
}

// EventRate is how many events of a kind come in a second.
type EventRate struct {
	Table     string  `json:"table"`
	Event     string  `json:"event"`
	Proto     string  `json:"proto"`
	PerSecond float64 `json:"per_second"`
}

// SinkRate is what a sink does in a second.
type SinkRate struct {
	Name      string  `json:"name"`
	Offered   float64 `json:"offered"`
	Delivered float64 `json:"delivered"`
	Dropped   float64 `json:"dropped"`
	Bytes     float64 `json:"bytes"`
}

// Sink is what is to be known of a sink beside its books.
type Sink struct {
	Name        string    `json:"name"`
	Type        string    `json:"type"`
	Encoding    string    `json:"encoding"`
	Memory      uint64    `json:"memory_bytes"` // that its queue may take
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastError   time.Time `json:"last_error_time,omitzero"`
	Writes      uint64    `json:"writes"`               // batches given to the other side
	WriteTime   float64   `json:"write_seconds"`        // that they took together
	Oldest      time.Time `json:"oldest_held,omitzero"` // when the oldest record held was stored; with a spool
	Lag         *Lag      `json:"spool_lag,omitempty"`  // with a spool
}

// Lag is what waits for a sink on disk.
type Lag struct {
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`
}

// Spool is the log on disk.
type Spool struct {
	Dir       string `json:"dir"`
	Bytes     uint64 `json:"bytes"`
	Max       uint64 `json:"max_bytes"`
	Free      uint64 `json:"free_bytes"` // on the file system
	MinFree   uint64 `json:"min_free_bytes"`
	Segments  int    `json:"segments"`
	Records   uint64 `json:"records"` // ever stored
	Faults    uint64 `json:"faults"`  // writes, syncs and saves that failed
	Damaged   uint64 `json:"damaged"` // damaged places come upon
	LastFault string `json:"last_fault,omitempty"`
}

// Control is the serving of requests over NATS.
type Control struct {
	Serving  bool           `json:"serving"`
	Requests []RequestCount `json:"requests"`
}

// RequestCount is how many requests of a verb ended with a code.
type RequestCount struct {
	Verb    string  `json:"verb"`
	Code    int     `json:"code"` // 200 for one that was carried out, else as in docs/control-nats.md
	Count   uint64  `json:"count"`
	Seconds float64 `json:"seconds"` // that they took together
}

// Reload is how the last reload of the configuration went; the start counts as one.
type Reload struct {
	OK          bool      `json:"ok"`
	Time        time.Time `json:"time"`
	LastSuccess time.Time `json:"last_success"`
	Reloads     uint64    `json:"reloads"`
	Failed      uint64    `json:"failed"`
	Error       string    `json:"error,omitempty"`
}

// Certificate is a file of certificates that the configuration names.
type Certificate struct {
	Key      string    `json:"key"` // such as sinks.siem.tls.cert_file
	File     string    `json:"file"`
	NotAfter time.Time `json:"not_after,omitzero"` // the first of them to expire
	Error    string    `json:"error,omitempty"`
}

// Failure is the latest error of a part.
type Failure struct {
	Time time.Time `json:"time,omitzero"`
	Part string    `json:"part"` // such as sink siem
	Text string    `json:"text"`
}

// fill makes lists that hold nothing empty ones, so that readers of the JSON find
// a list wherever the schema has one.
func (s *Snapshot) fill() {
	s.Books.Sockets, s.Books.Sinks = listed(s.Books.Sockets), listed(s.Books.Sinks)
	s.Tables, s.Sinks, s.Certificates = listed(s.Tables), listed(s.Sinks), listed(s.Certificates)
	s.Errors, s.Warnings = listed(s.Errors), listed(s.Warnings)
}

func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
