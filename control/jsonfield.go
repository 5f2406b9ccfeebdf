package control

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// field is a member that an object may have, and how it is read.
type field[T any] struct {
	name string
	read func(into *T, path string, raw json.RawMessage) error
}

// readObject reads an object whose members are all among fields.
func readObject[T any](into *T, path string, raw []byte, fields []field[T]) error {
	list, err := members(path, raw)
	if err != nil {
		return err
	}
	for _, m := range list {
		i := slices.IndexFunc(fields, func(f field[T]) bool { return f.name == m.name })
		if i < 0 {
			names := make([]string, len(fields))
			for j := range fields {
				names[j] = fields[j].name
			}
			return invalid(below(path, clip(m.name)), "no such field; expected one of %s", strings.Join(names, ", "))
		}
		if err := fields[i].read(into, below(path, m.name), m.raw); err != nil {
			return err
		}
	}
	return nil
}

// readList reads a list of at most most items.
func readList(path string, raw []byte, most int, item func(path string, raw json.RawMessage) error) error {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return wanted(path, "a list", raw)
	}
	if len(items) > most {
		return invalid(path, "%d are too many: at most %d", len(items), most)
	}
	for i, it := range items {
		if err := item(at(path, i), it); err != nil {
			return err
		}
	}
	return nil
}

// readText reads a string of at most most bytes.
func readText(path string, raw []byte, most int) (string, error) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", wanted(path, "text", raw)
	}
	if len(s) > most {
		return "", invalid(path, "%d bytes are too long: at most %d", len(s), most)
	}
	return s, nil
}

// readUint reads a whole number from 0 to most, written without a fraction or
// an exponent.
func readUint(path string, raw []byte, most uint64) (uint64, error) {
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil || n > most {
		return 0, wanted(path, "a whole number from 0 to "+strconv.FormatUint(most, 10), raw)
	}
	return n, nil
}

func readBool(path string, raw []byte) (bool, error) {
	switch string(raw) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, wanted(path, "true or false", raw)
}

func readDuration(path string, raw []byte) (time.Duration, error) {
	s, err := readText(path, raw, 40)
	if err != nil {
		return 0, wanted(path, `a duration such as "30s"`, raw)
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, wanted(path, `a duration such as "30s"`, raw)
	}
	return d, nil
}

func readTime(path string, raw []byte) (time.Time, error) {
	s, err := readText(path, raw, 64)
	if err == nil {
		var t time.Time
		if t, err = time.Parse(time.RFC3339Nano, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, wanted(path, `an RFC 3339 time such as "2026-01-02T15:04:05Z"`, raw)
}

func readFamily(path string, raw []byte) (flow.Family, error) {
	s, _ := readText(path, raw, 8)
	f, ok := flow.ParseFamily(s)
	if !ok {
		return 0, wanted(path, `"ipv4" or "ipv6"`, raw)
	}
	return f, nil
}

// readWord reads a word by its parser; want lists the words.
func readWord[T any](path string, raw []byte, parse func(string) (T, bool), want string) (T, error) {
	s, err := readText(path, raw, 64)
	v, ok := parse(s)
	if err != nil || !ok {
		return v, wanted(path, want, raw)
	}
	return v, nil
}

// keep stores what a reader gave, if it gave it.
func keep[T any](into *T, v T, err error) error {
	if err == nil {
		*into = v
	}
	return err
}

// keepNew is keep for a value that may be absent.
func keepNew[T any](into **T, v T, err error) error {
	if err == nil {
		*into = &v
	}
	return err
}
