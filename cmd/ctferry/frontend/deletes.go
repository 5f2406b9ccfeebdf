package frontend

import "github.com/ctferry/ctferry/cmd/ctferry/conntrack"

// maxDeletes is how many -D that follow one another are one request: each of them
// alone reads the whole table, and all together read it once.
const maxDeletes = 64

// joins reports whether a step may be one request with other -D: they say what
// they mean by terms, of which one must match. A node's guard looks at a request
// as a whole, and so does --limit, and a dry run would tell once of an entry that
// two lines mean, and with -o xml each writes a document: these go one by one.
func (s *step) joins(t Target) bool {
	q := s.request
	return s.cmd.Verb == conntrack.VerbDelete && s.cmd.Table == conntrack.TableConntrack &&
		q.Filter != nil && len(q.Filter.Include) > 0 && len(q.Filter.Exclude) == 0 &&
		!s.cmd.Output.Has(conntrack.OutputXML) && !t.Remote() && !t.DryRun && t.Limit == 0
}

// join has the step do what another does too, if it can.
func (s *step) join(other *step, t Target) bool {
	if s == nil || !other.joins(t) || s.cmd.Output != other.cmd.Output || s.request.Family != other.request.Family {
		return false
	}
	terms := append(s.request.Filter.Include, other.request.Filter.Include...)
	if len(terms) > maxDeletes {
		return false
	}
	s.request.Filter.Include = terms
	return true
}
