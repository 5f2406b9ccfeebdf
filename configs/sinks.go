package configs

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source/flow"
)

// sinks builds every sink, disabled ones too: they are checked and not run.
func (b *builder) sinks(cfg *Config, r raw) {
	for _, name := range slices.Sorted(maps.Keys(r.Connections)) {
		if !isAnchor(name) {
			b.connection(name, r.Connections[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Sinks)) {
		c, ok := b.sink(name, r)
		if !ok {
			continue
		}
		cfg.all = append(cfg.all, c)
		if c.Enabled {
			cfg.Sinks = append(cfg.Sinks, c)
		}
	}
	switch {
	case b.client:
	case len(r.Sinks) == 0 && len(b.errs) == 0:
		b.judge("", option.Faults{{Path: "sinks", Text: "there is none: expected at least one, such as out: {type: stdout}"}})
	case len(cfg.Sinks) == 0 && len(cfg.all) == len(r.Sinks) && len(cfg.all) > 0:
		b.faults.Add("sinks", "none is enabled: expected at least one")
	}
}

// sink decodes one sink: its own keys over those of its connection.
func (b *builder) sink(name string, r raw) (sinks.Config, bool) {
	path, values := "sinks."+name, r.Sinks[name]
	kind, ok := b.kind(path, values)
	if !ok {
		return sinks.Config{}, false
	}
	c, err := sinks.NewConfig(name, kind)
	if err != nil {
		b.faults.Join(path, err)
		return c, false
	}
	conn, over, ok := b.connected(path, kind, values, r)
	preset(&c, over)
	passes, _ := c.Filter.(*flow.Filter)
	keys := sinkKeys{Filter: filter{passes}}
	fs := decode(over, &c, c.Options, &keys)
	if keys.Connection == Embedded && ok {
		fs = append(fs, newOnes(fs, b.embed(path, over, &r, c.Options))...)
	}
	if ok { // what a missing connection would have brought cannot be missed
		var found option.Faults
		found.Join("", c.Validate())
		fs = append(fs, newOnes(fs, located(found))...)
		fs = append(fs, newOnes(fs, b.secrets(path, conn, c.Options, fs))...)
	}
	explain(fs, kind)
	for _, f := range fs {
		b.attribute(path, conn, f)
	}
	c.Filter = nil
	if f := keys.Filter.Filter; f != nil {
		if b.filters[f.String()] == nil {
			b.filters[f.String()] = f
		}
		c.Filter = b.filters[f.String()]
	}
	return c, ok && len(fs) == 0
}

// preset lays the profile that the sink names, if it is one, over the defaults.
// Fields of a profile give way to omit: the two exclude one another.
func preset(c *sinks.Config, values map[string]any) {
	name, _ := textOf(values["profile"])
	lay, ok := sinks.Profiles()[name]
	if !ok {
		return
	}
	lay(c)
	if has(values, "omit") && !has(values, "fields") {
		c.Fields = nil
	}
}

// kind reads the type of a sink or a connection.
func (b *builder) kind(path string, values map[string]any) (string, bool) {
	v, ok := values["type"]
	text, isText := textOf(v)
	switch {
	case !ok:
		b.judge(path, option.Faults{{Path: "type", Text: "missing: expected " + strings.Join(slices.Sorted(maps.Keys(sinks.Kinds())), ", ")}})
	case !isText:
		b.faults.Add(path+".type", "expected a text, not "+word(v))
	}
	return text, ok && isText
}

// connected lays a sink's keys over those of the connection that it names.
func (b *builder) connected(path, kind string, values map[string]any, r raw) (name string, over map[string]any, ok bool) {
	v, named := values["connection"]
	name, isText := textOf(v)
	if !named || !isText {
		return "", values, !named // decode says what is wrong with it
	}
	conn, ok := r.Connections[name]
	if name == Embedded {
		return "", values, b.fits(path, name, "nats", kind)
	}
	if !ok || isAnchor(name) {
		b.faults.Add(path+".connection", fmt.Sprintf("%s is no connection%s", quote(name), hint(name, slices.Collect(maps.Keys(r.Connections)))))
		return "", values, false
	}
	t, ok := textOf(conn["type"])
	if !ok || !b.fits(path, name, t, kind) {
		return "", values, false
	}
	return name, overlay(conn, values), true
}

// fits reports whether a connection of type t may serve a sink of type kind.
func (b *builder) fits(path, name, t, kind string) bool {
	if t != kind {
		b.faults.Add(path+".connection", fmt.Sprintf("connection %s is of type %s and the sink of type %s: expected the same", name, t, kind))
	}
	return t == kind
}

// overlay merges two mappings, deeply; upper wins.
func overlay(lower, upper map[string]any) map[string]any {
	out := maps.Clone(lower)
	for k, v := range upper {
		below, isMap := out[k].(map[string]any)
		if above, ok := v.(map[string]any); ok && isMap {
			v = overlay(below, above)
		}
		out[k] = v
	}
	return out
}

// connection checks one by itself, whether a sink uses it or not. What it
// lacks is the matter of the sinks that use it.
func (b *builder) connection(name string, values map[string]any) {
	path := "connections." + name
	if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(name) {
		b.faults.Add(path, fmt.Sprintf("%s is no name for a connection: expected a-z, then a-z, 0-9 and _", quote(name)))
	}
	if name == Embedded {
		b.faults.Add(path, "is the name of the server inside this process (section nats_server): choose another")
		return
	}
	kind, ok := b.kind(path, values)
	if !ok {
		return
	}
	c, err := sinks.NewConfig("connection", kind)
	if err != nil {
		b.faults.Join(path, err)
		return
	}
	own := maps.Clone(values)
	delete(own, "type")
	fs := decode(own, c.Options)
	var found option.Faults
	found.Join("", c.Options.Validate())
	found = append(found, b.secrets(path, "", c.Options, found)...)
	for _, f := range newOnes(fs, found) {
		if key, _, _ := strings.Cut(f.Path, "."); has(own, strings.TrimRight(key, "[]0123456789")) {
			fs = append(fs, f)
		}
	}
	explain(fs, kind)
	for i := range fs {
		if isUnknown(fs[i]) && isSinkKey(fs[i].Path) {
			fs[i].Text = "unknown key: it belongs to a sink, not to a connection"
		}
	}
	b.faults.Join(path, fs.Err())
}

// attribute adds a sink's fault where its key was set: in the sink, or in its
// connection, which may have been told already.
func (b *builder) attribute(path, conn string, f option.Fault) {
	full := option.Below(path, f.Path)
	if conn != "" {
		_, inSink := b.places.near(full)
		_, inConn := b.places.near(option.Below("connections."+conn, f.Path))
		if len(inConn)-len("connections."+conn) > len(inSink)-len(path) {
			b.judge("connections."+conn, option.Faults{f})
			return
		}
	}
	b.faults.Add(full, f.Text)
}

// located takes the key out of a fault's text where the text begins with it.
func located(fs option.Faults) option.Faults {
	key := regexp.MustCompile(`^((?:fields|omit)(?:\[\d+\])?): `)
	for i, f := range fs {
		if m := key.FindStringSubmatch(f.Text); f.Path == "" && m != nil {
			fs[i] = option.Fault{Path: m[1], Text: f.Text[len(m[0]):]}
		}
	}
	return fs
}

func isUnknown(f option.Fault) bool { return strings.HasPrefix(f.Text, "unknown key") }

func isSinkKey(key string) bool {
	_, common := keysOf(reflect.TypeFor[sinks.Config]())[key]
	_, ours := keysOf(reflect.TypeFor[sinkKeys]())[key]
	return common || ours
}

// explain says of an unknown key which other kinds have it.
func explain(fs option.Faults, kind string) {
	for i, f := range fs {
		if !isUnknown(f) {
			continue
		}
		var others []string
		for other, options := range sinks.Kinds() {
			if _, ok := keysOf(reflect.TypeOf(options()))[f.Path]; ok && other != kind {
				others = append(others, other)
			}
		}
		if len(others) > 0 {
			slices.Sort(others)
			fs[i].Text = fmt.Sprintf("unknown key for type %s: it belongs to type %s", kind, strings.Join(others, " and "))
		}
	}
}
