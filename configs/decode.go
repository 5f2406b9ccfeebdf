package configs

import (
	"encoding"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/option"
)

// A valueReader reads what is no text: a filter has a grammar of its own.
type valueReader interface{ readValue(v any) error }

// decoder fills structs from maps, strictly: unknown keys, and values of
// another type than the key's, are faults.
type decoder struct{ faults option.Faults }

// decode fills the structs that outs point to from values, each key where it
// is known, and gives every fault with its path below values. Keys that begin
// with x- are for anchors.
func decode(values map[string]any, outs ...any) option.Faults {
	var d decoder
	vs := make([]reflect.Value, len(outs))
	for i, out := range outs {
		vs[i] = reflect.ValueOf(out)
	}
	d.structs("", values, vs...)
	return d.faults
}

func (d *decoder) structs(path string, values map[string]any, outs ...reflect.Value) {
	fields := map[string]reflect.Value{}
	for _, out := range outs {
		addFields(fields, reflect.Indirect(out))
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		at := option.Below(path, key)
		field, ok := fields[key]
		switch {
		case ok:
			d.value(at, values[key], field)
		case !isAnchor(key):
			d.faults.Add(at, "unknown key"+hint(key, slices.Collect(maps.Keys(fields))))
		}
	}
}

// isAnchor tells whether a key is only there to hold anchors.
func isAnchor(key string) bool { return strings.HasPrefix(key, "x-") }

func addFields(fields map[string]reflect.Value, v reflect.Value) {
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		name, squash := tagOf(v.Type().Field(i))
		switch {
		case squash:
			addFields(fields, v.Field(i))
		case name != "":
			fields[name] = v.Field(i)
		}
	}
}

func (d *decoder) value(path string, v any, out reflect.Value) {
	switch ptr := out.Addr().Interface().(type) {
	case valueReader:
		d.faults.Join(path, ptr.readValue(withoutAnchors(v)))
		return
	case encoding.TextUnmarshaler:
		if text, ok := textOf(v); !ok {
			d.wrong(path, v, out.Type())
		} else if err := ptr.UnmarshalText([]byte(text)); err != nil {
			d.faults.Add(path, explained(ptr, text, err))
		}
		return
	}
	switch out.Kind() {
	case reflect.Interface:
		if v != nil {
			out.Set(reflect.ValueOf(v))
		}
	case reflect.Struct:
		if m, ok := d.asMap(path, v, out); ok {
			d.structs(path, m, out)
		}
	case reflect.Map:
		if m, ok := d.asMap(path, v, out); ok {
			d.mapping(path, m, out)
		}
	case reflect.Slice:
		d.list(path, v, out)
	default:
		d.scalar(path, v, out)
	}
}

// explained says what was wrong with a text, in our own words where the type's
// are for programmers.
func explained(out any, text string, err error) string {
	if _, ok := out.(*netip.Prefix); ok {
		return fmt.Sprintf("%s is no prefix: expected one such as 10.0.0.0/8 or 2001:db8::/32", quote(text))
	}
	return err.Error()
}

// asMap takes an empty value for an empty section.
func (d *decoder) asMap(path string, v any, out reflect.Value) (map[string]any, bool) {
	m, ok := v.(map[string]any)
	if !ok && v != nil {
		d.wrong(path, v, out.Type())
		return nil, false
	}
	return m, true
}

// mapping replaces a map. In a map of texts every key is data.
func (d *decoder) mapping(path string, values map[string]any, out reflect.Value) {
	if len(values) == 0 {
		out.SetZero()
		return
	}
	made := reflect.MakeMap(out.Type())
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if isAnchor(key) && out.Type().Elem().Kind() == reflect.Map {
			continue
		}
		item := reflect.New(out.Type().Elem()).Elem()
		d.value(option.Below(path, key), values[key], item)
		made.SetMapIndex(reflect.ValueOf(key), item)
	}
	out.Set(made)
}

// list replaces a list; an empty one is nil.
func (d *decoder) list(path string, v any, out reflect.Value) {
	items, ok := v.([]any)
	if !ok {
		d.wrong(path, v, out.Type())
		return
	}
	if len(items) == 0 {
		out.SetZero()
		return
	}
	made := reflect.MakeSlice(out.Type(), len(items), len(items))
	for i, item := range items {
		d.value(fmt.Sprintf("%s[%d]", path, i), item, made.Index(i))
	}
	out.Set(made)
}

func (d *decoder) scalar(path string, v any, out reflect.Value) {
	text, ok := textOf(v)
	_, isPlain := v.(plain)
	switch kind := out.Kind(); {
	case !ok:
		d.wrong(path, v, out.Type())
	case out.Type() == reflect.TypeFor[time.Duration]():
		d.duration(path, text, out)
	case kind == reflect.String && strings.Contains(text, redacted+"@"):
		d.faults.Add(path, fmt.Sprintf("%s stands for a password that was not printed: give the password itself in a key of its own", redacted))
	case kind == reflect.String:
		out.SetString(text)
	case kind == reflect.Bool && isPlain && isBool(text):
		out.SetBool(strings.EqualFold(text, "true"))
	case isPlain && out.CanInt() || isPlain && out.CanUint() || isPlain && out.CanFloat():
		d.number(path, text, out)
	default:
		d.wrong(path, v, out.Type())
	}
}

func (d *decoder) duration(path, text string, out reflect.Value) {
	t, err := time.ParseDuration(text)
	if err != nil || t < 0 {
		want := wanted(out.Type())
		if n, isDays := strings.CutSuffix(text, "d"); isDays && n != "" && strings.Trim(n, "0123456789") == "" {
			want += "; a day is 24h"
		}
		d.faults.Add(path, fmt.Sprintf("%s: expected %s", quote(text), want))
		return
	}
	out.SetInt(int64(t))
}
