package flow

import "strings"

// Type says what a record reports.
type Type uint8

// The record types. New, Update and Destroy are the kernel's; the others are ours.
const (
	TypeUnspecified Type = iota
	TypeNew              // an entry was created
	TypeUpdate           // an entry changed
	TypeDestroy          // an entry is gone
	TypeDump             // a row of a dump
	TypeDumpEnd          // the end of a dump, with its count
	TypeInterim          // a long flow's deltas
	TypeGap              // a loss: how many, since when, until when
	TypeStatus           // the agent's own state and books
)

var typeNames = [...]string{"", "new", "update", "destroy", "dump", "dump_end", "interim", "gap", "status"}

// String gives the record's event_type, or "" if t is none.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return ""
}

// ParseType is the inverse of Type.String.
func ParseType(s string) (Type, bool) { return parseName[Type](typeNames[:], s) }

// TypeNames lists every event_type, in the order of the constants.
func TypeNames() []string { return append([]string(nil), typeNames[1:]...) }

// Types is a set of record types.
type Types uint16

// TypesOf makes a set.
func TypesOf(ts ...Type) Types {
	var s Types
	for _, t := range ts {
		s |= 1 << t
	}
	return s
}

// Has reports whether t is in the set.
func (s Types) Has(t Type) bool { return s&(1<<t) != 0 }

// AlwaysTypes pass every event mask and every filter: without them a consumer
// could not tell a quiet network from a loss.
const AlwaysTypes = Types(1<<TypeGap | 1<<TypeStatus)

// Names lists the set's types in the order of the constants.
func (s Types) Names() []string {
	var names []string
	for t := TypeNew; int(t) < len(typeNames); t++ {
		if s.Has(t) {
			names = append(names, t.String())
		}
	}
	return names
}

// Table is one of the kernel's two tables.
type Table uint8

// The tables (subsystems NFNL_SUBSYS_CTNETLINK and NFNL_SUBSYS_CTNETLINK_EXP).
const (
	TableUnspecified Table = iota
	TableConntrack
	TableExpect
)

var tableNames = [...]string{"", "conntrack", "expect"}

// String gives the table's name, or "" if t is none.
func (t Table) String() string {
	if int(t) < len(tableNames) {
		return tableNames[t]
	}
	return ""
}

// ParseTable is the inverse of Table.String.
func ParseTable(s string) (Table, bool) { return parseName[Table](tableNames[:], s) }

// Family is a layer 3 protocol by its address family number (AF_INET, AF_INET6).
type Family uint8

// The families that conntrack knows.
const (
	FamilyUnspecified Family = 0
	IPv4              Family = 2
	IPv6              Family = 10
)

// String gives ipv4, ipv6 or "".
func (f Family) String() string {
	switch f {
	case IPv4:
		return "ipv4"
	case IPv6:
		return "ipv6"
	}
	return ""
}

// ParseFamily is the inverse of Family.String.
func ParseFamily(s string) (Family, bool) {
	switch s {
	case "ipv4":
		return IPv4, true
	case "ipv6":
		return IPv6, true
	}
	return 0, false
}

// AddrLen is the length of the family's addresses in bytes.
func (f Family) AddrLen() int {
	if f == IPv4 {
		return 4
	}
	return 16
}

// TimeSource says whose clock told an event's time.
type TimeSource uint8

// The sources of an event's time.
const (
	TimeUnspecified TimeSource = iota
	TimeKernel                 // CTA_TIMESTAMP_EVENT, or the flow's own start or stop
	TimeReceived               // when the agent read it
	TimeInferred               // reconstructed after a loss
)

var timeSourceNames = [...]string{"", "kernel", "received", "inferred"}

// String gives the record's time_source.
func (s TimeSource) String() string {
	if int(s) < len(timeSourceNames) {
		return timeSourceNames[s]
	}
	return ""
}

// ParseTimeSource is the inverse of TimeSource.String.
func ParseTimeSource(s string) (TimeSource, bool) {
	return parseName[TimeSource](timeSourceNames[:], s)
}

// parseName finds s among names; the empty name, index 0, is never found.
func parseName[T ~uint8](names []string, s string) (T, bool) {
	for i, n := range names {
		if n != "" && n == s {
			return T(i), true
		}
	}
	return 0, false
}

// nearName finds s among names without regard to case.
func nearName[T ~uint8](names []string, s string) (T, bool) {
	for i, n := range names {
		if n != "" && strings.EqualFold(n, s) {
			return T(i), true
		}
	}
	return 0, false
}
