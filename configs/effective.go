package configs

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// render turns a value into YAML by its koanf tags: what the loader would read
// back to the same value, but with secrets hidden. It answers nil for what is
// not set.
func render(v reflect.Value) *yaml.Node {
	if n, ok := renderText(v); ok {
		return n
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return render(v.Elem())
	case reflect.Struct:
		n := &yaml.Node{Kind: yaml.MappingNode}
		renderFields(n, v)
		return n
	case reflect.Map:
		return renderMap(v)
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			if item := render(v.Index(i)); item != nil {
				n.Content = append(n.Content, item)
			}
		}
		return n
	}
	return encoded(redactURL(v.Interface()))
}

// renderText handles what is written as text, and what has a YAML form of its own.
func renderText(v reflect.Value) (*yaml.Node, bool) {
	if !v.IsValid() || !v.CanInterface() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, true
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return encoded(x.String()), true
	case interface{ MarshalYAML() (any, error) }:
		plain, err := x.MarshalYAML()
		if err != nil {
			return encoded(err.Error()), true
		}
		return encoded(plain), true
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil {
			return encoded(err.Error()), true
		}
		return encoded(string(text)), true
	}
	return nil, false
}

func renderFields(n *yaml.Node, v reflect.Value) {
	for i := range v.NumField() {
		name, flags, _ := strings.Cut(v.Type().Field(i).Tag.Get("koanf"), ",")
		switch {
		case flags == "squash":
			renderFields(n, v.Field(i))
		case name != "" && name != "-":
			addKey(n, name, render(v.Field(i)))
		}
	}
}

func renderMap(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		addKey(n, k.String(), render(v.MapIndex(k)))
	}
	return n
}

func addKey(n *yaml.Node, key string, value *yaml.Node) {
	if value != nil {
		n.Content = append(n.Content, encoded(key), value)
	}
}

func encoded(v any) *yaml.Node {
	n := &yaml.Node{}
	if err := n.Encode(v); err != nil {
		n.SetString(fmt.Sprint(v))
	}
	return n
}

// redactURL hides the password of a URL, whichever key it stands under.
func redactURL(v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	return regexp.MustCompile(`^([a-z][a-z0-9+.-]*://)[^/@]*@`).ReplaceAllString(s, "${1}***@")
}
