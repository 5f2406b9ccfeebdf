package sinks

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ctferry/ctferry/internal/option"
)

// filePath is a file's path with the parts that change. What it can become is
// settled by the configuration alone: no event has a say in it, and it never
// leaves base.
type filePath struct {
	base     string       // absolute; never made, so that a missing mount is noticed
	elements [][]pathPart // below base, one list for each element
}

// pathPart is a literal, or a verb (then layout is how package time writes it), or a field.
type pathPart struct {
	literal, layout, digits, field string

	verb byte // of layout
}

// pathVerbs are the verbs of strftime(3) that are understood.
func pathVerbs() map[byte]pathPart {
	return map[byte]pathPart{
		'Y': {layout: "2006", digits: `\d{4}`},
		'y': {layout: "06", digits: `\d\d`},
		'm': {layout: "01", digits: `\d\d`},
		'd': {layout: "02", digits: `\d\d`},
		'j': {layout: "002", digits: `\d{3}`},
		'H': {layout: "15", digits: `\d\d`},
		'M': {layout: "04", digits: `\d\d`},
		'S': {layout: "05", digits: `\d\d`},
		'%': {literal: "%"},
	}
}

// parseFilePath reads a path. base is "" for what the path's fixed directories make.
func parseFilePath(path, base string) (filePath, error) {
	switch {
	case path == "":
		return filePath{}, option.Fault{Path: "path", Text: "missing: expected the absolute path of a file"}
	case !filepath.IsAbs(path) || filepath.Clean(path) != path || strings.HasPrefix(path, "//"):
		return filePath{}, option.Fault{Path: "path", Text: fmt.Sprintf("%q: expected an absolute path without . and .. and doubled slashes", path)}
	}
	for _, r := range path {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return filePath{}, option.Fault{Path: "path", Text: fmt.Sprintf("%q holds a sign that cannot be printed", path)}
		}
	}
	if base == "" {
		if base = fixedDirectories(path); base == "/" {
			return filePath{}, option.Fault{Path: "path", Text: fmt.Sprintf("%q: expected a directory below /, with a name that does not change, to hold it", path)}
		}
	}
	if !filepath.IsAbs(base) || filepath.Clean(base) != base || base == "/" {
		return filePath{}, option.Fault{Path: "base", Text: fmt.Sprintf("%q: expected an absolute directory other than /, in which the file stays", base)}
	}
	rest, below := strings.CutPrefix(path, base+"/")
	if !below {
		return filePath{}, option.Fault{Path: "path", Text: fmt.Sprintf("%q is not below base, %s", path, base)}
	}
	p := filePath{base: base}
	for _, element := range strings.Split(rest, "/") {
		parts, err := parsePathElement(element)
		if err != nil {
			return filePath{}, option.Fault{Path: "path", Text: err.Error()}
		}
		p.elements = append(p.elements, parts)
	}
	return p, nil
}

// fixedDirectories is the longest directory that a path always begins with.
func fixedDirectories(path string) string {
	fixed := "/"
	elements := strings.Split(path[1:], "/")
	for _, e := range elements[:len(elements)-1] {
		if strings.ContainsAny(e, "%{}") {
			break
		}
		fixed = filepath.Join(fixed, e)
	}
	return fixed
}

func parsePathElement(s string) ([]pathPart, error) {
	var parts []pathPart
	for s != "" {
		i := strings.IndexAny(s, "%{}")
		if i < 0 {
			return append(parts, pathPart{literal: s}), nil
		}
		if i > 0 {
			parts = append(parts, pathPart{literal: s[:i]})
		}
		part, n, err := parsePathPart(s[i:])
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		s = s[i+n:]
	}
	return parts, nil
}

// parsePathPart reads what begins with %, { or } and tells its length.
func parsePathPart(s string) (pathPart, int, error) {
	if s[0] == '%' {
		if len(s) > 1 {
			if part, ok := pathVerbs()[s[1]]; ok {
				part.verb = s[1]
				return part, 2, nil
			}
		}
		return pathPart{}, 0, fmt.Errorf("%q is no verb: expected %%Y %%y %%m %%d %%j %%H %%M %%S or %%%%", s[:min(2, len(s))])
	}
	for _, field := range []string{"node", "sink"} {
		if strings.HasPrefix(s, "{"+field+"}") {
			return pathPart{field: field}, len(field) + 2, nil
		}
	}
	return pathPart{}, 0, fmt.Errorf("%q: expected {node} or {sink}", s)
}

// bind puts the values of the fields in. A sign that could steer a path becomes _.
func (p filePath) bind(node, sink string) filePath {
	values := map[string]string{"node": node, "sink": sink}
	bound := filePath{base: p.base}
	for _, element := range p.elements {
		var parts []pathPart
		for _, part := range element {
			if part.field != "" {
				part = pathPart{literal: pathSafe(values[part.field])}
			}
			parts = append(parts, part)
		}
		bound.elements = append(bound.elements, parts)
	}
	return bound
}

// pathSafe leaves letters, digits, - and _, and a dot that does not stand first.
func pathSafe(s string) string {
	safe := []byte(s)
	for i, c := range safe {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && (c != '.' || i == 0) {
			safe[i] = '_'
		}
	}
	if len(safe) == 0 {
		return "_"
	}
	return string(safe)
}

// at is the path below base at a time.
func (p filePath) at(t time.Time) string {
	t = t.UTC()
	var b []byte
	for i, element := range p.elements {
		if i > 0 {
			b = append(b, '/')
		}
		for _, part := range element {
			b = append(b, part.literal...)
			b = t.AppendFormat(b, part.layout)
		}
	}
	return string(b)
}

// String is a bound path as it is configured, with what the fields are in their place.
func (p filePath) String() string {
	b := []byte(p.base)
	for _, element := range p.elements {
		b = append(b, '/')
		for _, part := range element {
			if part.layout != "" {
				b = append(b, '%', part.verb)
			}
			b = append(b, strings.ReplaceAll(part.literal, "%", "%%")...)
		}
	}
	return string(b)
}

// changes reports whether the path depends on the time.
func (p filePath) changes() bool {
	for _, element := range p.elements {
		for _, part := range element {
			if part.layout != "" {
				return true
			}
		}
	}
	return false
}

// pattern is the source of a regular expression for everything that element i can be.
func (p filePath) pattern(i int) string {
	var b strings.Builder
	for _, part := range p.elements[i] {
		if part.layout != "" {
			b.WriteString(part.digits)
		}
		b.WriteString(regexp.QuoteMeta(part.literal))
	}
	return b.String()
}
