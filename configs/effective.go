package configs

import (
	"bytes"
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source/flow"
)

// Effective gives the whole configuration as it runs, as YAML: every key, the
// defaults too, connections written out in the sinks that use them, secrets and what
// headers like Authorization hold as ***. Load reads it back to the same Config, but refuses the ***.
func (c *Config) Effective() ([]byte, error) {
	r := raw{Node: c.Node, Meta: map[string]string{}, Source: rawOf(c.Source), Spool: c.Spool, NATSServer: c.natsServer, Admin: c.Admin}
	r.Control = rawControl{c.ControlConnection, c.Control}
	for _, p := range c.Meta {
		r.Meta[p.Key] = p.Value
	}
	top, all := mapping(), mapping()
	fields := map[string]reflect.Value{}
	addFields(fields, reflect.ValueOf(r))
	for _, key := range []string{"node", "meta", "source"} {
		put(top, key, render(fields[key]))
	}
	if c.connection != nil { // of control; those of sinks are written out there
		conn, named := mapping(), mapping()
		put(conn, "type", encoded("nats"))
		conn.Content = append(conn.Content, render(reflect.ValueOf(*c.connection)).Content...)
		put(named, c.ControlConnection, conn)
		put(top, "connections", named)
	}
	for i := range c.all {
		k := &c.all[i]
		n := render(reflect.ValueOf(*k))
		f, _ := k.Filter.(*flow.Filter)
		put(n, "filter", filter{f}.node())
		n.Content = append(n.Content, options(k).Content...)
		put(all, k.Name, n)
	}
	put(top, "sinks", all)
	for _, key := range []string{"spool", "control", "nats_server", "admin"} {
		put(top, key, render(fields[key]))
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(top); err != nil {
		return nil, fmt.Errorf("effective configuration: %w", err)
	}
	return out.Bytes(), nil
}

// options renders a sink's own keys; of a sink that uses the server inside the
// process, not those that say how to connect.
func options(k *sinks.Config) *yaml.Node {
	all := render(reflect.ValueOf(k.Options))
	if n, ok := k.Options.(*sinks.NATSOptions); !ok || !n.Embedded {
		return all
	}
	out := mapping()
	put(out, "connection", encoded(Embedded))
	for i := 0; i+1 < len(all.Content); i += 2 {
		if !isConnectionKey(all.Content[i].Value) {
			out.Content = append(out.Content, all.Content[i:i+2]...)
		}
	}
	return out
}

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

func put(n *yaml.Node, key string, value *yaml.Node) {
	n.Content = append(n.Content, encoded(key), value)
}

// A noder has a form of its own in YAML.
type noder interface{ node() *yaml.Node }

// render turns a value into YAML by its koanf tags.
func render(v reflect.Value) *yaml.Node {
	v = reflect.Indirect(v)
	switch x := v.Interface().(type) {
	case noder:
		return x.node()
	case time.Duration:
		return encoded(shortDuration(x))
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil {
			return encoded(err.Error())
		}
		return encoded(string(text))
	}
	switch v.Kind() {
	case reflect.Struct:
		n := mapping()
		renderFields(n, v)
		return n
	case reflect.Map:
		return renderMap(v)
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			n.Content = append(n.Content, render(v.Index(i)))
		}
		return n
	case reflect.String:
		return encoded(withoutPassword(v.String()))
	}
	return encoded(v.Interface())
}

func renderFields(n *yaml.Node, v reflect.Value) {
	for i := range v.NumField() {
		name, squash := tagOf(v.Type().Field(i))
		switch {
		case squash:
			renderFields(n, v.Field(i))
		case name == headersKey:
			put(n, name, render(withoutCredentials(v.Field(i))))
		case name != "":
			put(n, name, render(v.Field(i)))
		}
	}
}

// withoutCredentials hides the values of headers that hold secrets.
func withoutCredentials(headers reflect.Value) reflect.Value {
	out := map[string]string{}
	for name, value := range headers.Interface().(map[string]string) {
		if isCredential(name) && value != "" {
			value = redacted
		}
		out[name] = value
	}
	return reflect.ValueOf(out)
}

func renderMap(v reflect.Value) *yaml.Node {
	n := mapping()
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		put(n, k.String(), render(v.MapIndex(k)))
	}
	return n
}

// encoded writes a scalar; a text gets quotes where YAML would take it for
// something else.
func encoded(v any) *yaml.Node {
	n := &yaml.Node{}
	if err := n.Encode(v); err != nil {
		n.SetString(fmt.Sprint(v))
	}
	if strings.ContainsAny(n.Value, "\t\n") { // as a block of lines it could begin with what YAML refuses there
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// shortDuration writes 1m for 1m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// withoutPassword hides the user and password of a URL, whichever key it stands under;
// a password may hold an @ too.
func withoutPassword(s string) string {
	return regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^/\s]*@`).ReplaceAllString(s, "${1}"+redacted+"@")
}
