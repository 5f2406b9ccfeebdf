package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ctferry/ctferry/internal/option"
)

// Bounds of a document: far above any configuration, far below what hurts.
const (
	maxFileSize = 2 << 20
	maxDepth    = 24
	maxKey      = 128
	maxWeight   = 16 << 20 // bytes that values with their paths may take, aliases expanded
	nodeWeight  = 64
	maxFaults   = 1000
)

// plain is a scalar that YAML takes for a number or a boolean, as it is
// written: what it means depends on the key (0640 may be a mode).
type plain string

// document reads one YAML document into maps, lists, strings, plain and nil,
// noting where every key stands. Keys that begin with x- stay in: only who
// knows the key's type knows whether they are data.
type document struct {
	name   string
	fixed  *Place // where everything stands that does not come from a file
	root   any
	places places
	errs   Errors
	weight int
	broken bool                // a bound was passed: what was read so far is let go
	open   map[*yaml.Node]bool // aliases that are being expanded
}

// parseDocument reads a document that stands at path in the configuration. It
// never panics and its work is bounded, whatever the text.
func parseDocument(name, path string, fixed *Place, text []byte) *document {
	d := &document{name: name, fixed: fixed, places: places{}, open: map[*yaml.Node]bool{}}
	var root, second yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	err := dec.Decode(&root)
	if err == nil {
		err = dec.Decode(&second)
	}
	d.places[path] = d.at(&yaml.Node{Line: 1, Column: 1})
	switch {
	case err == nil:
		d.fault(&second, path, "a second document begins here: expected one")
	case !errors.Is(err, io.EOF):
		d.syntaxError(path, err, text)
		return d
	}
	if len(root.Content) > 0 {
		d.places[path] = d.at(root.Content[0])
		d.root = d.value(root.Content[0], path, 0)
	}
	if d.broken {
		d.root, d.places = nil, places{path: d.places[path]}
	}
	return d
}

// noToken is what the parser says of a tab that indents, too.
const noToken = "found character that cannot start any token"

// syntaxError takes the line out of the parser's message; it has no column. It is
// exact only of single characters: of structure the parser tells where the block
// began, of what was not ended where it noticed.
func (d *document) syntaxError(path string, err error, text []byte) {
	what := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`^unknown anchor '(.*)' referenced$`).FindStringSubmatch(what); m != nil {
		d.unknownAnchor(path, m[1], text)
		return
	}
	n := &yaml.Node{Line: 1, Column: 1}
	if m := regexp.MustCompile(`^(?:.*?)line (\d+)(?:, column \d+)?: `).FindStringSubmatch(what); m != nil {
		n.Line, _ = strconv.Atoi(m[1])
		what = what[len(m[0]):]
	}
	if line := brokenLine(text); line > n.Line || strings.HasSuffix(what, "end of stream") || strings.HasSuffix(what, "expected ':'") {
		n.Line = max(line, 1)
	}
	if what == noToken {
		if column := indentingTab(text, n.Line); column > 0 {
			n.Column, what = column, "a tab indents this line: expected spaces"
		} else {
			what += ": expected quotes around a text that begins with %, @ or `"
		}
	}
	d.fault(n, path, "not valid YAML: "+what)
}

// unknownAnchor is the fault of an alias of nothing. It is not repeated: it may be
// a password that begins with *.
func (d *document) unknownAnchor(path, name string, text []byte) {
	before, _, _ := bytes.Cut(text, []byte("*"+name))
	n := &yaml.Node{Line: 1 + bytes.Count(before, []byte("\n")), Column: len(before) - bytes.LastIndexByte(before, '\n')}
	d.fault(n, path, "not valid YAML: no anchor has the name behind this *; a text that begins with * needs quotes")
}

// maxReparsed bounds, in bytes, what is parsed again to find a line.
const maxReparsed = 16 << 20

// brokenLine is the line behind the longest part of the text that is YAML by
// itself; 0 if it would cost too much to find.
func brokenLine(text []byte) int {
	broken, spent := 1, 0
	for line, end := 1, 0; end < len(text); line++ {
		next := bytes.IndexByte(text[end:], '\n')
		if next < 0 {
			break // the text itself, which is not
		}
		end += next + 1
		if spent += end; spent > maxReparsed {
			return 0
		}
		if yaml.Unmarshal(text[:end], new(yaml.Node)) == nil {
			broken = line + 1
		}
	}
	return broken
}

// indentingTab is the column of a tab before a line's first word, 0 if there is none.
func indentingTab(text []byte, line int) int {
	lines := bytes.Split(text, []byte("\n"))
	if line > len(lines) {
		return 0
	}
	indent := lines[line-1][:len(lines[line-1])-len(bytes.TrimLeft(lines[line-1], " \t"))]
	return bytes.IndexByte(indent, '\t') + 1
}

func (d *document) at(n *yaml.Node) Place {
	p := Place{Source: d.name, Line: n.Line, Col: n.Column}
	if d.fixed != nil {
		p = *d.fixed
	}
	p.section = n.Kind == yaml.MappingNode
	return p
}

func (d *document) fault(n *yaml.Node, path, text string) {
	if len(d.errs) == maxFaults {
		return
	}
	p := d.at(n)
	p.section = false
	d.errs = append(d.errs, Error{p, option.Fault{Path: path, Text: text}})
}

// full reports whether the document has grown past its bounds; the first to
// ask leaves a fault.
func (d *document) full(n *yaml.Node, path string, depth int) bool {
	if d.broken {
		return true
	}
	d.weight += nodeWeight + len(path)
	switch {
	case d.weight > maxWeight:
		d.fault(n, "", "the document is too large with its aliases expanded")
	case depth > maxDepth:
		d.fault(n, "", fmt.Sprintf("more than %d levels deep", maxDepth))
	default:
		return false
	}
	d.broken = true
	return true
}

func (d *document) value(n *yaml.Node, path string, depth int) any {
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
		return d.value(n.Alias, path, depth+1)
	case yaml.MappingNode:
		return d.mapping(n, path, depth)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			at := path + "[" + strconv.Itoa(i) + "]"
			list[i] = d.value(item, at, depth+1)
			d.place(at, item, item)
		}
		return list
	}
	return d.scalar(n, path)
}

// place notes where a key or an item stands, and whether its value is a mapping.
func (d *document) place(path string, key, value *yaml.Node) {
	p := d.at(key)
	for i := 0; value.Kind == yaml.AliasNode && i < maxDepth; i++ {
		value = value.Alias
	}
	p.section = value.Kind == yaml.MappingNode
	d.places[path] = p
}

func (d *document) scalar(n *yaml.Node, path string) any {
	switch tag := n.ShortTag(); tag {
	case "!!null":
		return nil
	case "!!int", "!!float", "!!bool":
		return plain(n.Value)
	case "!!str", "!!timestamp", "!!merge":
		return n.Value
	default:
		d.unknownTag(n, path, tag)
	}
	return nil
}

// unknownTag refuses a tag. One that is none of YAML's own is not repeated: it may be
// a password that begins with !.
func (d *document) unknownTag(n *yaml.Node, path, tag string) {
	if strings.HasPrefix(tag, "!!") {
		d.fault(n, path, fmt.Sprintf("the tag %s is not known here", tag))
		return
	}
	d.fault(n, path, "tags are not known here; a text that begins with ! needs quotes")
}
