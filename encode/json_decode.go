package encode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ctferry/ctferry/source/flow"
)

// jsonDecoder reads what jsonEncoder writes, with blanks and members that it
// does not know wherever JSON allows them.
type jsonDecoder struct {
	draft  draft
	dec    *json.Decoder
	strict bool
}

// NewStrictJSONDecoder makes a decoder for what people write: it refuses by
// name what the other passes over, which is a member or a word that is not
// known, and a member that comes twice.
func NewStrictJSONDecoder() Decoder {
	return &jsonDecoder{strict: true, draft: draft{trust: trustTuples}}
}

// Decode implements Decoder.
func (j *jsonDecoder) Decode(b *flow.Batch, record []byte) error {
	return j.draft.decode(b, record, j.read)
}

func (j *jsonDecoder) read(record []byte) error {
	j.dec = json.NewDecoder(bytes.NewReader(record))
	j.dec.UseNumber()
	token, err := j.token()
	if err != nil {
		return within("record", err)
	}
	if token != json.Delim('{') {
		return within("record", errors.New("is no JSON object"))
	}
	if err := j.object(recordMembers); err != nil {
		return err
	}
	if _, err := j.dec.Token(); err != io.EOF {
		return within("record", errors.New("goes on behind its object"))
	}
	return nil
}

// token reads the next token; the record's end is an error here.
func (j *jsonDecoder) token() (json.Token, error) {
	t, err := j.dec.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return t, err
}

// object reads the members of an object, its brace being read.
func (j *jsonDecoder) object(members []member) error {
	var seen []string // of few members, when strict
	for {
		key, err := j.token()
		if err != nil {
			return within("record", err)
		}
		name, ok := key.(string)
		if !ok {
			return nil // the closing brace
		}
		m := byName(members, name)
		switch {
		case m == nil && j.strict:
			err = errors.New("no such field")
		case m == nil:
			err = j.skip()
		case j.strict && slices.Contains(seen, name):
			err = errors.New("comes twice")
		default:
			err = j.member(m)
		}
		if j.strict {
			seen = append(seen, name)
		}
		if err != nil {
			return within(name, err)
		}
	}
}

// skip passes over a value, however deep, without recursion.
func (j *jsonDecoder) skip() error {
	for depth := 0; ; {
		t, err := j.token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// member reads a known member's value.
func (j *jsonDecoder) member(m *member) error {
	t, err := j.token()
	if err != nil {
		return err
	}
	if !m.many && m.kind != kindWords {
		return j.value(m, t)
	}
	if t != json.Delim('[') {
		return fmt.Errorf("is %s, want a list", tokenName(t))
	}
	if m.kind == kindWords {
		// The list is there, though it may be empty.
		if err := m.keep(&j.draft, &value{}); err != nil {
			return err
		}
	}
	for {
		t, err := j.token()
		if err != nil {
			return err
		}
		if t == json.Delim(']') {
			return nil
		}
		if err := j.value(m, t); err != nil {
			return err
		}
	}
}

// value takes one value, of which t is the first token.
func (j *jsonDecoder) value(m *member, t json.Token) error {
	var v value
	var err error
	switch t := t.(type) {
	case json.Delim:
		if t != '{' || m.kind != kindMessage && m.kind != kindMap {
			return fmt.Errorf("is %s, want %s", tokenName(t), m.kind.want())
		}
		if m.kind == kindMap {
			return j.meta()
		}
		if err := m.keep(&j.draft, &v); err != nil {
			return err
		}
		return j.object(m.inner)
	case string:
		v, err = m.parseText(t)
	case json.Number:
		v, err = m.parseNumber(string(t))
	case bool:
		if m.kind != kindBool {
			return fmt.Errorf("is %s, want %s", tokenName(t), m.kind.want())
		}
		if t {
			v.u = 1
		}
	default:
		return fmt.Errorf("is null, want %s", m.kind.want())
	}
	if err == errSkip && j.strict {
		return fmt.Errorf("is %.40q, a word that is not known", t)
	}
	if err == errSkip {
		return nil
	}
	if err != nil {
		return err
	}
	return m.keep(&j.draft, &v)
}

// meta reads the static strings.
func (j *jsonDecoder) meta() error {
	for {
		key, err := j.token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return nil
		}
		t, err := j.token()
		if err != nil {
			return err
		}
		text, ok := t.(string)
		if !ok {
			return within(name, fmt.Errorf("is %s, want text", tokenName(t)))
		}
		if err := j.draft.addMeta(name, text); err != nil {
			return err
		}
	}
}

func tokenName(t json.Token) string {
	switch t := t.(type) {
	case json.Delim:
		switch t {
		case '{', '}':
			return "an object"
		}
		return "a list"
	case string:
		return "text"
	case json.Number:
		return "a number"
	case bool:
		return "true or false"
	}
	return "null"
}
