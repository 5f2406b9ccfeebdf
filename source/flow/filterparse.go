package flow

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// FilterParser reads filters from what YAML or JSON decodes to: map[string]any,
// lists, strings, numbers and booleans. The zero value is ready for use.
type FilterParser struct {
	// Label finds the bit number of a label by its name (connlabel.conf); nil
	// leaves bit numbers only.
	Label func(name string) (bit uint8, ok bool)
}

// ParseFilter reads a filter with a FilterParser that knows no label by name.
//
// v is {include: [term…], exclude: [term…]} or a bare term, which is short for
// one include term; nil and an empty map pass everything. A term is a map of
// field names to values, an AND; a value is a scalar or a list of scalars, an
// OR. Scalars are numbers (also "0x1f"), ranges ("1000-2000"), addresses,
// prefixes, address ranges ("10.0.0.1-10.0.0.9"), addresses under a mask that
// need be no prefix ("10.0.0.1/255.0.0.255"), words in any case, and for mark
// "value/mask", which holds if mark & mask == value. A status list and a labels
// list are an AND, as with conntrack -u and -l: every word must hold; UNREPLIED
// is SEEN_REPLY not set, UNSET none of the manual's words.
//
// No field needs another: sport without proto matches every protocol that has
// ports, and only those. What can never match is refused: a field that none of
// the protocols, families or tables that the term names has; a state that none
// of them knows; a prefix with host bits; a reversed range; mark bits outside
// their mask. The error is Faults; the filter comes back in canonical form.
func ParseFilter(v any) (*Filter, error) { return FilterParser{}.Parse(v) }

// Parse reads a filter; see ParseFilter.
func (p FilterParser) Parse(v any) (*Filter, error) {
	r := filterReader{FilterParser: p}
	f := r.filter(v)
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	return f, nil
}

// filterReader collects the faults of one parse.
type filterReader struct {
	FilterParser
	faults Faults
}

func (r *filterReader) filter(v any) *Filter {
	m, ok := v.(map[string]any)
	switch {
	case v == nil || ok && len(m) == 0:
		return &Filter{}
	case !ok:
		r.faults.add("", "expected {include: […], exclude: […]} or one term such as {proto: tcp}, not %s", describe(v))
		return nil
	}
	include, isInclude := m["include"]
	exclude, isExclude := m["exclude"]
	if !isInclude && !isExclude {
		return &Filter{Include: canonicalTerms([]Term{r.term("", m, "include", "exclude")})}
	}
	for _, k := range sortedKeys(m) {
		if k != "include" && k != "exclude" {
			r.faults.add(k, "cannot stand beside include or exclude; put it into a term of one of them")
		}
	}
	return &Filter{
		Include: canonicalTerms(r.terms("include", include)),
		Exclude: canonicalTerms(r.terms("exclude", exclude)),
	}
}

// terms reads a list of terms; one term may stand without its list.
func (r *filterReader) terms(path string, v any) []Term {
	if v == nil {
		return nil
	}
	if _, ok := v.(map[string]any); ok {
		return []Term{r.term(path, v)}
	}
	items, ok := list(v)
	if !ok {
		r.faults.add(path, "expected a list of terms such as [{proto: tcp}], not %s", describe(v))
		return nil
	}
	if len(items) > MaxFilterTerms {
		r.faults.add(path, "%d terms are too many: at most %d", len(items), MaxFilterTerms)
		return nil
	}
	var terms []Term
	for i, item := range items {
		terms = append(terms, r.term(path+"["+strconv.Itoa(i)+"]", item))
	}
	return terms
}

// term reads one term; also are names that may stand in its place and are
// offered for a misspelt field.
func (r *filterReader) term(path string, v any, also ...string) Term {
	m, ok := v.(map[string]any)
	if !ok || len(m) == 0 {
		r.faults.add(path, "expected a term with at least one field, such as {proto: tcp}, not %s", describe(v))
		return nil
	}
	before := len(r.faults)
	var t Term
	seen := map[Field]string{}
	for _, name := range sortedKeys(m) {
		at := within(path, name)
		f, ok := ParseField(name)
		if !ok {
			r.unknownField(at, name, also)
			continue
		}
		if other, twice := seen[f]; twice {
			r.faults.add(at, "is another name of %s, which the term has already", other)
			continue
		}
		seen[f] = name
		t = append(t, r.predicate(at, f, m[name]))
	}
	slices.SortFunc(t, func(a, b Predicate) int { return int(a.Field) - int(b.Field) })
	if len(r.faults) == before {
		r.contradictions(path, t, seen)
	}
	return t
}

func (r *filterReader) unknownField(path, name string, also []string) {
	if n := nearest(name, append(FieldNames(), also...)); n != "" {
		r.faults.add(path, "no such field; did you mean %s?", n)
		return
	}
	r.faults.add(path, "no such field; expected one of %s", strings.Join(FieldNames(), ", "))
}

func within(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// list gives v's items if it is a list of any type.
func list(v any) ([]any, bool) {
	if items, ok := v.([]any); ok {
		return items, true
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Slice && rv.Kind() != reflect.Array {
		return nil, false
	}
	items := make([]any, rv.Len())
	for i := range items {
		items[i] = rv.Index(i).Interface()
	}
	return items, true
}

// describe says what v is, for an error.
func describe(v any) string {
	if v == nil {
		return "nothing"
	}
	if s, ok := scalar(v); ok {
		return strconv.Quote(clip(s))
	}
	if items, ok := list(v); ok {
		if len(items) == 0 {
			return "an empty list"
		}
		return "a list"
	}
	if m, ok := v.(map[string]any); ok {
		if len(m) == 0 {
			return "an empty map"
		}
		return "a map"
	}
	return "a " + reflect.TypeOf(v).String()
}

// clip keeps an error message short whatever was written.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
