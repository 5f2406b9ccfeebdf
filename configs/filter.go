package configs

import (
	"errors"

	"go.yaml.in/yaml/v3"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// filter is a key that holds a filter. One that passes everything is nil.
type filter struct{ *flow.Filter }

// readValue reads a filter; its faults keep their paths.
func (f *filter) readValue(v any) error {
	parsed, err := flow.ParseFilter(v)
	if err == nil {
		f.Filter = nil
		if !parsed.IsAll() {
			f.Filter = parsed
		}
		return nil
	}
	var faults flow.Faults
	if !errors.As(err, &faults) {
		return err
	}
	var fs option.Faults
	for _, fault := range faults {
		fs.Add(fault.Path, fault.Text)
	}
	return fs
}

// node gives the canonical form, which is JSON and so YAML too, in YAML's manner.
func (f filter) node() *yaml.Node {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(f.String()), &n); err != nil || len(n.Content) == 0 {
		return encoded(f.String())
	}
	plainly(n.Content[0])
	return n.Content[0]
}

// plainly takes away quotes that are not needed.
func plainly(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		n.Style = 0
	}
	for _, c := range n.Content {
		plainly(c)
	}
}

// withoutAnchors leaves out the keys of a value that are there for anchors only.
func withoutAnchors(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			if !isAnchor(k) {
				out[k] = withoutAnchors(item)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = withoutAnchors(item)
		}
		return out
	}
	return v
}
