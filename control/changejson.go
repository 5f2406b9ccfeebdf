package control

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// maxLabel is the highest connection label (XT_CONNLABEL_MAXBIT).
const maxLabel = 127

// changeDraft is a change while it is read.
type changeDraft struct {
	Change
	label LabelFinder
}

func (d *requestDecoder) readChange(path string, raw json.RawMessage) error {
	c := changeDraft{label: d.label}
	if err := readObject(&c, path, raw, changeFields()); err != nil {
		return err
	}
	d.q.Change = &c.Change
	return nil
}

func changeFields() []field[changeDraft] {
	type d = changeDraft
	type raw = json.RawMessage
	return []field[d]{
		{"timeout", func(d *d, p string, r raw) error { return readUint32(&d.Timeout, p, r) }},
		{"mark", func(d *d, p string, r raw) error { v, err := readMark(p, r); return keepNew(&d.Mark, v, err) }},
		{"status", (*d).readStatus},
		{"helper", func(d *d, p string, r raw) error {
			v, err := readText(p, r, maxHelper)
			return keepNew(&d.Helper, v, err)
		}},
		{"tcp_state", stateField(func(d *d) **uint8 { return &d.TCPState }, flow.ParseTCPState, flow.TCPStateName)},
		{"sctp_state", stateField(func(d *d) **uint8 { return &d.SCTPState }, flow.ParseSCTPState, flow.SCTPStateName)},
		{"orig_vtag", func(d *d, p string, r raw) error { return readUint32(&d.OrigVTag, p, r) }},
		{"reply_vtag", func(d *d, p string, r raw) error { return readUint32(&d.ReplyVTag, p, r) }},
		{"dccp_state", stateField(func(d *d) **uint8 { return &d.DCCPState }, flow.ParseDCCPState, flow.DCCPStateName)},
		{"role", stateField(func(d *d) **uint8 { return &d.DCCPRole }, flow.ParseDCCPRole, flow.DCCPRoleName)},
		{"label_add", func(d *d, p string, r raw) error { v, err := d.readLabels(p, r); return keep(&d.LabelAdd, v, err) }},
		{"label_del", (*d).readLabelDel},
	}
}

func readUint32(into **uint32, path string, raw []byte) error {
	v, err := readUint(path, raw, math.MaxUint32)
	return keepNew(into, uint32(v), err)
}

// stateField reads one of a protocol's words.
func stateField(at func(*changeDraft) **uint8, parse func(string) (uint8, bool), nameOf func(uint8) string) func(*changeDraft, string, json.RawMessage) error {
	return func(d *changeDraft, path string, raw json.RawMessage) error {
		var words []string
		for n := uint8(0); nameOf(n) != ""; n++ {
			words = append(words, nameOf(n))
		}
		v, err := readWord(path, raw, parse, wordList(words))
		return keepNew(at(d), v, err)
	}
}

func (d *changeDraft) readStatus(path string, raw json.RawMessage) error {
	return readList(path, raw, 32, func(path string, raw json.RawMessage) error {
		var words []string
		for n := 0; flow.StatusName(n) != ""; n++ {
			words = append(words, flow.StatusName(n))
		}
		bit, err := readWord(path, raw, flow.ParseStatus, wordList(words))
		if err == nil {
			d.Status |= bit
		}
		return err
	})
}

// readMark reads a number, or text such as "0x1/0xff". Without a mask all of
// the mark is replaced.
func readMark(path string, raw []byte) (flow.Masked, error) {
	s := string(raw)
	if len(raw) > 0 && raw[0] == '"' {
		s, _ = readText(path, raw, 32)
	}
	value, mask, masked := strings.Cut(s, "/")
	m := flow.Masked{Mask: math.MaxUint32}
	var ok1, ok2 bool
	m.Value, ok1 = parseNumber(value)
	if ok2 = !masked; masked {
		m.Mask, ok2 = parseNumber(mask)
	}
	if !ok1 || !ok2 {
		return m, wanted(path, `a number, or text such as "0x1/0xff"`, raw)
	}
	return m, nil
}

