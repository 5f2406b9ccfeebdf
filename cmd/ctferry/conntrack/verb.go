package conntrack

// Verb is what a command line asks to be done.
type Verb uint8

// The verbs. VerbNone is a line without a command: it asks for the usage text,
// and its exit code is 0.
const (
	VerbNone     Verb = iota
	VerbList          // -L, --dump
	VerbGet           // -G, --get
	VerbDelete        // -D, --delete
	VerbCreate        // -I, --create: the entry must not exist
	VerbAdd           // -A, --add: the entry may exist
	VerbUpdate        // -U, --update
	VerbEvents        // -E, --event
	VerbFlush         // -F, --flush
	VerbCount         // -C, --count
	VerbStats         // -S, --stats
	VerbLoadFile      // -R, --load-file
	VerbHelp          // -h, --help
	VerbVersion       // -V, --version
	verbs
)

var verbNames = [verbs]string{"", "dump", "get", "delete", "create", "add", "update", "event", "flush", "count", "stats", "load-file", "help", "version"}

const verbLetters = "\x00LGDIAUEFCSRhV"

// String gives the verb's long option without its dashes, or "".
func (v Verb) String() string {
	if v < verbs {
		return verbNames[v]
	}
	return ""
}

// Flag gives the verb's short option with its dash ("-L"), or "".
func (v Verb) Flag() string {
	if v == VerbNone || v >= verbs {
		return ""
	}
	return "-" + verbLetters[v:v+1]
}

// Writes reports whether the verb may change a table by itself. Listing with
// Command.Zero changes counters too; a file that is loaded may hold anything.
func (v Verb) Writes() bool {
	switch v {
	case VerbDelete, VerbCreate, VerbAdd, VerbUpdate, VerbFlush:
		return true
	}
	return false
}

// Table is what a command is about: one of the kernel's two tables, or one of
// its two lists of entries that are outside the conntrack table.
type Table uint8

// The tables. TableDying and TableUnconfirmed can only be listed.
const (
	TableConntrack Table = iota
	TableExpect
	TableDying       // IPCTNL_MSG_CT_GET_DYING
	TableUnconfirmed // IPCTNL_MSG_CT_GET_UNCONFIRMED
	tables
)

var tableNames = [tables]string{"conntrack", "expect", "dying", "unconfirmed"}

// String gives the table's name, or "".
func (t Table) String() string {
	if t < tables {
		return tableNames[t]
	}
	return ""
}
