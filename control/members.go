package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// member is one member of an object, its value as it stood there.
type member struct {
	name string
	raw  json.RawMessage // may be a part of the object's own text
}

// members gives the members of an object in their order.
func members(path string, raw []byte) ([]member, error) {
	if json.Valid(raw) {
		if list, ok := cutMembers(raw); ok {
			return list, nil
		}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	t, err := d.Token()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, invalid(path, "%v", err)
	}
	if t != json.Delim('{') {
		return nil, wanted(path, "an object", raw)
	}
	var out []member
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, invalid(path, "%v", err)
		}
		m := member{}
		m.name, _ = t.(string)
		if err := d.Decode(&m.raw); err != nil {
			return nil, invalid(below(path, m.name), "%v", err)
		}
		out = append(out, m)
	}
	return out, nil
}

// cutMembers is members of text that is valid, for a tenth of the time. It is
// false of what is no object, and of a name that is not spelled as it is.
func cutMembers(p []byte) ([]member, bool) {
	at := blanks(p, 0)
	if p[at] != '{' {
		return nil, false
	}
	list := make([]member, 0, 16)
	for at = blanks(p, at+1); p[at] != '}'; at = blanks(p, at) {
		if p[at] == ',' {
			at = blanks(p, at+1)
		}
		end := valueEnd(p, at)
		name := p[at+1 : end-1]
		if bytes.ContainsFunc(name, func(r rune) bool { return r == '\\' || r >= 0x80 }) {
			return nil, false
		}
		at = blanks(p, blanks(p, end)+1) // past the colon
		end = valueEnd(p, at)
		list = append(list, member{string(name), p[at:end:end]})
		at = end
	}
	return list, true
}

// blanks is where something else stands.
func blanks(p []byte, at int) int {
	for p[at] == ' ' || p[at] == '\t' || p[at] == '\n' || p[at] == '\r' {
		at++
	}
	return at
}

// valueEnd is where the value that begins at a place of valid text ends.
func valueEnd(p []byte, at int) int {
	for depth := 0; at < len(p); at++ {
		switch p[at] {
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case '"':
			for at++; p[at] != '"'; at++ {
				if p[at] == '\\' {
					at++
				}
			}
		case ',', ':', ' ', '\t', '\n', '\r':
			continue
		default:
			for at+1 < len(p) && !bytes.ContainsRune([]byte(",:]} \t\n\r"), rune(p[at+1])) {
				at++
			}
		}
		if depth == 0 {
			return at + 1
		}
	}
	return at
}
