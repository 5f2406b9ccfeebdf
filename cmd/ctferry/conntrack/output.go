package conntrack

import "strings"

// Output is a set of -o's words.
type Output uint16

// The words of -o. JSON is ours: one object a line, schema ctferry.v1.
const (
	OutputExtended   Output = 1 << iota // layer 3 in front of each row
	OutputXML                           // one <flow> a line
	OutputTimestamp                     // when the event was read
	OutputID                            // CTA_ID
	OutputKTimestamp                    // the kernel's start and stop times
	OutputLabels                        // connection labels by name
	OutputUserspace                     // which program caused an event
	OutputSave                          // command lines that -R reads
	OutputJSON                          // records
)

func outputWords() []string {
	return []string{"extended", "xml", "timestamp", "id", "ktimestamp", "labels", "userspace", "save", "json"}
}

// Has reports whether all words of x are in the set.
func (o Output) Has(x Output) bool { return o&x == x }

// Words lists the set's words in the order of the constants.
func (o Output) Words() []string {
	var words []string
	for i, w := range outputWords() {
		if o&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return words
}

// String is the set as -o takes it.
func (o Output) String() string { return strings.Join(o.Words(), ",") }
