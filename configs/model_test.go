package configs

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
)

// docKey is one key as the documents show it. All of it comes from the loader:
// names, types and defaults from its structs, what is allowed from the faults
// that it finds in wrong values, the meaning from the reference.
type docKey struct {
	path    string // below its group: flush.count
	typ     reflect.Type
	def     string // as YAML in one line, "" where there is none
	meaning string
	allowed string   // as the loader says what it expected, "" for any value of the type
	words   []string // if only these
	example string   // the key's value, as YAML in one line
	section bool
}

// docGroup is the keys that stand in one place of a file.
type docGroup struct {
	title, where string
	kind         string // of sinks
	keys         []docKey
	refs         []string // where the reference has such keys
	file         func(path string, value any) map[string]any
}

// docModel is made once a test run: it asks the loader some thousand times.
var docModel = sync.OnceValues(func() ([]docGroup, error) { //nolint:gochecknoglobals // made once
	text, err := os.ReadFile("reference.yaml")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "configs-model")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	m := &modeller{file: filepath.Join(dir, "a.yaml"), comments: referenceComments(string(text))}
	groups := m.groups()
	for i := range groups {
		for j := range groups[i].keys {
			m.complete(&groups[i], &groups[i].keys[j])
		}
	}
	return groups, errors.Join(m.errs...)
})

func model(t *testing.T) []docGroup {
	t.Helper()
	groups, err := docModel()
	if err != nil {
		t.Fatal(err)
	}
	return groups
}

// referenceComments gives the comment of each key of the reference by its path.
func referenceComments(text string) map[string]string {
	d := parseDocument("reference.yaml", "", nil, []byte(text))
	lines := strings.Split(text, "\n")
	comments := map[string]string{}
	for path, place := range d.places {
		if _, comment, ok := strings.Cut(lines[place.Line-1], " # "); ok {
			comments[path] = strings.TrimSpace(comment)
		}
	}
	for _, line := range lines { // "# nats_server.leafnodes[].urls: what it is"
		if m := regexp.MustCompile(`^# ([a-z_.]+\[\][a-z_.]*): (.*)$`).FindStringSubmatch(line); m != nil {
			comments[m[1]] = m[2]
		}
	}
	return comments
}

// modeller asks the loader.
type modeller struct {
	file     string
	comments map[string]string
	errs     []error
}

func (m *modeller) groups() []docGroup {
	top := docGroup{title: "Top", where: "", file: func(path string, value any) map[string]any {
		return overlay(map[string]any{"sinks": map[string]any{"s": map[string]any{"type": "stdout"}}, "connections": modelConnections()}, nested(path, value))
	}}
	defaults := rawDefaults("")
	top.add("", reflect.ValueOf(defaults), "connections", "sinks")
	all := []docGroup{top}
	leaf := docGroup{title: "A leaf node", where: "nats_server.leafnodes[]", refs: []string{"nats_server.leafnodes[]", "sinks.bus"}, file: func(path string, value any) map[string]any {
		item := overlay(map[string]any{"urls": []any{"tls://hub.example.org"}}, nested(path, value))
		return top.file("nats_server", map[string]any{"leafnodes": []any{item}})
	}}
	leaf.add("", reflect.ValueOf(rawLeafnode{}))
	all = append(all, leaf)
	common, err := sinks.NewConfig("", "kafka")
	m.note("", err)
	sink := docGroup{title: "Every sink", where: "sinks.NAME", refs: []string{"sinks.archive", "sinks.stream"}, file: sinkFile("kafka", &top)}
	sink.add("", reflect.ValueOf(common))
	sink.add("", reflect.ValueOf(sinkKeys{}))
	all = append(all, sink)
	for _, kind := range slices.Sorted(maps.Keys(sinks.Kinds())) {
		g := docGroup{title: "Sinks of type " + kind, where: "sinks.NAME", kind: kind, refs: []string{"sinks." + map[string]string{"file": "archive", "kafka": "stream", "nats": "bus", "stdout": "screen"}[kind]}, file: sinkFile(kind, &top)}
		g.add("", reflect.ValueOf(sinks.Kinds()[kind]()))
		all = append(all, g)
	}
	return all
}

func modelConnections() map[string]any {
	return map[string]any{"k1": map[string]any{"type": "kafka", "brokers": []any{"a:1"}}, "hub": map[string]any{"type": "nats", "urls": []any{"nats://a"}}}
}

// sinkFile is a file with one sink of a kind, with what has no default.
func sinkFile(kind string, top *docGroup) func(string, any) map[string]any {
	needs := map[string]map[string]any{"file": {"path": "/var/log/f"}, "kafka": {"brokers": []any{"a:1"}, "topic": "t"}, "nats": {"urls": []any{"nats://a"}}}
	return func(path string, value any) map[string]any {
		s := overlay(map[string]any{"type": kind, "enabled": true}, needs[kind])
		out := top.file("sinks", nil)
		out["sinks"] = map[string]any{"s": overlay(s, nested(path, value)), "t": map[string]any{"type": "stdout"}}
		return out
	}
}

// nested puts a value below a dotted path.
func nested(path string, value any) map[string]any {
	steps := strings.Split(path, ".")
	for i := len(steps) - 1; i >= 0; i-- {
		value = map[string]any{steps[i]: value}
	}
	return value.(map[string]any)
}

