package encode

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// xmlDecoder reads what xmlEncoder writes, with blanks, comments, attributes
// and elements that it does not know wherever XML allows them. Elements nest no
// deeper than the code below does; what is unknown is skipped.
type xmlDecoder struct {
	draft draft
	dec   *xml.Decoder
}

// Decode implements Decoder.
func (x *xmlDecoder) Decode(b *flow.Batch, record []byte) error {
	return x.draft.decode(b, record, x.read)
}

func (x *xmlDecoder) read(record []byte) error {
	x.dec = xml.NewDecoder(bytes.NewReader(record))
	start, err := x.start()
	if err != nil {
		return within("record", err)
	}
	switch start.Name.Local {
	case "flow", "expect", "gap", "status":
	default:
		return within("record", errors.New("is no flow, expect, gap or status element"))
	}
	if err := x.attrs(recordMembers, start); err != nil {
		return err
	}
	if err := x.each(x.child); err != nil {
		return err
	}
	if _, err := x.start(); err != io.EOF {
		return within("record", errors.New("goes on behind its element"))
	}
	return nil
}

// start finds the next start tag.
func (x *xmlDecoder) start() (xml.StartElement, error) {
	for {
		t, err := x.dec.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return t, nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return xml.StartElement{}, errors.New("has text outside of its element")
			}
		}
	}
}

// each gives every child of the element entered to child, which must read it
// to its end, and reads the element's own end.
func (x *xmlDecoder) each(child func(xml.StartElement) error) error {
	for {
		t, err := x.dec.Token()
		if err != nil {
			return within("record", err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := child(t); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		}
	}
}

// skip passes over the element entered.
func (x *xmlDecoder) skip() error { return within("record", x.dec.Skip()) }

// text reads the element entered as text, to its end.
func (x *xmlDecoder) text() (string, error) {
	var text []byte
	for {
		t, err := x.dec.Token()
		if err != nil {
			return "", within("record", err)
		}
		switch t := t.(type) {
		case xml.CharData:
			text = append(text, t...)
		case xml.StartElement:
			if err := x.skip(); err != nil {
				return "", err
			}
		case xml.EndElement:
			return string(text), nil
		}
	}
}

// attrs keeps an element's attributes as members of the same name.
func (x *xmlDecoder) attrs(members []member, start xml.StartElement) error {
	for _, a := range start.Attr {
		name := a.Name.Local
		if name == "type" && len(members) == len(recordMembers) {
			name = "event_type"
		}
		if err := x.keep(members, name, a.Value); err != nil {
			return err
		}
	}
	return nil
}

// keep takes a value that is written as text, whatever its kind. A name that is
// unknown, or that of an object, is passed over.
func (x *xmlDecoder) keep(members []member, name, text string) error {
	m := byName(members, name)
	if m == nil || m.kind == kindMessage || m.kind == kindMap {
		return nil
	}
	var v value
	var err error
	switch {
	case m.kind == kindWords:
		return x.words(m, text)
	case m.kind == kindBool:
		v.u, err = parseBool(text)
	case m.kind.numeric():
		v, err = m.parseNumber(text)
	default:
		v, err = m.parseText(text)
	}
	if err == errSkip {
		return nil
	}
	if err == nil {
		m.keep(&x.draft, &v)
	}
	return within(name, err)
}

// words takes a list of words parted by blanks.
func (x *xmlDecoder) words(m *member, text string) error {
	m.keep(&x.draft, &value{})
	for word := range strings.FieldsSeq(text) {
		if v, err := m.parseText(word); err == nil {
			m.keep(&x.draft, &v)
		}
	}
	return nil
}

// parseBool reads an xs:boolean.
func parseBool(s string) (uint64, error) {
	switch s {
	case "true", "1":
		return 1, nil
	case "false", "0":
		return 0, nil
	}
	return 0, errors.New("is " + strconv.Quote(s[:min(len(s), 40)]) + ", want true or false")
}

// leaf keeps an element's text as the member of the given name.
func (x *xmlDecoder) leaf(members []member, name string) error {
	text, err := x.text()
	if err != nil {
		return err
	}
	return x.keep(members, name, text)
}

// enter begins a message of the record, or of one of its messages.
func (x *xmlDecoder) enter(members []member, name string) []member {
	m := byName(members, name)
	m.keep(&x.draft, &value{})
	return m.inner
}

// object reads an element that is a message whose members are attributes.
func (x *xmlDecoder) object(members []member, name string, start xml.StartElement) error {
	if err := x.attrs(x.enter(members, name), start); err != nil {
		return within(name, err)
	}
	return x.skip()
}

// attr gives an attribute's value, "" where it is absent.
func attr(start xml.StartElement, name string) string {
	for _, a := range start.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
