package ctnetlink

import "bytes"

// The bounds of an interner. Helpers and expectation functions are a dozen
// names; security contexts are as many as the host's policy has labels.
const (
	internEntries = 1024
	internBytes   = 256 << 10
)

// interner gives one string for equal bytes, so that a name that comes with
// every event is allocated once. It is bounded: a full table is emptied and
// begun anew, and strings that were given out stay valid.
type interner struct {
	table map[string]string
	held  int
}

// intern gives the string that b spells.
func (t *interner) intern(b []byte) string {
	if s, ok := t.table[string(b)]; ok {
		return s
	}
	if t.table == nil || len(t.table) == internEntries || t.held+len(b) > internBytes {
		t.table, t.held = make(map[string]string), 0
	}
	s := string(b)
	t.table[s] = s
	t.held += len(s)
	return s
}

// name reads an NLA_NUL_STRING; the NUL at its end may be missing.
func (t *interner) name(v []byte, to *string) error {
	if n := len(v); n > 0 && v[n-1] == 0 {
		v = v[:n-1]
	}
	if bytes.IndexByte(v, 0) >= 0 {
		return errString
	}
	*to = t.intern(v)
	return nil
}
