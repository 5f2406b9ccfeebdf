package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how deep a request may be nested: entries hold records, which
// hold expectations, which hold NAT tuples.
const maxDepth = 12

// invalid makes the error about a field.
func invalid(field, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// checkDocument refuses what encoding/json would pass over: text that is no
// UTF-8, a member that comes twice, null, and nesting without bound.
func checkDocument(data []byte) error {
	if !utf8.Valid(data) {
		return invalid("", "expected a JSON object in UTF-8")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		if at := (*json.SyntaxError)(nil); errors.As(err, &at) {
			return invalid("", "expected a JSON object; at byte %d: %v", at.Offset, err)
		}
		return invalid("", "expected a JSON object; %v", err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return checkValue(d, "", 0)
}

// checkValue checks the next value.
func checkValue(d *json.Decoder, path string, depth int) error {
	t, err := d.Token()
	switch {
	case err != nil:
		return invalid(path, "%v", err)
	case t == nil:
		return invalid(path, "is null: leave out what is not meant")
	case depth > maxDepth:
		return invalid(path, "is nested too deep: at most %d levels", maxDepth)
	case t == json.Delim('{'):
		return checkObject(d, path, depth)
	case t == json.Delim('['):
		for i := 0; d.More(); i++ {
			if err := checkValue(d, at(path, i), depth+1); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}

func checkObject(d *json.Decoder, path string, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return invalid(path, "%v", err)
		}
		name, _ := t.(string)
		if seen[name] {
			return invalid(below(path, clip(name)), "comes twice")
		}
		seen[name] = true
		if err := checkValue(d, below(path, clip(name)), depth+1); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// below is the path of a member.
func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// at is the path of a list's item.
func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// clip keeps an error short whatever was sent.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// wanted says what was expected where something else stands.
func wanted(path, want string, raw []byte) *Error {
	return invalid(path, "expected %s, not %s", want, describe(raw))
}

// describe names a value: in full if it is a short scalar.
func describe(raw []byte) string {
	switch {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '{':
		return "an object"
	case raw[0] == '[':
		return "a list"
	}
	return clip(string(raw))
}
