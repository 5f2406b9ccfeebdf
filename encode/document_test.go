package encode

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/ctferry/ctferry/source/flow"
)

const recordHead = `# The record

Schema ` + "`ctferry.v1`" + `: one event, dump row, gap or status. Made by a test from the comments of
[record.proto](../encode/schemas/ctferry/v1/record.proto); what stands under XML was found by
encoding. Fields are only ever added. Absent is not zero: what the kernel did not send is not
in the record.

- JSON: one object a line; the fields have the names below, dots are levels. Times are RFC 3339 in
  UTC with nine digits, 64-bit identifiers hexadecimal texts, counters numbers. Its
  [schema](../encode/schemas/record.schema.json).
- XML: one element a line, ` + "`flow`, `expect`, `gap` or `status`" + `, of which the paths below are
  relative. What conntrack(8) has an element for stands in that. Its [schema](../encode/schemas/record.xsd).
- Protobuf: ` + "`ctferry.v1.Record`" + `, the numbers are those of its fields; in a file each stands behind its length.

A sink's ` + "`fields`, `omit`" + ` and ` + "`omit_destination`" + ` say which are written. Those that are always
there cannot be left out.
`

// TestRecordDocument makes docs/record.md.
func TestRecordDocument(t *testing.T) {
	d := recordDescriptor(t)
	places := xmlPlaces(t)
	var b strings.Builder
	b.WriteString(recordHead)
	fmt.Fprintf(&b, "\n## Fields\n\n| field | number | type | present | meaning | XML |\n|---|---|---|---|---|---|\n")
	written := map[protoreflect.FullName]bool{}
	var enums []protoreflect.EnumDescriptor
	documentFields(t, &b, d, "", places, &enums, written)
	b.WriteString("\n## Words\n")
	slices.SortFunc(enums, func(x, y protoreflect.EnumDescriptor) int { return cmp.Compare(x.Name(), y.Name()) })
	for _, e := range slices.CompactFunc(enums, func(x, y protoreflect.EnumDescriptor) bool { return x.FullName() == y.FullName() }) {
		var words []string
		for i := 1; i < e.Values().Len(); i++ {
			words = append(words, fmt.Sprintf("`%s` %d", wordOf(e, e.Values().Get(i)), e.Values().Get(i).Number()))
		}
		fmt.Fprintf(&b, "\n**%s** — %s The number is protobuf's.\n%s.\n", e.Name(), comment(t, e), strings.Join(words, ", "))
	}
	const file = "../docs/record.md"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != b.String() {
		t.Errorf("%s is stale (%v): run the test with -update", file, err)
	}
}

func documentFields(t *testing.T, b *strings.Builder, d protoreflect.MessageDescriptor, path string, places map[string]string, enums *[]protoreflect.EnumDescriptor, written map[protoreflect.FullName]bool) {
	t.Helper()
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		at := strings.TrimPrefix(path+"."+string(f.Name()), ".")
		message := f.Kind() == protoreflect.MessageKind && !f.IsMap()
		place := places[at]
		if message && !strings.Contains(at, "expect.") {
			place = "" // its fields have places
		}
		if e := f.Enum(); e != nil {
			*enums = append(*enums, e)
		}
		if f.IsMap() {
			place = "tag[key]"
		}
		if place != "" {
			place = "`" + place + "`"
		}
		fmt.Fprintf(b, "| `%s` | %d | %s | %s | %s | %s |\n", at, f.Number(), protoType(f), whenPresent(at), comment(t, f), place)
		if !message {
			continue
		}
		if f.Message().Name() == "Tuple" && written["Tuple"] && at != "reply" {
			fmt.Fprintf(b, "| `%s.…` | | | | as in `orig` | |\n", at)
			continue
		}
		written[protoreflect.FullName(f.Message().Name())] = true
		documentFields(t, b, f.Message(), at, places, enums, written)
	}
}

func comment(t *testing.T, d protoreflect.Descriptor) string {
	t.Helper()
	text := strings.Join(strings.Fields(d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments), " ")
	if text == "" {
		t.Errorf("%s has no comment", d.FullName())
	}
	return strings.ReplaceAll(text, "|", `\|`)
}

func protoType(f protoreflect.FieldDescriptor) string {
	name := f.Kind().String()
	switch {
	case f.IsMap():
		return "mapping of texts"
	case f.Enum() != nil:
		name = string(f.Enum().Name())
	case f.Message() != nil:
		name = string(f.Message().Name())
	}
	if f.IsList() {
		return "list of " + name
	}
	return name
}

