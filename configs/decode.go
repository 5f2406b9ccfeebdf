package configs

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// decode fills the struct that out points to from values, strictly: unknown
// keys, and values of another type than the key's, are faults. Paths are
// relative to values.
func decode(values map[string]any, out any) option.Faults {
	var fs option.Faults
	var meta mapstructure.Metadata
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		TagName: "koanf", Result: out, Metadata: &meta, MatchName: func(key, field string) bool { return key == field },
		DecodeHook: mapstructure.ComposeDecodeHookFunc(decodeFlow, decodeText, decodeDuration, decodeNumber),
	})
	if err != nil {
		fs.Add("", err.Error())
		return fs
	}
	collect(&fs, d.Decode(values))
	t := reflect.TypeOf(out)
	slices.Sort(meta.Unused)
	for _, path := range meta.Unused {
		name := path[strings.LastIndexByte(path, '.')+1:]
		known := slices.Sorted(maps.Keys(keysAt(t, strings.TrimSuffix(strings.TrimSuffix(path, name), "."))))
		fs.Add(path, "unknown key"+hint(name, known))
	}
	return fs
}

// collect turns the decoder's tree of errors into faults.
func collect(fs *option.Faults, err error) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			collect(fs, e)
		}
		return
	}
	var at *mapstructure.DecodeError
	if !errors.As(err, &at) {
		fs.Add("", err.Error())
		return
	}
	var inner option.Faults
	var typ *mapstructure.UnconvertibleTypeError
	switch {
	case errors.As(err, &inner):
		fs.Join(at.Name(), inner)
	case errors.As(err, &typ):
		fs.Add(at.Name(), wrongType(typ.Value, typ.Expected.Type()))
	default:
		fs.Add(at.Name(), at.Unwrap().Error())
	}
}

func wrongType(got any, want reflect.Type) string {
	return fmt.Sprintf("%v is %s: expected %s", got, typeWord(reflect.TypeOf(got)), typeWord(want))
}

// typeWord names a type as a person who writes YAML would.
func typeWord(t reflect.Type) string {
	if t == nil {
		return "empty"
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 5s"
	case t == reflect.TypeFor[option.Size]():
		return "a size such as 64MiB"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint8:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a text"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a mapping"
	}
	return t.String()
}

// decodeFlow reads the types that belong to package flow.
func decodeFlow(_, to reflect.Type, v any) (any, error) {
	switch to {
	case reflect.TypeFor[flow.Filter]():
		return parseFilter(v)
	case reflect.TypeFor[flow.Types]():
		return parseNames(v, flow.TypeNames(), flow.ParseType, func(ts []flow.Type) any { return flow.TypesOf(ts...) })
	case reflect.TypeFor[[]flow.Table]():
		return parseNames(v, []string{"conntrack", "expect"}, flow.ParseTable, func(ts []flow.Table) any { return ts })
	}
	return v, nil
}

// parseNames reads a list of words, or one word alone.
func parseNames[T any](v any, known []string, parse func(string) (T, bool), join func([]T) any) (any, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var fs option.Faults
	var out []T
	for i, item := range list {
		word, _ := item.(string)
		t, ok := parse(word)
		if !ok {
			fs.Add(fmt.Sprintf("[%d]", i), fmt.Sprintf("%v is not known: expected %s", item, strings.Join(known, ", ")))
			continue
		}
		out = append(out, t)
	}
	if len(fs) > 0 {
		return nil, fs
	}
	return join(out), nil
}

// decodeText reads types that are written as text; a bare number will do for a size.
func decodeText(from, to reflect.Type, v any) (any, error) {
	ptr := reflect.New(to)
	u, ok := ptr.Interface().(encoding.TextUnmarshaler)
	if !ok {
		return v, nil
	}
	switch from.Kind() {
	case reflect.String, reflect.Int, reflect.Int64, reflect.Uint64:
	default:
		return v, nil
	}
	if err := u.UnmarshalText([]byte(fmt.Sprint(v))); err != nil {
		return nil, err
	}
	return ptr.Elem().Interface(), nil
}

func decodeDuration(from, to reflect.Type, v any) (any, error) {
	if to != reflect.TypeFor[time.Duration]() {
		return v, nil
	}
	text, ok := v.(string)
	if !ok {
		return nil, errors.New(wrongType(v, to))
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return nil, fmt.Errorf("%q is not a duration: expected a number with its unit, such as 5s or 200ms", text)
	}
	return d, nil
}

// decodeNumber refuses what YAML reads as a number where a text is wanted and
// the other way round, in words of its own.
func decodeNumber(from, to reflect.Type, v any) (any, error) {
	if from == nil {
		return v, nil
	}
	isNumber := func(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Float64 }
	switch {
	case to.Kind() == reflect.String && from.Kind() != reflect.String,
		isNumber(to.Kind()) && !isNumber(from.Kind()) && from != to && to != reflect.TypeFor[flow.Types](),
		to.Kind() == reflect.Bool && from.Kind() != reflect.Bool:
		return nil, errors.New(wrongType(v, to))
	}
	return v, nil
}
