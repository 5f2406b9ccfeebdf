package flow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// String gives the canonical form, which is JSON, and YAML too: ParseFilter of
// it gives the same filter, and two filters that differ only in the order of
// their terms and values, or in how these are spelt, give the same text. It
// serves as a key where equal filters are to be computed once. A nil filter
// gives what an empty one gives.
func (f *Filter) String() string {
	if f == nil {
		return "{}"
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for _, s := range []struct {
		name  string
		terms []Term
	}{{"include", f.Include}, {"exclude", f.Exclude}} {
		if len(s.terms) == 0 {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:[", s.name)
		for i, t := range s.terms {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(t.String())
		}
		b.WriteByte(']')
	}
	b.WriteByte('}')
	return b.String()
}

// MarshalJSON gives the canonical form.
func (f Filter) MarshalJSON() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalJSON reads a filter as ParseFilter does; its error is Faults, or JSON's own.
func (f *Filter) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	g, err := ParseFilter(v)
	if err != nil {
		return err
	}
	*f = *g
	return nil
}

// String gives the term's canonical form.
func (t Term) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range t {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", t[i].Field, t[i].String())
	}
	b.WriteByte('}')
	return b.String()
}

// String gives the values' canonical form, a JSON scalar or list.
func (p *Predicate) String() string {
	items := p.items()
	if len(items) == 1 {
		return items[0]
	}
	return "[" + strings.Join(items, ",") + "]"
}

// items spells each value as JSON.
func (p *Predicate) items() (out []string) {
	switch {
	case p.Field == FieldNAT:
		return quoted(natWordsOf(p.Ranges))
	case p.Field == FieldStatus:
		return quoted(statusWordsOf(p.Masks))
	case p.Field == FieldState:
		return quoted(stateWords(p.States))
	}
	for _, r := range p.Ranges {
		out = append(out, p.rangeItems(r)...)
	}
	for _, m := range p.Masks {
		out = append(out, strconv.Quote(m.String()))
	}
	for i := range p.Addrs {
		out = append(out, strconv.Quote(p.Addrs[i].String()))
	}
	for i := range p.Within {
		out = append(out, strconv.Quote(p.Within[i].String()))
	}
	return append(out, quoted(p.Texts)...)
}

// rangeItems spells a range: by words where the field has nothing else.
func (p *Predicate) rangeItems(r Range) (out []string) {
	k := fields[min(p.Field, fieldCount-1)].kind
	if r.Lo != r.Hi && k != kindWord && k != kindBool {
		return []string{strconv.Quote(r.String())}
	}
	for n := uint64(r.Lo); n <= uint64(min(r.Hi, r.Lo+maxU8)); n++ {
		w := numberWord(p.Field, uint32(n))
		switch {
		case w == "":
			w = strconv.FormatUint(n, 10)
		case k != kindBool:
			w = strconv.Quote(w)
		}
		out = append(out, w)
	}
	return out
}

// String gives lo-hi, or the number.
func (r Range) String() string {
	if r.Lo == r.Hi {
		return strconv.FormatUint(uint64(r.Lo), 10)
	}
	return fmt.Sprintf("%d-%d", r.Lo, r.Hi)
}

// String gives value/mask in hexadecimal.
func (m Masked) String() string { return fmt.Sprintf("0x%x/0x%x", m.Value, m.Mask) }

// String gives the address, the prefix or the range.
func (r *AddrRange) String() string {
	if r.Lo == r.Hi {
		return r.Lo.In(r.Family).String()
	}
	if p, ok := r.Prefix(); ok {
		return p.String()
	}
	return r.Lo.In(r.Family).String() + "-" + r.Hi.In(r.Family).String()
}

// String gives address/mask.
func (m *AddrMask) String() string {
	return m.Value.In(m.Family).String() + "/" + m.Mask.In(m.Family).String()
}

func natWordsOf(rs []Range) (names []string) {
	set := setOf(rs)
	for _, w := range natWords {
		if s := setOf(w.set); set&s == s {
			names = append(names, w.name)
			set &^= s
		}
	}
	return names
}

// statusWordsOf spells what every one of ms asks for; ParseFilter makes only one.
func statusWordsOf(ms []Masked) (names []string) {
	for _, m := range ms {
		for n := range statusNames {
			if m.Value>>n&1 != 0 {
				names = append(names, statusNames[n])
				m.Value &^= 1 << n
				m.Mask &^= 1 << n
			}
		}
		if m.Mask&unset == unset {
			names = append(names, "UNSET")
			m.Mask &^= unset
		}
		if m.Mask&StatusSeenReply != 0 {
			names = append(names, "UNREPLIED")
			m.Mask &^= StatusSeenReply
		}
		if m.Mask != 0 {
			names = append(names, m.String())
		}
	}
	return names
}

// stateWords spells a set of states, each word once.
func stateWords(s States) (names []string) {
	for _, w := range stateNames(protosStates) {
		if v := statesOf(w); v.TCP&s.TCP|v.SCTP&s.SCTP|v.DCCP&s.DCCP != 0 {
			names = append(names, w)
		}
	}
	return names
}

func quoted(ss []string) []string {
	out := make([]string, len(ss))
	for i, s := range ss {
		text, _ := json.Marshal(s)
		out[i] = string(text)
	}
	return out
}

// canonicalTerms sorts terms by their text and leaves each in once.
func canonicalTerms(ts []Term) []Term {
	byText := make(map[string]Term, len(ts))
	for _, t := range ts {
		byText[t.String()] = t
	}
	texts := slices.Sorted(maps.Keys(byText))
	out := ts[:len(texts)]
	for i, text := range texts {
		out[i] = byText[text]
	}
	return out
}
