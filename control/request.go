package control

import (
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// Version is the version of requests and results.
const Version = 1

// Request is one request. Which members a verb takes is checked by Validate;
// what it does not take must be absent. Numbers are in host order.
type Request struct {
	ID       string        // the caller's; a write of the same ID is answered once
	IssuedAt time.Time     // when the caller made it, by its own clock
	Timeout  time.Duration // how long the caller waits; 0 is the node's default

	Verb  Verb
	Table Table
	NetNS string // configured name of a namespace; "" is the service's own

	Family flow.Family  // 0 is both
	Filter *flow.Filter // list, zero, count, delete, update, watch: which entries; nil is all
	Limit  int          // list, zero: rows at most; delete, update: refuse to touch more; 0 is none
	DryRun bool         // delete, update, flush: tell what would be touched and touch nothing
	Rows   bool         // delete, update, create: tell the entries too, not only how many

	Keys    []Key      // get, delete, update: entries by tuple, in place of a filter
	Entries []Entry    // create
	Replace bool       // create: an entry that exists is updated, not refused
	Change  *Change    // update
	Types   flow.Types // watch: which events; 0 is new, update and destroy
	Buffer  int        // watch: bytes of the event socket's buffer; 0 is the default
	Helper  string     // flush of table expect: expectations of this helper; "" is all
	Format  string     // list, zero, get, watch…: encoding of rows over NATS; "" is json
}

// Key names an entry of either table.
type Key struct {
	Conntrack *flow.Key
	Expect    *flow.ExpectKey
}

// Entry is what create makes: of table conntrack an event with its tuples and
// values, of table expect the expectation in Event.Extra.Expect. In JSON it is
// a record (schema ctferry.v1), so that a listed row may be sent back; where it
// is translated, the translation is asked for again.
type Entry struct {
	Event          *flow.Event
	SrcNAT, DstNAT *flow.NATRange // nil is none
}

// Change is what update changes; nil leaves a value as it is.
type Change struct {
	Timeout *uint32
	Mark    *flow.Masked // (old &^ Mask) ^ Value
	Status  uint32       // bits to add
	Helper  *string      // "" takes it away

	TCPState *uint8 // enum tcp_conntrack

	// The kernel wants all of what SCTP and DCCP have told at once; what is not
	// told here is told as the entry has it.
	SCTPState           *uint8  // enum sctp_conntrack
	OrigVTag, ReplyVTag *uint32 // of SCTP
	DCCPState, DCCPRole *uint8  // enum ct_dccp_states, ct_dccp_roles

	LabelAdd, LabelDel *[16]byte // bits; LabelDel before LabelAdd
}

// Result is what became of a request, told after the last row.
type Result struct {
	Request string // its ID
	Node    string // who carried it out; "" is this host

	Count    uint64    // entries told, counted, created, changed or removed
	Failed   uint64    // entries that could not be
	Failures []Failure // the first of them, at most MaxFailures

	Spared      uint64 // entries that the node protects and that were left alone
	Repeated    bool   // the write was carried out before: this is the answer that it had, without rows
	DryRun      bool   // nothing was touched
	Truncated   bool   // there are more rows than Limit
	Interrupted bool   // the table changed under the dump: rows may be missing or doubled

	Fill *flow.TableFill // count without a filter: the kernel's own figures
	CPUs []flow.CPUStats // stats
}

// MaxFailures bounds Result.Failures.
const MaxFailures = 100

// Failure is an entry that a request did not succeed with.
type Failure struct {
	Index int         // in Keys or Entries; -1 of an entry that a filter found
	Event *flow.Event // the entry, where it is known
	Err   *Error
}
