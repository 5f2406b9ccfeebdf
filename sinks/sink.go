package sinks

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// A Sink writes to one place. One goroutine, its Outlet's, calls it; calls
// never overlap.
type Sink interface {
	// Open makes the sink ready: it connects, or opens a file. It is called
	// again, after a pause, when it failed, and after a Write whose error the
	// sink wants to be reopened for (Error.Reopen).
	Open(ctx context.Context) error

	// Write delivers the batch's records, those of one key in their order, and
	// returns when the other side has acknowledged them all, or with an error.
	// Records that were acknowledged in spite of an error are marked with
	// Batch.Done; the next Write gets the others, never more. An error that is
	// no *Error counts as Retry.
	Write(ctx context.Context, b *Batch) error

	// Close gives everything back. No call follows.
	Close(ctx context.Context) error
}

// Record is one encoded record with what a sink needs to place it.
type Record struct {
	Value  []byte // unframed; lent, to be read only, until Write returns
	Seq    uint64
	Time   int64  // ns since the epoch
	FlowID uint64 // 0 for gap and status records, which are keyed by node
	Type   flow.Type
	Table  flow.Table
	Family flow.Family
	Proto  uint8
	own    bool // a gap that the outlet of a spool tells itself: it is not on disk
	of     feed // of the spool, from which it is

	// inside is how many bytes behind Value, within its capacity, are the inside
	// address: 4, 16, or 0 where the sink does not ask for it. It takes room only
	// in sinks that do, and none in the header.
	inside uint8

	Origin *flow.Origin
	frame  uint64 // of the spool, in which it is
}

// Inside is the address behind the translation, for a sink whose options ask
// for it (insideKeyed) and a record that has one.
func (r *Record) Inside() (netip.Addr, bool) {
	return netip.AddrFromSlice(r.whole()[len(r.Value):])
}

// whole is the value and what stands behind it.
func (r *Record) whole() []byte { return r.Value[:len(r.Value)+int(r.inside)] }

// An insideKeyed is Options of a sink that may place records by their inside address.
type insideKeyed interface{ wantsInside() bool }

// Batch is a run of records on its way to a sink.
type Batch struct {
	Records []Record
	frames  []frames // the same as they stand in a file; nil where they are not there
	done    []bool
}

// Done marks record i as acknowledged.
func (b *Batch) Done(i int) {
	if b.done == nil {
		b.done = make([]bool, len(b.Records))
	}
	b.done[i] = true
}

// Class says what an outlet does about an error.
type Class uint8

// The classes of errors.
const (
	Retry         Class = iota // try the same records again, later
	Split                      // the batch is too large: try each half; a single record is then poison
	Configuration              // only a person can mend it: try again slowly, and say so loudly
	Poison                     // these records can never be accepted: to the dead-letter file
)

var classNames = [...]string{"retry", "split", "configuration", "poison"}

// String gives the class's name, as it stands in metrics.
func (c Class) String() string { return classNames[c] }

// Error is a sink's error with its class.
type Error struct {
	Class  Class
	Reopen bool  // call Open before the next Write
	Poison []int // with class Poison: the records' places in the batch; none means all that are not done
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Options are one kind of sink's keys of the configuration, as decoded. Every
// key has a `koanf` tag; types that are written as text implement
// encoding.TextUnmarshaler. Zero values are never silently meaningful: defaults
// are set by the function in Kinds.
type Options interface {
	// Validate reports every fault, as option.Faults, each under its key.
	Validate() error
	// Unordered tells why law 3 does not hold under these options, or "".
	Unordered() string
	// New makes the sink. It does no I/O.
	New(Env) (Sink, error)
}

// Env is what a sink needs to know of its surroundings.
type Env struct {
	Name   string // the sink's configured name
	Node   string
	Run    [16]byte
	Format encode.Format
	Group  Group
	Log    *slog.Logger
}

// Group says how many records go into one message (`batch` in the configuration).
type Group string

// The groupings.
const (
	GroupNone        Group = "none"         // one record a message
	GroupNDJSON      Group = "ndjson"       // json or xml: one record a line
	GroupRecordBatch Group = "record_batch" // protobuf: a ctferry.v1.RecordBatch
)
