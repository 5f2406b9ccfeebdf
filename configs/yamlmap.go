package configs

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/ctferry/ctferry/internal/option"
)

// pair is a key of a mapping with its value.
type pair struct {
	name       string
	key, value *yaml.Node
}

func (d *document) mapping(n *yaml.Node, path string, depth int) map[string]any {
	if tag := n.ShortTag(); tag != "!!map" {
		d.unknownTag(n, path, tag)
		return nil
	}
	out := map[string]any{}
	for _, p := range d.pairs(n, path, depth, map[string]bool{}) {
		at := option.Below(path, p.name)
		out[p.name] = d.value(p.value, at, depth+1)
		d.place(at, p.key, p.value)
	}
	return out
}

// pairs lists a mapping's own keys and then what it merges in, without those
// that are taken: a mapping's own keys win over merged ones.
func (d *document) pairs(n *yaml.Node, path string, depth int, taken map[string]bool) []pair {
	var all []pair
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		name, ok := d.key(key, path)
		if !ok || isMerge(key) {
			continue
		}
		if line, twice := first[name]; twice {
			d.fault(key, option.Below(path, name), fmt.Sprintf("stands twice, first at line %d", line))
			continue
		}
		first[name] = key.Line
		if !taken[name] {
			taken[name] = true
			all = append(all, pair{name, key, n.Content[i+1]})
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if isMerge(n.Content[i]) {
			all = append(all, d.merge(n.Content[i+1], path, depth+1, taken)...)
		}
	}
	return all
}

// merge lists what `<<: *anchor` or a list of anchors brings; the earlier wins.
func (d *document) merge(n *yaml.Node, path string, depth int, taken map[string]bool) []pair {
	if d.full(n, path, depth) {
		return nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		if d.open[n.Alias] {
			d.fault(n, path, fmt.Sprintf("*%s stands inside of what it names", n.Value))
			return nil
		}
		d.open[n.Alias] = true
		defer delete(d.open, n.Alias)
		return d.merge(n.Alias, path, depth+1, taken)
	case yaml.SequenceNode:
		var all []pair
		for _, item := range n.Content {
			all = append(all, d.merge(item, path, depth+1, taken)...)
		}
		return all
	case yaml.MappingNode:
		d.weight += nodeWeight * len(n.Content)
		return d.pairs(n, path, depth, taken)
	}
	d.fault(n, path, "expected a mapping after <<")
	return nil
}

func isMerge(key *yaml.Node) bool { return key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" }

// key reads a key's name.
func (d *document) key(n *yaml.Node, path string) (string, bool) {
	at := n
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind != yaml.ScalarNode:
		d.fault(at, path, "expected a name as a key, not a list or a mapping")
	case n.Value == "":
		d.fault(at, path, "expected a name as a key, not an empty text")
	case len(n.Value) > maxKey:
		d.fault(at, path, fmt.Sprintf("a key of %d bytes is too long: expected at most %d", len(n.Value), maxKey))
	default:
		return n.Value, true
	}
	return "", false
}
