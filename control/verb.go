package control

import (
	"slices"

	"github.com/ctferry/ctferry/source/flow"
)

// Verb is what a request asks to be done.
type Verb string

// The verbs. The first five read; create, update, delete, flush and zero write.
const (
	VerbList   Verb = "list"   // rows of a table
	VerbGet    Verb = "get"    // entries by their tuple
	VerbCount  Verb = "count"  // how many entries, and how many may be
	VerbStats  Verb = "stats"  // counters of each CPU
	VerbWatch  Verb = "watch"  // live events, until the lease ends
	VerbDelete Verb = "delete" // entries by filter or by tuple
	VerbCreate Verb = "create" // new entries
	VerbUpdate Verb = "update" // change entries by filter or by tuple
	VerbFlush  Verb = "flush"  // all of a table, or of a family
	VerbZero   Verb = "zero"   // list, and set the counters to zero
)

// Verbs are all of them, in the order of the constants.
func Verbs() []Verb {
	return []Verb{VerbList, VerbGet, VerbCount, VerbStats, VerbWatch, VerbDelete, VerbCreate, VerbUpdate, VerbFlush, VerbZero}
}

// Writes reports whether the verb changes a table.
func (v Verb) Writes() bool {
	switch v {
	case VerbDelete, VerbCreate, VerbUpdate, VerbFlush, VerbZero:
		return true
	}
	return false
}

// Table is what a request is about.
type Table string

// The tables; dying and unconfirmed can only be listed.
const (
	TableConntrack   Table = "conntrack"
	TableExpect      Table = "expect"
	TableDying       Table = "dying"
	TableUnconfirmed Table = "unconfirmed"
)

// AllTables are all of them, in the order of the constants.
func AllTables() []Table {
	return []Table{TableConntrack, TableExpect, TableDying, TableUnconfirmed}
}

// ParseVerb finds a verb by its word.
func ParseVerb(s string) (Verb, bool) { return Verb(s), slices.Contains(Verbs(), Verb(s)) }

// ParseTable finds a table by its word.
func ParseTable(s string) (Table, bool) { return Table(s), slices.Contains(AllTables(), Table(s)) }

// Flow is the kernel's table of which this is a part.
func (t Table) Flow() flow.Table {
	if t == TableExpect {
		return flow.TableExpect
	}
	return flow.TableConntrack
}

func verbList() string  { return wordList(Verbs()) }
func tableList() string { return wordList(AllTables()) }

func wordList[T ~string](words []T) string {
	out := ""
	for i, w := range words {
		if i > 0 {
			out += ", "
		}
		out += string(w)
	}
	return "one of " + out
}