// whenPresent says when a field is in a record, beside what its comment says.
func whenPresent(at string) string {
	top, _, _ := strings.Cut(at, ".")
	last := at[strings.LastIndexByte(at, '.')+1:]
	groups := map[string]string{
		"gap": "gap records", "agent": "status records", "expect": "records of the expect table", "dump_id": "dump and dump_end", "dump_reason": "dump and dump_end",
		"counters_reset": "dump and dump_end", "dump_count": "dump_end", "dump_complete": "dump_end", "interval_ns": "with deltas",
		"synthetic": "inferred records", "since": "inferred records", "until": "inferred records", "community_id": "with community_id: true",
		"nat": "translated flows", "start": "if the kernel keeps times", "stop": "destroy, if the kernel keeps times", "duration_ns": "with start and stop",
		"close_reason": "destroy, if it is known", "netns": "of a namespace with a name", "meta": "if it is configured", "boot_id": "always, unless left out",
		"time_source": "always, unless left out", "received": "where time is another's", "table": "all but gap and status records",
		"flow_id": "flows and expectations", "family": "flows and expectations",
	}
	switch {
	case slices.Contains([]string{"schema", "event_type", "time", "node", "run", "seq"}, at):
		return "always"
	case strings.HasSuffix(last, "_delta"):
		return "interim, and destroy, with source.interim"
	case top != "agent" && (last == "packets" || last == "bytes"):
		return "if the kernel counts"
	case at == "nat.community_id":
		return "translated flows, with community_id: true"
	case groups[top] != "":
		return groups[top]
	}
	return "if the kernel tells it"
}

// xmlPlaces finds where each of JSON's values stands in XML: the place that has
// the same value in every event, of which there are enough that no other has.
func xmlPlaces(t *testing.T) map[string]string {
	t.Helper()
	p, err := NewProjection(nil, nil, true, 1)
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]map[string]bool{}
	asJSON, asXML := Formats()["json"].NewEncoder(p), Formats()["xml"].NewEncoder(p)
	see := func(e *flow.Event) {
		values, places := flatJSON(t, asJSON.Append(nil, e)), flatXML(t, asXML.Append(nil, e))
		for path, value := range values {
			if strange(value) {
				continue
			}
			if left[path] == nil {
				left[path] = map[string]bool{}
				for place := range places {
					left[path][place] = true
				}
			}
			for place := range left[path] {
				if !alike(value, places[place]) {
					delete(left[path], place)
				}
			}
		}
	}
	for _, s := range corpus() {
		see(oneOf(t, s.name))
	}
	for seed := range uint64(1500) {
		see(randomEvent(seed))
	}
	out := map[string]string{}
	for path, places := range left {
		best := ""
		for place := range places {
			if best == "" || len(place) < len(best) || len(place) == len(best) && place < best {
				best = place
			}
		}
		out[path] = best
	}
	return out
}

// strange tells a text that XML cannot hold as it is, or that may be parted.
func strange(s string) bool {
	return strings.Join(strings.Fields(s), " ") != s || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar })
}

// alike compares a value of JSON with one of XML, which writes some otherwise.
func alike(j, x string) bool {
	if j == x {
		return true
	}
	if n, err := strconv.ParseUint(strings.TrimPrefix(x, "0x"), 16, 32); err == nil && strings.HasPrefix(x, "0x") && j == strconv.FormatUint(n, 10) {
		return true // GRE keys
	}
	at, err := time.Parse(time.RFC3339Nano, j)
	return err == nil && x == strconv.FormatInt(at.UnixNano(), 10)
}

// flatJSON gives the values of a record by their paths; lists are joined.
func flatJSON(t *testing.T, record []byte) map[string]string {
	t.Helper()
	var v map[string]any
	d := json.NewDecoder(bytes.NewReader(record))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	flatten(out, "", v)
	return out
}

func flatten(out map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if path == "meta" {
			return
		}
		for k, item := range v {
			flatten(out, strings.TrimPrefix(path+"."+k, "."), item)
		}
	case []any:
		for _, item := range v {
			if o, ok := item.(map[string]any); ok {
				flatten(out, path, o)
				continue
			}
			out[path] = strings.TrimSpace(out[path] + " " + fmt.Sprint(item))
		}
	default:
		out[path] = strings.TrimSpace(out[path] + " " + fmt.Sprint(v))
	}
}

// flatXML does the same for elements and attributes below the root.
func flatXML(t *testing.T, record []byte) map[string]string {
	t.Helper()
	out := map[string]string{}
	var stack []string
	put := func(value string) {
		at := strings.Join(stack[1:], "/")
		out[at] = strings.TrimSpace(out[at] + " " + value)
	}
	for d := xml.NewDecoder(bytes.NewReader(record)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			name := x.Name.Local
			for _, a := range x.Attr {
				if a.Name.Local == "direction" && name == "meta" {
					name += "[" + a.Value + "]"
				}
			}
			stack = append(stack, name)
			for _, a := range x.Attr {
				stack = append(stack, "@"+a.Name.Local)
				put(a.Value)
				stack = stack[:len(stack)-1]
			}
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			put(strings.Join(strings.Fields(string(x)), " "))
		}
	}
}