// parseNumber reads a decimal or 0x number; a leading zero, octal to some and
// decimal to others, is refused.
func parseNumber(s string) (uint32, bool) {
	base := 10
	if hex, ok := strings.CutPrefix(s, "0x"); ok {
		base, s = 16, hex
	} else if len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, base, 32)
	return uint32(n), err == nil
}

func allLabels() (all [16]byte) {
	for i := range all {
		all[i] = 0xff
	}
	return all
}

func (d *changeDraft) readLabelDel(path string, raw json.RawMessage) error {
	if string(raw) == `"all"` {
		all := allLabels()
		d.LabelDel = &all
		return nil
	}
	v, err := d.readLabels(path, raw)
	return keep(&d.LabelDel, v, err)
}

// readLabels reads a list of bit numbers, and of names where they are known.
func (d *changeDraft) readLabels(path string, raw []byte) (*[16]byte, error) {
	bits := new([16]byte)
	err := readList(path, raw, maxLabel+1, func(path string, raw json.RawMessage) error {
		n, err := readUint(path, raw, maxLabel)
		if s, isText := readText(path, raw, 64); isText == nil && d.label != nil {
			if bit, ok := d.label(s); ok && bit <= maxLabel {
				n, err = uint64(bit), nil
			}
		}
		if err != nil {
			return wanted(path, "a label's number from 0 to 127, or a name that this node knows", raw)
		}
		bits[n/8] |= 1 << (n % 8)
		return nil
	})
	return bits, err
}

// appendChange writes what readChange reads.
func appendChange(b []byte, c *Change) []byte {
	var w objectWriter
	if c.Timeout != nil {
		w.number("timeout", uint64(*c.Timeout))
	}
	if c.Mark != nil {
		w.text("mark", c.Mark.String())
	}
	if words := statusWords(c.Status); words != "" {
		w.raw("status", []byte(`["`+words+`"]`))
	}
	if c.Helper != nil {
		w.raw("helper", quote(*c.Helper))
	}
	writeState(&w, "tcp_state", c.TCPState, flow.TCPStateName)
	writeState(&w, "sctp_state", c.SCTPState, flow.SCTPStateName)
	if c.OrigVTag != nil {
		w.number("orig_vtag", uint64(*c.OrigVTag))
	}
	if c.ReplyVTag != nil {
		w.number("reply_vtag", uint64(*c.ReplyVTag))
	}
	writeState(&w, "dccp_state", c.DCCPState, flow.DCCPStateName)
	writeState(&w, "role", c.DCCPRole, flow.DCCPRoleName)
	writeLabels(&w, "label_add", c.LabelAdd)
	if c.LabelDel != nil && *c.LabelDel == allLabels() {
		w.text("label_del", "all")
	} else {
		writeLabels(&w, "label_del", c.LabelDel)
	}
	return append(b, w.end()...)
}

func statusWords(bits uint32) string {
	var words []string
	for n := 0; flow.StatusName(n) != ""; n++ {
		if bits>>n&1 != 0 {
			words = append(words, flow.StatusName(n))
		}
	}
	return strings.Join(words, `","`)
}

func writeState(w *objectWriter, name string, state *uint8, nameOf func(uint8) string) {
	if state != nil {
		w.text(name, nameOf(*state))
	}
}

func writeLabels(w *objectWriter, name string, bits *[16]byte) {
	if bits == nil {
		return
	}
	var labels []uint8
	for n := range uint8(maxLabel + 1) {
		if bits[n/8]>>(n%8)&1 != 0 {
			labels = append(labels, n)
		}
	}
	b := []byte{}
	for i, n := range labels {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(n), 10)
	}
	w.raw(name, append(append([]byte{'['}, b...), ']'))
}
