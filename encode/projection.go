package encode

import (
	"fmt"
	"slices"
	"strings"
)

// Projection says which fields of a record are written. It is a comparable
// value, so that sinks which want the same may share one encoding; the zero
// Projection writes every field and no Community ID.
type Projection struct {
	hidden    mask
	community bool
	seed      uint16
	inside    bool // the other end of each flow is hidden
	told      bool // Community IDs that a record tells are written, even if none is made
}

// WithTold is the projection that writes the Community IDs that a decoded record
// tells, though it may make none itself: for whoever passes records on as they are.
func (p Projection) WithTold() Projection {
	p.told = true
	return p
}

// WithoutDestination is the projection that also hides, in every record, the
// end of the flow that is not the inside one (see flow.Event.Inside): its
// address and port in both tuples and behind the translation, the flow's master,
// expectations, and Community IDs, from which it could be found by trying; so it
// could from the flow id by who knows the boot id, which is hidden too.
func (p Projection) WithoutDestination() Projection {
	p.inside, p.community, p.seed = true, false, 0
	p.hidden.part = p.hidden.part&^partCommunities | partBootID
	return p
}

// NewProjection makes a projection that keeps only fields, or all but omit; at
// most one of the two may be given. Names are those of the record, or dotted
// names of the second level (orig.packets). Identity (schema, event_type,
// table, time, node, run, seq), gap and agent are always written: they may be
// named in fields and not in omit. With communityID the Community IDs are
// written too, made with seed (0 is the usual one); then fields need not name
// them, and if it does, only those that it names are written.
func NewProjection(fields, omit []string, communityID bool, seed uint16) (Projection, error) {
	p := Projection{community: communityID}
	if communityID {
		p.seed = seed
	}
	if len(fields) > 0 && len(omit) > 0 {
		return Projection{}, fmt.Errorf("fields and omit are both given: use one of them")
	}
	known := projectable()
	if len(fields) > 0 {
		kept, err := collect(known, "fields", fields, communityID)
		if err != nil {
			return Projection{}, err
		}
		for _, m := range known {
			p.hidden = p.hidden.or(m)
		}
		if kept.part&partCommunities == 0 {
			kept.part |= partCommunities
		}
		p.hidden = p.hidden.without(kept)
	}
	if len(omit) > 0 {
		left, err := collect(known, "omit", omit, true)
		if err != nil {
			return Projection{}, err
		}
		p.hidden = left
	}
	if !communityID {
		// Nobody sees the difference, so there should be none between equal projections.
		p.hidden.part &^= partCommunities
	}
	return p, nil
}

// collect joins what the names cover.
func collect(known map[string]mask, list string, names []string, communityID bool) (mask, error) {
	var sum mask
	for i, name := range names {
		m, ok := known[name]
		switch {
		case ok && !communityID && (name == "community_id" || name == "nat.community_id"):
			return sum, fmt.Errorf("%s[%d]: %s is only made where community_id is on", list, i, name)
		case ok:
			sum = sum.or(m)
		case isIdentity(name) && list == "fields":
		case isIdentity(name):
			return sum, fmt.Errorf("%s[%d]: %s is never left out", list, i, name)
		default:
			return sum, fmt.Errorf("%s[%d]: unknown field %q, did you mean %q?", list, i, name, nearest(known, name))
		}
	}
	return sum, nil
}

func isIdentity(name string) bool { return slices.Contains(identityNames[:], name) }

// splitName parts a dotted name.
func splitName(name string) (top, inner string) {
	top, inner, _ = strings.Cut(name, ".")
	return top, inner
}

// nearest gives the known name that takes the fewest edits to reach, the first
// of them in the alphabet.
func nearest(known map[string]mask, name string) string {
	const longest = 64 // a name is never longer, and the work grows with the square
	if len(name) > longest {
		name = name[:longest]
	}
	names := slices.Clone(identityNames[:])
	for n := range known {
		names = append(names, n)
	}
	slices.Sort(names)
	best, bestAt := "", 1<<30
	for _, n := range names {
		d := 2 * distance(name, n)
		if top, inner := splitName(n); inner != "" && !strings.Contains(name, ".") { // src for orig.src, rather than reply.src
			d = min(d, 2+2*distance(name, inner))
			if top == "orig" {
				d--
			}
		}
		if d < bestAt {
			best, bestAt = n, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two short names, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
