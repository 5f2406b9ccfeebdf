package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// Bounds of a request that is read from outside.
const (
	MaxKeys    = 65536 // in Request.Keys
	MaxEntries = 65536 // in Request.Entries
	MaxID      = 64    // bytes of Request.ID
	maxName    = 255   // bytes of a namespace's name (NAME_MAX)
	maxHelper  = 15    // NF_CT_HELPER_NAME_LEN less the NUL
)

// LabelFinder finds the bit of a connection label by its name (connlabel.conf).
type LabelFinder func(name string) (bit uint8, ok bool)

// DecodeRequest reads a request's JSON. It is strict: a member that is not
// known, comes twice or has a wrong type is refused by name, and so is a word
// that is not known. The error is an *Error of CodeInvalid whose Field is the
// member's path. Labels may be given by name where label finds them; nil
// leaves bit numbers only. What a verb takes is not looked at: see Validate.
func DecodeRequest(data []byte, label LabelFinder) (*Request, error) {
	if err := checkDocument(data); err != nil {
		return nil, err
	}
	d := requestDecoder{label: label}
	if err := readObject(&d, "", data, requestFields()); err != nil {
		return nil, err
	}
	if d.version == 0 {
		return nil, invalid("v", "expected %d, the version of requests", Version)
	}
	return &d.q, nil
}

// UnmarshalJSON does what DecodeRequest does, and knows no label by name.
func (q *Request) UnmarshalJSON(data []byte) error {
	r, err := DecodeRequest(data, nil)
	if err == nil {
		*q = *r
	}
	return err
}

// requestDecoder is a request while it is read.
type requestDecoder struct {
	q       Request
	version int
	label   LabelFinder
}

func requestFields() []field[requestDecoder] {
	type d = requestDecoder
	type raw = json.RawMessage
	return []field[d]{
		{"v", (*d).readVersion},
		{"request", func(d *d, p string, r raw) error { v, err := readText(p, r, MaxID); return keep(&d.q.ID, v, err) }},
		{"issued_at", func(d *d, p string, r raw) error { v, err := readTime(p, r); return keep(&d.q.IssuedAt, v, err) }},
		{"timeout", func(d *d, p string, r raw) error { v, err := readDuration(p, r); return keep(&d.q.Timeout, v, err) }},
		{"verb", func(d *d, p string, r raw) error {
			v, err := readWord(p, r, ParseVerb, verbList())
			return keep(&d.q.Verb, v, err)
		}},
		{"table", func(d *d, p string, r raw) error {
			v, err := readWord(p, r, ParseTable, tableList())
			return keep(&d.q.Table, v, err)
		}},
		{"netns", func(d *d, p string, r raw) error { v, err := readText(p, r, maxName); return keep(&d.q.NetNS, v, err) }},
		{"family", func(d *d, p string, r raw) error { v, err := readFamily(p, r); return keep(&d.q.Family, v, err) }},
		{"filter", (*d).readFilter},
		{"limit", func(d *d, p string, r raw) error {
			v, err := readUint(p, r, math.MaxInt32)
			return keep(&d.q.Limit, int(v), err)
		}},
		{"dry_run", func(d *d, p string, r raw) error { v, err := readBool(p, r); return keep(&d.q.DryRun, v, err) }},
		{"rows", func(d *d, p string, r raw) error { v, err := readBool(p, r); return keep(&d.q.Rows, v, err) }},
		{"keys", (*d).readKeys},
		{"entries", (*d).readEntries},
		{"replace", func(d *d, p string, r raw) error { v, err := readBool(p, r); return keep(&d.q.Replace, v, err) }},
		{"change", (*d).readChange},
		{"types", (*d).readTypes},
		{"buffer", func(d *d, p string, r raw) error {
			v, err := readUint(p, r, math.MaxInt32)
			return keep(&d.q.Buffer, int(v), err)
		}},
		{"helper", func(d *d, p string, r raw) error {
			v, err := readText(p, r, maxHelper)
			return keep(&d.q.Helper, v, err)
		}},
		{"format", func(d *d, p string, r raw) error { v, err := readText(p, r, 16); return keep(&d.q.Format, v, err) }},
	}
}

