package flow

// Filter says which records pass: those that some Include term matches (all,
// if there is none) and no Exclude term does. A dump_end has no tuple to match
// and closes what did pass: it passes too. Gap and status records
// (AlwaysTypes) pass every filter. A nil Filter and an empty one pass all.
//
// A Filter is made by ParseFilter, which checks it, and is read-only from then
// on: goroutines may share it, and whoever wants to hand part of it to the
// kernel reads the terms.
type Filter struct {
	Include, Exclude []Term
}

// Term matches a record that all of its predicates match. Cheap predicates
// come first, and a field comes at most once.
type Term []Predicate

// Bounds of a filter that is read from outside.
const (
	MaxFilterTerms  = 1024  // terms in include and in exclude each
	MaxFilterValues = 65536 // values of one field of a term
)

// Match reports whether the event passes. It reads only what the event's
// presence bits vouch for and allocates nothing.
func (f *Filter) Match(e *Event) bool {
	if f == nil || AlwaysTypes.Has(e.Type) || e.Type == TypeDumpEnd {
		return true
	}
	for i := range f.Exclude {
		if f.Exclude[i].Match(e) {
			return false
		}
	}
	for i := range f.Include {
		if f.Include[i].Match(e) {
			return true
		}
	}
	return len(f.Include) == 0
}

// Match reports whether all of the term's predicates match the event.
func (t Term) Match(e *Event) bool {
	for i := range t {
		if !t[i].Match(e) {
			return false
		}
	}
	return true
}

// IsAll reports whether the filter passes everything because it has no term.
func (f *Filter) IsAll() bool { return f == nil || len(f.Include)+len(f.Exclude) == 0 }

// Equal reports whether two filters are written the same but for the order of
// their terms and values.
func (f *Filter) Equal(g *Filter) bool { return f.String() == g.String() }
