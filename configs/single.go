package configs

import (
	"reflect"
	"slices"
	"strings"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
)

// envPrefix begins every environment variable that is configuration.
const envPrefix = "CTFERRY_"

// addEnv takes CTFERRY_A__B=value as a.b; other variables are nobody's business.
func (l *layers) addEnv(kv string) {
	name, value, _ := strings.Cut(kv, "=")
	key, ok := strings.CutPrefix(name, envPrefix)
	if !ok {
		return
	}
	l.addOne(Place{Source: "environment " + name, origin: inEnvironment}, strings.Split(strings.ToLower(key), "__"), value)
}

// addSet takes a.b=value.
func (l *layers) addSet(kv string) {
	key, value, ok := strings.Cut(kv, "=")
	if !ok {
		l.refuse(Place{Source: "--set"}, "", "expected KEY=VALUE, such as node=edge-1")
		return
	}
	l.addOne(Place{Source: "--set " + key, origin: onCommandLine}, strings.Split(key, "."), value)
}

func (l *layers) refuse(place Place, path, text string) {
	l.errs = append(l.errs, Error{place, option.Fault{Path: path, Text: text}})
}

// addOne sets one key. Where the key is a text the value is taken as it stands;
// elsewhere it is read as YAML, so that numbers, lists and mappings can be given.
func (l *layers) addOne(place Place, steps []string, value string) {
	l.sources = append(l.sources, place.Source)
	path := strings.Join(steps, ".")
	if slices.Contains(steps, "") || len(steps) > maxDepth || len(path) > maxDepth*maxKey {
		l.refuse(place, "", "expected a key, such as node or sinks.archive.path")
		return
	}
	d := &document{root: value, places: places{path: place}}
	if !isText(steps) {
		d = parseDocument(place.Source, path, &place, []byte(value))
		l.errs = append(l.errs, d.errs...)
	}
	var values any = d.root
	for i := len(steps) - 1; i >= 0; i-- {
		values = map[string]any{steps[i]: values}
		above := place
		above.section = true
		if i > 0 {
			d.places[strings.Join(steps[:i], ".")] = above
		}
	}
	if err := l.add(values.(map[string]any), d.places); err != nil {
		l.refuse(place, path, err.Error())
	}
}

// isText tells whether the key is one that holds a text.
func isText(steps []string) bool {
	for _, t := range typesAt(steps) {
		if isTextType(t) {
			return true
		}
	}
	return false
}

// typesAt lists the types that a key may have: what a sink's key holds depends
// on the kind, which may not be known yet.
func typesAt(steps []string) []reflect.Type {
	roots := []reflect.Type{reflect.TypeFor[raw]()}
	if len(steps) > 2 && (steps[0] == "sinks" || steps[0] == "connections") {
		steps = steps[2:]
		roots = []reflect.Type{reflect.TypeFor[sinkKeys](), reflect.TypeFor[sinks.Config]()}
		for _, options := range sinks.Kinds() {
			roots = append(roots, reflect.TypeOf(options()))
		}
	}
	var found []reflect.Type
	for _, t := range roots {
		if t, ok := typeAt(t, steps); ok {
			found = append(found, t)
		}
	}
	return found
}

func typeAt(t reflect.Type, steps []string) (reflect.Type, bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(steps) == 0 {
		return t, true
	}
	if t.Kind() == reflect.Map {
		return typeAt(t.Elem(), steps[1:])
	}
	next, ok := keysOf(t)[steps[0]]
	if !ok {
		return nil, false
	}
	return typeAt(next, steps[1:])
}

// keysOf lists the keys of a struct by its koanf tags, embedded structs included.
func keysOf(t reflect.Type) map[string]reflect.Type {
	keys := map[string]reflect.Type{}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return keys
	}
	for i := range t.NumField() {
		name, squash := tagOf(t.Field(i))
		switch {
		case squash:
			for k, v := range keysOf(t.Field(i).Type) {
				keys[k] = v
			}
		case name != "":
			keys[name] = t.Field(i).Type
		}
	}
	return keys
}

// tagOf reads a field's koanf tag; no name means that it is no key.
func tagOf(f reflect.StructField) (name string, squash bool) {
	name, flags, _ := strings.Cut(f.Tag.Get("koanf"), ",")
	if name == "-" || !f.IsExported() {
		name = ""
	}
	return name, flags == "squash"
}
