package configs

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ctferry/ctferry/internal/option"
)

// Bounds of a file: far above any configuration, far below what hurts.
const (
	maxFileSize = 4 << 20
	maxNodes    = 100_000
)

// document reads one YAML document into maps, noting where every key stands.
type document struct {
	name   string
	values map[string]any
	places places
	errs   Errors
	nodes  int
}

// readDocument reads a file. An empty one is an empty map.
func readDocument(name string) (*document, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFileSize {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxFileSize)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return parseDocument(name, text), nil
}

func parseDocument(name string, text []byte) *document {
	d := &document{name: name, values: map[string]any{}, places: places{}}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		d.errs = append(d.errs, syntaxError(name, err))
		return d
	}
	if len(root.Content) == 0 {
		return d
	}
	top := root.Content[0]
	d.places[""] = Place{name, top.Line, top.Column}
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return d
	}
	if top.Kind != yaml.MappingNode {
		d.fault(top, "", "expected a mapping of keys to values")
		return d
	}
	d.values = d.mapping(top, "")
	return d
}

// syntaxError takes the line out of the parser's message; it has no column.
func syntaxError(name string, err error) Error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	place := Place{Source: name}
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(text); m != nil {
		place.Line, _ = strconv.Atoi(m[1])
		place.Col = 1
		text = text[len(m[0]):]
	}
	return Error{place, option.Fault{Text: "not valid YAML: " + text}}
}

func (d *document) fault(n *yaml.Node, path, text string) {
	d.errs = append(d.errs, Error{Place{d.name, n.Line, n.Column}, option.Fault{Path: path, Text: text}})
}

func (d *document) mapping(n *yaml.Node, path string) map[string]any {
	out := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			d.merge(out, value, path)
			continue
		}
		if strings.HasPrefix(key.Value, "x-") {
			continue // room for anchors
		}
		at := option.Below(path, key.Value)
		if _, twice := out[key.Value]; twice && d.places[at].Line != 0 && d.places[at].Source == d.name {
			d.fault(key, at, fmt.Sprintf("stands twice, first at line %d", d.places[at].Line))
			continue
		}
		v := d.value(value, at)
		d.places[at] = Place{d.name, key.Line, key.Column}
		out[key.Value] = v
	}
	return out
}

// merge takes in what `<<: *anchor` names; keys beside it win.
func (d *document) merge(out map[string]any, n *yaml.Node, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for _, item := range n.Content {
			d.merge(out, item, path)
		}
	case yaml.MappingNode:
		for k, v := range d.mapping(n, path) {
			delete(d.places, option.Below(path, k))
			if _, ok := out[k]; !ok {
				out[k] = v
			}
		}
	default:
		d.fault(n, path, "expected a mapping after <<")
	}
}

func (d *document) value(n *yaml.Node, path string) any {
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.fault(n, path, fmt.Sprintf("more than %d values", maxNodes))
		}
		return nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		return d.value(n.Alias, path)
	case yaml.MappingNode:
		return d.mapping(n, path)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			at := fmt.Sprintf("%s[%d]", path, i)
			list[i] = d.value(item, at)
			d.places[at] = Place{d.name, item.Line, item.Column}
		}
		return list
	}
	v, err := scalar(n)
	if err != nil {
		d.fault(n, path, err.Error())
	}
	return v
}

func scalar(n *yaml.Node) (any, error) {
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return v, nil
}
