package configs

import (
	"reflect"
	"strings"
)

// keysOf lists the keys of a struct by its koanf tags, embedded structs included.
func keysOf(t reflect.Type) map[string]reflect.Type {
	keys := map[string]reflect.Type{}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return keys
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, flags, _ := strings.Cut(f.Tag.Get("koanf"), ",")
		switch {
		case flags == "squash":
			for k, v := range keysOf(f.Type) {
				keys[k] = v
			}
		case name != "" && name != "-":
			keys[name] = f.Type
		}
	}
	return keys
}

// keysAt lists the keys that are known below a path inside a struct type.
func keysAt(t reflect.Type, path string) map[string]reflect.Type {
	if path == "" {
		return keysOf(t)
	}
	step, rest, _ := strings.Cut(path, ".")
	step, _, _ = strings.Cut(step, "[")
	next, ok := keysOf(t)[step]
	if !ok {
		return nil
	}
	for next.Kind() == reflect.Slice || next.Kind() == reflect.Pointer {
		next = next.Elem()
	}
	return keysAt(next, rest)
}

// hint offers the nearest of the known names, or lists them if there are few.
func hint(name string, known []string) string {
	best, dist := "", len(name)/2+1
	for _, k := range known {
		if d := distance(name, k); d < dist || d == dist && best != "" && k < best {
			best, dist = k, d
		}
	}
	switch {
	case best != "":
		return "; did you mean " + best + "?"
	case len(known) > 0 && len(known) <= 8:
		return "; known here: " + strings.Join(known, ", ")
	}
	return ""
}

// distance is Levenshtein's, over bytes: keys are ASCII.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
