package control

import (
	"slices"
	"strings"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// Bind gives the request the verb and the table that its address says (the
// subject, over NATS), or refuses one that says something else.
func (q *Request) Bind(verb Verb, table Table) error {
	switch {
	case q.Verb != "" && q.Verb != verb:
		return invalid("verb", "is %s, and the request was sent to %s", q.Verb, verb)
	case q.Table != "" && q.Table != table:
		return invalid("table", "is %s, and the request was sent to %s", q.Table, table)
	}
	q.Verb, q.Table = verb, table
	return nil
}

// law says which members a verb takes on the tables that it knows, beside
// those that every verb takes. A member with a sign behind it is needed.
func law(v Verb, t Table) (takes []string, ok bool) {
	ct, expect := t == TableConntrack, t == TableExpect
	switch v {
	case VerbList:
		return []string{"family", "filter", "limit", "format"}, true
	case VerbZero:
		return []string{"family", "filter", "limit", "format", "dry_run"}, ct
	case VerbGet:
		return []string{"keys!", "format"}, ct || expect
	case VerbCount:
		return []string{"family", "filter"}, ct || expect
	case VerbStats:
		return nil, ct || expect
	case VerbWatch:
		return []string{"family", "filter", "types", "buffer", "format"}, ct || expect
	case VerbDelete:
		return []string{"family", "filter", "keys", "limit", "dry_run", "rows", "format"}, ct || expect
	case VerbUpdate:
		return []string{"family", "filter", "keys", "limit", "dry_run", "rows", "format", "change!"}, ct
	case VerbCreate:
		if expect {
			return []string{"entries!", "dry_run", "rows", "format"}, true
		}
		return []string{"entries!", "replace", "dry_run", "rows", "format"}, ct
	case VerbFlush:
		if expect {
			return []string{"helper", "dry_run"}, true
		}
		return []string{"family", "dry_run"}, ct
	}
	return nil, false
}

// given lists the members that the request has, of those that not every verb takes.
func (q *Request) given() (names []string) {
	for _, m := range [...]struct {
		name string
		has  bool
	}{
		{"family", q.Family != 0}, {"filter", q.Filter != nil}, {"limit", q.Limit != 0}, {"dry_run", q.DryRun}, {"rows", q.Rows},
		{"keys", len(q.Keys) > 0}, {"entries", len(q.Entries) > 0}, {"replace", q.Replace}, {"change", q.Change != nil},
		{"types", q.Types != 0}, {"buffer", q.Buffer != 0}, {"helper", q.Helper != ""}, {"format", q.Format != ""},
	} {
		if m.has {
			names = append(names, m.name)
		}
	}
	return names
}

// Validate refuses, by the name of the member, what the verb does not take on
// the table, what it lacks, and what is out of bounds. It does not judge
// whether the request may be carried out: that is Guard's. The error is an
// *Error of CodeInvalid.
func (q *Request) Validate() error {
	if _, ok := ParseVerb(string(q.Verb)); !ok {
		return invalid("verb", "expected %s", verbList())
	}
	if _, ok := ParseTable(string(q.Table)); !ok {
		return invalid("table", "expected %s", tableList())
	}
	takes, ok := law(q.Verb, q.Table)
	if !ok {
		return invalid("verb", "%s is not for table %s", q.Verb, q.Table)
	}
	for _, name := range q.given() {
		if !slices.Contains(takes, name) && !slices.Contains(takes, name+"!") {
			return invalid(name, "%s of table %s does not take it; it takes %s", q.Verb, q.Table, takesList(takes))
		}
	}
	for _, name := range takes {
		if name, needed := strings.CutSuffix(name, "!"); needed && !slices.Contains(q.given(), name) {
			return invalid(name, "%s of table %s needs it", q.Verb, q.Table)
		}
	}
	return q.validateValues()
}

func takesList(takes []string) string {
	if len(takes) == 0 {
		return "nothing more"
	}
	return strings.ReplaceAll(strings.Join(takes, ", "), "!", "")
}

// validateValues looks at what is there.
func (q *Request) validateValues() error {
	switch {
	case q.Timeout < 0:
		return invalid("timeout", "is %v, expected a duration that is not negative", q.Timeout)
	case len(q.ID) > MaxID || strings.ContainsFunc(q.ID, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return invalid("request", "expected at most %d letters, digits and signs, without blanks", MaxID)
	case len(q.NetNS) > maxName || strings.ContainsAny(q.NetNS, "/\x00"):
		return invalid("netns", "expected the name of a namespace, without /")
	case q.Family != 0 && q.Family != flow.IPv4 && q.Family != flow.IPv6:
		return invalid("family", "expected ipv4 or ipv6")
	case q.Limit < 0:
		return invalid("limit", "is %d, expected a number that is not negative", q.Limit)
	case q.Buffer < 0:
		return invalid("buffer", "is %d, expected a number of bytes", q.Buffer)
	case q.Types&^flow.TypesOf(flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy) != 0:
		return invalid("types", "expected new, update and destroy")
	case len(q.Helper) > maxHelper:
		return invalid("helper", "expected at most %d bytes", maxHelper)
	case q.Filter != nil && len(q.Keys) > 0:
		return invalid("keys", "stands beside filter; expected one of the two")
	case q.Family != 0 && len(q.Keys) > 0:
		return invalid("family", "stands beside keys, which have their own")
	case q.Limit != 0 && len(q.Keys) > 0:
		return invalid("limit", "stands beside keys, whose number is known")
	case len(q.Keys) > MaxKeys:
		return invalid("keys", "%d are too many: at most %d", len(q.Keys), MaxKeys)
	case len(q.Entries) > MaxEntries:
		return invalid("entries", "%d are too many: at most %d", len(q.Entries), MaxEntries)
	}
	if _, ok := encode.Formats()[q.Format]; q.Format != "" && !ok {
		return invalid("format", "expected json, xml or protobuf, not %q", clip(q.Format))
	}
	for i := range q.Keys {
		if err := q.validateKey(at("keys", i), &q.Keys[i]); err != nil {
			return err
		}
	}
	for i := range q.Entries {
		if err := q.validateEntry(at("entries", i), &q.Entries[i]); err != nil {
			return err
		}
	}
	return q.validateChange()
}

func (q *Request) validateKey(path string, k *Key) error {
	switch {
	case k.Conntrack != nil && k.Expect != nil || k.Conntrack == nil && k.Expect == nil:
		return invalid(path, "expected one key")
	case q.Table == TableExpect && k.Expect == nil:
		return invalid(path, "expected the tuple of an expectation (tuple), which table expect has")
	case q.Table != TableExpect && k.Conntrack == nil:
		return invalid(path, "expected orig or reply, which table %s has", q.Table)
	case k.Expect != nil:
		return checkTuple(below(path, "tuple"), &k.Expect.Tuple)
	case k.Conntrack.Reply:
		return checkTuple(below(path, "reply"), &k.Conntrack.Tuple)
	}
	return checkTuple(below(path, "orig"), &k.Conntrack.Tuple)
}

func (q *Request) validateEntry(path string, n *Entry) error {
	e := n.Event
	if e == nil {
		return invalid(path, "expected a record")
	}
	if e.Table != flow.TableUnspecified && e.Table != q.Table.Flow() {
		return invalid(below(path, "table"), "is %s, and the request is about %s", e.Table, q.Table)
	}
	if q.Table == TableExpect {
		return validateExpect(path, n)
	}
	if !e.Got(flow.HasOrig) {
		return invalid(below(path, "orig"), "is absent")
	}
	if err := checkTuple(below(path, "orig"), &e.Orig); err != nil {
		return err
	}
	if !e.Got(flow.HasReply) {
		return invalid(below(path, "reply"), "is absent")
	}
	if err := checkTuple(below(path, "reply"), &e.Reply); err != nil {
		return err
	}
	if !e.Got(flow.HasTimeout) {
		return invalid(below(path, "timeout"), "is absent; expected seconds")
	}
	return nil
}

func validateExpect(path string, n *Entry) error {
	e := n.Event
	path = below(path, "expect")
	switch {
	case !e.Got(flow.HasExpect) || e.Extra == nil:
		return invalid(path, "is absent")
	case n.SrcNAT != nil || n.DstNAT != nil:
		return invalid(path, "has its own nat; src_nat and dst_nat are for table conntrack")
	}
	x := &e.Extra.Expect
	for _, t := range [...]struct {
		name string
		has  flow.ExpectHas
		t    *flow.Tuple
	}{{"tuple", flow.HasExpectTuple, &x.Tuple}, {"mask", flow.HasExpectMask, &x.Mask}, {"master", flow.HasExpectMaster, &x.Master}} {
		if !x.Got(t.has) {
			return invalid(below(path, t.name), "is absent")
		}
		if t.name == "mask" {
			continue // the kernel reads what it has
		}
		if err := checkTuple(below(path, t.name), t.t); err != nil {
			return err
		}
	}
	return nil
}

func (q *Request) validateChange() error {
	c := q.Change
	if c == nil {
		return nil
	}
	switch {
	case *c == (Change{}):
		return invalid("change", "expected something to change")
	case c.Helper != nil && len(*c.Helper) > maxHelper:
		return invalid("change.helper", "expected at most %d bytes", maxHelper)
	}
	protocols := 0
	for _, of := range [...]bool{c.TCPState != nil, c.SCTPState != nil || c.OrigVTag != nil || c.ReplyVTag != nil, c.DCCPState != nil || c.DCCPRole != nil} {
		if of {
			protocols++
		}
	}
	if protocols > 1 {
		return invalid("change", "has values of %d protocols; an entry has one", protocols)
	}
	return nil
}
