package control

import (
	"encoding/json"
	"strconv"
)

// objectWriter appends the members of an object; what is empty is left out.
type objectWriter struct{ b []byte }

// raw appends a member whose value is JSON already.
func (w *objectWriter) raw(name string, value []byte) {
	if len(w.b) == 0 {
		w.b = append(w.b, '{')
	} else if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = strconv.AppendQuote(w.b, name)
	w.b = append(append(w.b, ':'), value...)
}

func (w *objectWriter) text(name, s string) {
	if s != "" {
		w.raw(name, quote(s))
	}
}

func (w *objectWriter) uint(name string, n uint64) {
	if n != 0 {
		w.number(name, n)
	}
}

// number is uint for a number whose 0 means something.
func (w *objectWriter) number(name string, n uint64) { w.raw(name, strconv.AppendUint(nil, n, 10)) }

func (w *objectWriter) bool(name string, v bool) {
	if v {
		w.raw(name, []byte("true"))
	}
}

// list appends a list, if it is not empty.
func list[T any](w *objectWriter, name string, items []T, item func([]byte, *T) []byte) {
	if len(items) == 0 {
		return
	}
	b := []byte{'['}
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = item(b, &items[i])
	}
	w.raw(name, append(b, ']'))
}

// end closes the object.
func (w *objectWriter) end() []byte {
	if len(w.b) == 0 {
		w.b = append(w.b, '{')
	}
	return append(w.b, '}')
}

// quote spells a string; bytes that are no UTF-8 become U+FFFD.
func quote(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`)
	}
	return b
}