// add lists the keys of a struct in their order.
func (g *docGroup) add(path string, v reflect.Value, without ...string) {
	v = reflect.Indirect(v)
	for i := range v.NumField() {
		name, squash := tagOf(v.Type().Field(i))
		switch {
		case squash:
			g.add(path, v.Field(i))
			continue
		case name == "" || slices.Contains(without, name):
			continue
		}
		f, at := v.Field(i), option.Below(path, name)
		section := f.Kind() == reflect.Struct && !isTextType(f.Type()) && f.Type() != reflect.TypeFor[filter]()
		k := docKey{path: at, typ: f.Type(), section: section}
		if !section {
			k.def = oneLine(f)
		}
		g.keys = append(g.keys, k)
		if section {
			g.add(at, f)
		}
	}
}

// oneLine is a value as YAML in one line.
func oneLine(v reflect.Value) string {
	n := render(v)
	if n.Kind == yaml.MappingNode {
		n.Style = yaml.FlowStyle
	}
	text, err := yaml.Marshal(n)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}

func (m *modeller) note(path string, err error) {
	if err != nil {
		m.errs = append(m.errs, fmt.Errorf("%s: %w", path, err))
	}
}

// complete finds out what is allowed, what it means, and an example.
func (m *modeller) complete(g *docGroup, k *docKey) {
	refs := g.refs
	if refs == nil {
		refs = []string{""}
	}
	for _, ref := range refs {
		at := option.Below(ref, k.path)
		if strings.HasSuffix(ref, "[]") {
			at = ref + "." + k.path
		}
		if k.meaning = m.comments[at]; k.meaning != "" {
			break
		}
	}
	if k.meaning == "" {
		m.errs = append(m.errs, fmt.Errorf("%s %s: the reference has no comment for it", g.title, k.path))
	}
	if k.section {
		return
	}
	m.probe(g, k)
	for _, c := range candidates(k) {
		if m.load(g, k.path, c) == nil {
			k.example = c
			return
		}
	}
	m.errs = append(m.errs, fmt.Errorf("%s %s: no example loads (%v): give one in modelExamples", g.title, k.path, m.load(g, k.path, candidates(k)[0])))
}

// load loads a file with the one key set, given as YAML in one line.
func (m *modeller) load(g *docGroup, path, value string) error {
	var v any
	if err := yaml.Unmarshal([]byte(value), &v); err != nil {
		return err
	}
	err := m.try(g.file(path, v))
	last := path[strings.LastIndexByte(path, '.')+1:]
	companions, ok := modelCompanions()[last]
	if err == nil || !ok {
		return err
	}
	var with map[string]any
	if err := yaml.Unmarshal([]byte(companions), &with); err != nil {
		return err
	}
	if section := parent(path); section != "" {
		with = nested(section, with)
	}
	if m.try(merged(g, overlay(with, nested(path, v)))) == nil {
		return nil
	}
	return err
}

// try loads a file.
func (m *modeller) try(file map[string]any) error {
	text, err := yaml.Marshal(file)
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.file, text, 0o600); err != nil {
		return err
	}
	_, err = Load(Input{File: m.file})
	return err
}

// merged is a file with several keys.
func merged(g *docGroup, keys map[string]any) map[string]any {
	file := map[string]any{}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		file = overlay(file, g.file(k, keys[k]))
	}
	return file
}

// modelCompanions are the keys beside which alone a key is right.
func modelCompanions() map[string]string {
	return map[string]string{
		"interim": "{track: true}", "enabled": "{connection: hub}",
		"mechanism": "{user: ferry, password_file: /etc/ctferry/password}",
		"user":      "{mechanism: scram-sha-512, password_file: /etc/ctferry/password}",
		"cert_file": "{key_file: /etc/ctferry/tls.key}", "key_file": "{cert_file: /etc/ctferry/tls.pem}",
		"ca_file": "{verify: true, cert_file: /etc/ctferry/tls.pem, key_file: /etc/ctferry/tls.key}",
		"verify":  "{ca_file: /etc/ctferry/ca.pem, cert_file: /etc/ctferry/tls.pem, key_file: /etc/ctferry/tls.key}",
	}
}

// faultAt is what the loader says of the key under a value, "" if nothing.
func (m *modeller) faultAt(g *docGroup, path, value string) string {
	var errs Errors
	if !errors.As(m.load(g, path, value), &errs) {
		return ""
	}
	for _, e := range errs {
		if e.Fault.Path == path || strings.HasSuffix(e.Fault.Path, "."+path) || strings.HasSuffix(e.Fault.Path, path+"[0]") {
			return e.Fault.Text
		}
	}
	return ""
}

// probe asks with values that are too small, too large, or no word that is known.
func (m *modeller) probe(g *docGroup, k *docKey) {
	for _, wrong := range wrongValues(k.typ) {
		text := m.faultAt(g, k.path, wrong)
		_, allowed, ok := strings.Cut(text, ": expected ")
		if !ok || strings.Contains(text, "no effect") || strings.HasPrefix(allowed, "a size such") {
			continue
		}
		k.allowed, _, _ = strings.Cut(allowed, ";")
		list := regexp.MustCompile(`^[a-z][a-z0-9_-]*(, [a-z][a-z0-9_-]*)*( or [a-z][a-z0-9_-]*)?$`)
		if strings.Contains(wrong, `"~`) && list.MatchString(k.allowed) {
			k.words = strings.Split(strings.ReplaceAll(k.allowed, " or ", ", "), ", ")
		}
		return
	}
}

func wrongValues(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return []string{"876000h", "1ns", "0s"}
	case reflect.TypeFor[option.Size]():
		return []string{"16000000TiB", "1B", "0"}
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return []string{"2000000000", "-1", "0"}
	case reflect.String:
		return []string{`"~?"`}
	case reflect.Slice:
		return []string{`["~?"]`}
	case reflect.Uint8, reflect.Uint16, reflect.Float64, reflect.Bool, reflect.Map, reflect.Struct:
		if isTextType(t) {
			return []string{`"~?"`}
		}
	}
	return nil
}
