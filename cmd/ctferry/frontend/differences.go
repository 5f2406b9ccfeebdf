package frontend

// Difference is a place where this program means not to do what conntrack 1.4.7
// does with a command line that both understand.
type Difference struct {
	ID      string
	Tool    string // what conntrack 1.4.7 does
	Ours    string
	Why     string
	Example string // a command line that shows it
}

// Differences are all of them that are no matter of the grammar (see
// conntrack.Differences) nor of a row's text (see encode.TextDifferences), in
// the order of their IDs. The tests against the tool accept nothing else.
func Differences() []Difference {
	return []Difference{}
}
