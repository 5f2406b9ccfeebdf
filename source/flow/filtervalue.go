package flow

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// predicate reads a field's value or list of values.
func (r *filterReader) predicate(path string, f Field, v any) Predicate {
	p := Predicate{Field: f}
	items, isList := list(v)
	if !isList {
		items = []any{v}
	}
	switch {
	case len(items) == 0:
		r.faults.add(path, "an empty list matches nothing; expected %s", fields[f].want())
	case len(items) > MaxFilterValues:
		r.faults.add(path, "%d values are too many: at most %d", len(items), MaxFilterValues)
		return p
	}
	for i, item := range items {
		at := path
		if isList {
			at += "[" + strconv.Itoa(i) + "]"
		}
		r.value(at, &p, item)
	}
	p.canonical()
	return p
}

// value reads one scalar into p.
func (r *filterReader) value(path string, p *Predicate, v any) {
	info := &fields[p.Field]
	s, ok := scalar(v)
	if ok && info.kind == kindText {
		_, ok = v.(string)
	}
	if !ok {
		r.faults.add(path, "expected %s, not %s", info.want(), describe(v))
		return
	}
	if problem := r.parseValue(p, info, s); problem != "" {
		r.faults.add(path, "%s", problem)
	}
}

// parseValue adds the value that s spells to p, or says what is wrong with it.
func (r *filterReader) parseValue(p *Predicate, info *fieldInfo, s string) (problem string) {
	switch info.kind {
	case kindAddr:
		return p.addAddr(s)
	case kindText:
		return p.addText(s)
	case kindStatus:
		return p.addStatus(s)
	case kindState:
		return p.addState(s)
	case kindMark:
		return p.addMark(info, s)
	case kindLabel, kindLabels:
		if r.Label != nil {
			if bit, ok := r.Label(s); ok && bit <= maxLabel {
				p.Ranges = append(p.Ranges, Range{uint32(bit), uint32(bit)})
				return ""
			}
		}
		return p.addNumber(info, s)
	}
	if rs := wordRanges(p.Field, s); rs != nil {
		p.Ranges = append(p.Ranges, rs...)
		return ""
	}
	if info.kind == kindNumber {
		return p.addNumber(info, s)
	}
	return p.unknownWord(info, s)
}

func (p *Predicate) unknownWord(info *fieldInfo, s string) string {
	if p.Field == FieldEventType && (strings.EqualFold(s, "gap") || strings.EqualFold(s, "status")) {
		return fmt.Sprintf("%s records pass every filter", strings.ToLower(s))
	}
	if n := nearest(s, words(p.Field)); n != "" {
		return fmt.Sprintf("expected %s, not %q; did you mean %s?", info.want(), clip(s), n)
	}
	return fmt.Sprintf("expected %s, not %q", info.want(), clip(s))
}

func (p *Predicate) addNumber(info *fieldInfo, s string) string {
	from, to, isRange := strings.Cut(s, "-")
	lo, ok := parseNumber(from, info.max)
	hi := lo
	if ok && isRange {
		hi, ok = parseNumber(to, info.max)
	}
	switch {
	case !ok:
		return p.unknownWord(info, s)
	case hi < lo:
		return fmt.Sprintf("the range %s is reversed; expected %s-%s", s, to, from)
	}
	p.Ranges = append(p.Ranges, Range{lo, hi})
	return ""
}

// addMark reads a number, a range or value/mask.
func (p *Predicate) addMark(info *fieldInfo, s string) string {
	v, m, isMask := strings.Cut(s, "/")
	if !isMask {
		return p.addNumber(info, s)
	}
	value, ok1 := parseNumber(v, maxU32)
	mask, ok2 := parseNumber(m, maxU32)
	switch {
	case !ok1 || !ok2:
		return fmt.Sprintf("expected %s, not %q", info.want(), clip(s))
	case value&^mask != 0:
		return fmt.Sprintf("%s has value bits outside its mask and would never match", s)
	case mask == maxU32:
		p.Ranges = append(p.Ranges, Range{value, value})
	default:
		p.Masks = append(p.Masks, Masked{value, mask})
	}
	return ""
}

func (p *Predicate) addText(s string) string {
	if s == "" && p.Field != FieldNetNS {
		return "expected " + fields[p.Field].want() + ", not an empty one"
	}
	if !utf8.ValidString(s) {
		return "expected valid UTF-8"
	}
	p.Texts = append(p.Texts, s)
	return ""
}

// parseNumber reads a decimal or 0x number. A leading zero is refused: it would
// be octal to conntrack and to YAML 1.1, and decimal to a reader.
func parseNumber(s string, highest uint32) (uint32, bool) {
	base := 10
	if hex, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		base, s = 16, hex
	} else if len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	if s == "" || s[0] == '+' || s[0] == '-' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, base, 32)
	return uint32(n), err == nil && uint32(n) <= highest
}

// scalar spells a scalar of any type as a filter does.
func scalar(v any) (string, bool) {
	rv := reflect.ValueOf(v)
	switch {
	case rv.Kind() == reflect.String: // json.Number too
		return rv.String(), true
	case rv.Kind() == reflect.Bool:
		return strconv.FormatBool(rv.Bool()), true
	case !rv.IsValid():
		return "", false
	case rv.CanInt():
		return strconv.FormatInt(rv.Int(), 10), true
	case rv.CanUint():
		return strconv.FormatUint(rv.Uint(), 10), true
	case rv.CanFloat():
		if f := rv.Float(); f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return strconv.FormatInt(int64(f), 10), true
		}
		return strconv.FormatFloat(rv.Float(), 'g', -1, 64), true
	}
	return "", false
}

// canonical sorts the values and joins what overlaps or touches.
func (p *Predicate) canonical() {
	p.Ranges = joinRanges(p.Ranges)
	p.Addrs = joinAddrs(p.Addrs)
	slices.SortFunc(p.Within, func(a, b AddrMask) int { return strings.Compare(a.String(), b.String()) })
	p.Within = slices.Compact(p.Within)
	slices.Sort(p.Texts)
	p.Texts = slices.Compact(p.Texts)
	slices.SortFunc(p.Masks, func(a, b Masked) int {
		return compareUint(uint64(a.Mask)<<32|uint64(a.Value), uint64(b.Mask)<<32|uint64(b.Value))
	})
	p.Masks = slices.Compact(p.Masks)
}

func joinRanges(rs []Range) []Range {
	slices.SortFunc(rs, func(a, b Range) int { return compareUint(uint64(a.Lo), uint64(b.Lo)) })
	var out []Range
	for _, r := range rs {
		if n := len(out); n > 0 && uint64(r.Lo) <= uint64(out[n-1].Hi)+1 {
			out[n-1].Hi = max(out[n-1].Hi, r.Hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

func compareUint(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
