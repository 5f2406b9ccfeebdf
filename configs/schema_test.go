package configs

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source/flow"
)

const schemaFile = "ctferry.schema.json"

type object = map[string]any

// TestSchema makes the schema of a configuration file from the loader's types.
func TestSchema(t *testing.T) {
	groups := model(t)
	named := map[string]*docGroup{}
	for i := range groups {
		named[groups[i].title] = &groups[i]
	}
	top := named["Top"].schema()
	props := top["properties"].(object)
	server := props["nats_server"].(object)["properties"].(object)
	server["leafnodes"] = object{"type": "array", "items": named["A leaf node"].schema(), "description": server["leafnodes"].(object)["description"]}
	kinds := slices.Sorted(maps.Keys(sinks.Kinds()))
	defs := object{"filter": filterSchema()}
	var ofSink, ofConnection []any
	for _, kind := range kinds {
		own := named["Sinks of type "+kind].schema()
		whole := named["Every sink"].schema()
		maps.Copy(whole["properties"].(object), own["properties"].(object))
		defs["sink_"+kind] = whole
		connection := named["Sinks of type "+kind].schema()
		connection["properties"].(object)["type"] = object{"const": kind}
		defs["connection_"+kind] = connection
		when := object{"properties": object{"type": object{"const": kind}}}
		ofSink = append(ofSink, object{"if": when, "then": object{"$ref": "#/$defs/sink_" + kind}})
		ofConnection = append(ofConnection, object{"if": when, "then": object{"$ref": "#/$defs/connection_" + kind}})
	}
	byName := func(all []any) object {
		entry := object{"type": "object", "required": []any{"type"}, "properties": object{"type": object{"enum": texts(kinds)}}, "allOf": all}
		return object{"type": []any{"object", "null"}, "additionalProperties": false, "patternProperties": object{"^x-": object{}, "^[a-z][a-z0-9_]*$": entry}}
	}
	props["sinks"], props["connections"] = byName(ofSink), byName(ofConnection)
	top["$schema"], top["$id"], top["title"], top["$defs"] = "https://json-schema.org/draft/2020-12/schema", "ctferry.schema.json", "ctferry configuration", defs
	text, err := json.MarshalIndent(top, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	sameGenerated(t, schemaFile, string(text)+"\n")
}

func texts(words []string) (all []any) {
	for _, w := range words {
		all = append(all, w)
	}
	return all
}

// schema is an object with the group's keys.
func (g *docGroup) schema() object {
	root := section()
	for i := range g.keys {
		k := &g.keys[i]
		at := root
		steps := strings.Split(k.path, ".")
		for _, s := range steps[:len(steps)-1] {
			at = at["properties"].(object)[s].(object)
		}
		s := section()
		if !k.section {
			s = k.schema()
		} else if reflect.PointerTo(k.typ).Implements(reflect.TypeFor[valueReader]()) {
			s["type"] = []any{"object", "boolean", "null"} // short for enabled
		}
		s["description"] = k.meaning
		at["properties"].(object)[steps[len(steps)-1]] = s
	}
	return root
}

func section() object {
	return object{"type": []any{"object", "null"}, "properties": object{}, "additionalProperties": false, "patternProperties": object{"^x-": object{}}}
}

// schema is what a key's value may be.
func (k *docKey) schema() object {
	s := typeSchema(k)
	var def any
	if err := yaml.Unmarshal([]byte(k.def), &def); err == nil && k.def != "" {
		s["default"] = def
	}
	if k.example != "" {
		var e any
		if err := yaml.Unmarshal([]byte(k.example), &e); err == nil {
			s["examples"] = []any{e}
		}
	}
	return s
}

func typeSchema(k *docKey) object {
	text := object{"type": []any{"string", "number", "boolean"}} // what YAML takes for a number may be a text
	words := object{"enum": wordsOf(k.words)}
	if k.def == `""` {
		words["enum"] = append(wordsOf(k.words), "")
	}
	switch k.typ {
	case reflect.TypeFor[time.Duration]():
		return object{"anyOf": []any{object{"type": "string", "pattern": `^(\+?([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$|^0$`}, object{"const": 0}}}
	case reflect.TypeFor[option.Size]():
		return object{"anyOf": []any{object{"type": "string", "pattern": `^[0-9]+ ?([KMGT]i)?B?$`}, object{"type": "integer", "minimum": 0}}}
	case reflect.TypeFor[filter]():
		return object{"$ref": "#/$defs/filter"}
	}
	switch {
	case isTextType(k.typ) && len(k.words) > 0:
		return words
	case isTextType(k.typ):
		return text
	case k.typ.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case k.typ.Kind() == reflect.Map:
		return object{"type": []any{"object", "null"}, "additionalProperties": object{"type": []any{"string", "number", "boolean"}}}
	case k.typ.Kind() == reflect.Slice && len(k.words) > 0:
		return object{"type": "array", "items": words}
	case k.typ.Kind() == reflect.Slice && isTextType(k.typ.Elem()):
		return object{"type": "array", "items": text}
	case k.typ.Kind() == reflect.Slice:
		return object{"type": "array"}
	}
	n := object{"type": "integer"}
	if m := regexp.MustCompile(`^(\d+) to (\d+)$`).FindStringSubmatch(k.allowed); m != nil {
		n["minimum"], _ = strconv.Atoi(m[1])
		n["maximum"], _ = strconv.Atoi(m[2])
	}
	return n
}

// wordsOf lists words; true and false may be written without quotes.
func wordsOf(words []string) (all []any) {
	for _, w := range words {
		all = append(all, w)
		if b, err := strconv.ParseBool(w); err == nil {
			all = append(all, b)
		}
		if w == "off" || w == "on" { // to a YAML 1.1 reader, which an editor may be
			all = append(all, w == "on")
		}
	}
	return all
}

// filterSchema knows the names of fields; values have a grammar of their own.
func filterSchema() object {
	fields := object{}
	for _, name := range flow.FieldNames() {
		fields[name] = object{"type": []any{"string", "number", "boolean", "array"}}
	}
	term := object{"type": "object", "properties": fields, "additionalProperties": false}
	terms := object{"anyOf": []any{object{"type": "array", "items": term}, term}}
	return object{"anyOf": []any{
		object{"type": "null"},
		object{"type": "object", "properties": object{"include": terms, "exclude": terms}, "additionalProperties": false},
		term,
	}}
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// valid checks a YAML document as an editor does.
func valid(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// TestSchemaAcceptsWhatTheLoaderDoes: the shipped files, every example of the
// document, what --print-effective prints, and random configurations.
func TestSchemaAcceptsWhatTheLoaderDoes(t *testing.T) {
	s := compiledSchema(t)
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	for _, f := range append(files, "testdata/effective.yaml") {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(t, s, text); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	for _, g := range model(t) {
		for _, k := range g.keys {
			if k.section {
				continue
			}
			var v any
			if err := yaml.Unmarshal([]byte(k.example), &v); err != nil {
				t.Fatal(err)
			}
			text, err := yaml.Marshal(g.file(k.path, v))
			if err != nil {
				t.Fatal(err)
			}
			if err := valid(t, s, text); err != nil {
				t.Errorf("%s %s: %v", g.title, k.path, err)
			}
		}
	}
	for seed := range uint64(200) {
		text, err := yaml.Marshal(randomConfig(rand.New(rand.NewPCG(seed, 1))))
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(t, s, text); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
	}
}

func TestSchemaRefusesMistakes(t *testing.T) {
	s := compiledSchema(t)
	for _, text := range []string{
		"nod: x\nsinks: {a: {type: stdout}}", "sinks: {a: {type: fil}}", "sinks: {a: {type: stdout, pth: /x}}", "sinks: {a: {type: file, brokers: [a:1]}}",
		"sinks: {A: {type: stdout}}", "sinks: {a: {path: /x}}", "source: {events: [born]}\nsinks: {a: {type: stdout}}", "source: {buffer: {size: lots}}",
		"source: {interim: 5}", "control: {watchers: -1}", "sinks: {a: {type: stdout, filter: {prot: tcp}}}", "connections: {k: {type: kafka, urls: [a]}}",
		"spool: {mode: sometimes}", "nats_server: {leafnodes: [{url: x}]}", "sinks: {a: {type: stdout, profile: cgn}}",
	} {
		if valid(t, s, []byte(text)) == nil {
			t.Errorf("accepted: %s", text)
		}
		if !strings.HasPrefix(text, "source: {b") && !strings.HasPrefix(text, "source: {i") { // of which the loader says more
			file(text).faults(t)
		}
	}
}

// The examples that editors open say where their schema is.
func TestFilesNameTheirSchema(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if first, _, _ := strings.Cut(string(text), "\n"); !strings.HasPrefix(first, "# yaml-language-server: $schema=") {
			t.Errorf("%s begins with %q", f, first)
		}
	}
}
