package configs

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/ctferry/ctferry/internal/option"
)

// textOf gives a scalar as it is written.
func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case plain:
		return string(v), true
	}
	return "", false
}

func isBool(text string) bool {
	return strings.EqualFold(text, "true") || strings.EqualFold(text, "false")
}

// leadingZero is what YAML 1.1 takes for octal and a person for decimal.
func leadingZero(text string) bool { return regexp.MustCompile(`^[-+]?0[0-9_]`).MatchString(text) }

// number reads what YAML takes for a number into an integer or a float.
func (d *decoder) number(path, text string, out reflect.Value) {
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil || leadingZero(text) {
		d.wrong(path, plain(text), out.Type())
		return
	}
	n := reflect.ValueOf(v)
	switch {
	case out.CanFloat() && n.CanFloat():
		out.SetFloat(n.Float())
	case out.CanFloat() && n.CanInt():
		out.SetFloat(float64(n.Int()))
	case out.CanInt() && n.CanInt() && !out.OverflowInt(n.Int()):
		out.SetInt(n.Int())
	case out.CanUint() && n.CanInt() && n.Int() >= 0 && !out.OverflowUint(uint64(n.Int())):
		out.SetUint(uint64(n.Int()))
	case out.CanUint() && n.CanUint() && !out.OverflowUint(n.Uint()):
		out.SetUint(n.Uint())
	default:
		d.wrong(path, plain(text), out.Type())
	}
}

// wrong adds the fault of a value of another type than its key's. A text in the place
// of keys of which one is a secret is likely to hold that, as in basic_auth: user:password,
// and so is one in the place of headers.
func (d *decoder) wrong(path string, got any, want reflect.Type) {
	is := word(got)
	if _, isText := got.(string); isText && (holdsSecret(want) || path == headersKey) {
		is = "a text"
	}
	d.faults.Add(path, fmt.Sprintf("expected %s, not %s", wanted(want), is))
}

func isTextType(t reflect.Type) bool {
	return t.Kind() == reflect.String || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// wanted names a type as a person who writes YAML would.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "a duration such as 200ms, 5s or 1h30m"
	case reflect.TypeFor[option.Size]():
		return "a size such as 64MiB"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Int8, reflect.Int16, reflect.Int32:
		return fmt.Sprintf("a whole number from %d to %d", int64(-1)<<(t.Bits()-1), int64(1)<<(t.Bits()-1)-1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-t.Bits()))
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list such as [a, b]"
	case reflect.Map:
		if t.Elem().Kind() == reflect.Interface {
			return "a mapping of keys to values"
		}
		return "a mapping of names to values"
	case reflect.Struct:
		if isTextType(t) {
			return "a text"
		}
		return "a mapping of keys to values"
	}
	return "a text"
}

// word says what a value is.
func word(v any) string {
	switch v := v.(type) {
	case nil:
		return "an empty value"
	case plain:
		if isBool(string(v)) {
			return string(v)
		}
		if leadingZero(string(v)) {
			return "the number " + string(v) + ", which begins with 0"
		}
		return "the number " + clip(string(v))
	case string:
		return "the text " + quote(v)
	case []any:
		return "a list"
	}
	return "a mapping"
}

// quote shows a text in a message, at most its beginning, and no password of a URL.
func quote(s string) string { return strconv.Quote(clip(withoutPassword(s))) }

func clip(s string) string {
	if len(s) <= 80 {
		return s
	}
	n := 80
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