func (d *requestDecoder) readVersion(path string, raw json.RawMessage) error {
	if v, err := readUint(path, raw, Version); err != nil || v != Version {
		return wanted(path, strconv.Itoa(Version)+", the version of requests", raw)
	}
	d.version = Version
	return nil
}

func (d *requestDecoder) readFilter(path string, raw json.RawMessage) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return invalid(path, "%v", err)
	}
	f, err := flow.FilterParser{Label: d.label}.Parse(v)
	if err != nil {
		return filterError(path, err)
	}
	d.q.Filter = f
	return nil
}

// filterError tells the first of a filter's faults.
func filterError(path string, err error) error {
	var faults flow.Faults
	if !errors.As(err, &faults) || len(faults) == 0 {
		return invalid(path, "%v", err)
	}
	e := invalid(below(path, faults[0].Path), "%s", faults[0].Text)
	if faults[0].Path == "" {
		e.Field = path
	}
	if n := len(faults) - 1; n > 0 {
		e.Message += " (and " + strconv.Itoa(n) + " more)"
	}
	return e
}

func (d *requestDecoder) readTypes(path string, raw json.RawMessage) error {
	return readList(path, raw, 16, func(path string, raw json.RawMessage) error {
		t, err := readWord(path, raw, flow.ParseType, `"new", "update" or "destroy"`)
		if err == nil && t > flow.TypeDestroy {
			err = wanted(path, `"new", "update" or "destroy"`, raw)
		}
		if err != nil {
			return err
		}
		d.q.Types |= flow.TypesOf(t)
		return nil
	})
}

func (d *requestDecoder) readKeys(path string, raw json.RawMessage) error {
	return readList(path, raw, MaxKeys, func(path string, raw json.RawMessage) error {
		k, err := decodeKey(path, raw)
		d.q.Keys = append(d.q.Keys, k)
		return err
	})
}

func (d *requestDecoder) readEntries(path string, raw json.RawMessage) error {
	return readList(path, raw, MaxEntries, func(path string, raw json.RawMessage) error {
		e, err := decodeEntry(path, raw)
		d.q.Entries = append(d.q.Entries, e)
		return err
	})
}

// MarshalJSON writes what DecodeRequest reads. Labels are numbers.
func (q *Request) MarshalJSON() ([]byte, error) {
	w := objectWriter{b: []byte(`{"v":` + strconv.Itoa(Version))}
	w.text("request", q.ID)
	if !q.IssuedAt.IsZero() {
		w.text("issued_at", q.IssuedAt.UTC().Format(time.RFC3339Nano))
	}
	if q.Timeout != 0 {
		w.text("timeout", q.Timeout.String())
	}
	w.text("verb", string(q.Verb))
	w.text("table", string(q.Table))
	w.text("netns", q.NetNS)
	w.text("family", q.Family.String())
	if q.Filter != nil {
		w.raw("filter", []byte(q.Filter.String()))
	}
	w.uint("limit", uint64(q.Limit))
	w.bool("dry_run", q.DryRun)
	w.bool("rows", q.Rows)
	list(&w, "keys", q.Keys, appendKey)
	if enc := encode.Formats()["json"].NewEncoder(encode.Projection{}); len(q.Entries) > 0 {
		list(&w, "entries", q.Entries, func(b []byte, e *Entry) []byte { return appendEntry(b, enc, e) })
	}
	w.bool("replace", q.Replace)
	if q.Change != nil {
		w.raw("change", appendChange(nil, q.Change))
	}
	if names := q.Types.Names(); len(names) > 0 {
		w.raw("types", []byte(`["`+strings.Join(names, `","`)+`"]`))
	}
	w.uint("buffer", uint64(q.Buffer))
	w.text("helper", q.Helper)
	w.text("format", q.Format)
	return w.end(), nil
}
