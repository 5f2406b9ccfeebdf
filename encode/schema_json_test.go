package encode

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ctferry/ctferry/source/flow"
)

// jsonSchema compiles the published schema.
func jsonSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("schemas/record.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(t *testing.T, schema *jsonschema.Schema, name string, record []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(record))
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, record)
	}
	if err := schema.Validate(doc); err != nil {
		t.Errorf("%s: %v\n%s", name, err, record)
	}
}

func TestJSONIsAsItsSchemaSays(t *testing.T) {
	schema := jsonSchema(t)
	withID, err := NewProjection(nil, nil, true, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Projection{{}, withID} {
		enc := Formats()["json"].NewEncoder(p)
		for _, s := range corpus() {
			validate(t, schema, s.name, enc.Append(nil, oneOf(t, s.name)))
		}
	}
	for seed := range uint64(400) {
		e := randomEvent(seed)
		if e.Type == flow.TypeGap && e.Gap == nil || e.Type == flow.TypeStatus && e.Agent == nil {
			continue // no reader makes these
		}
		enc := Formats()["json"].NewEncoder(withID)
		validate(t, schema, "random", enc.Append(nil, e))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func randomEvent(seed uint64) *flow.Event {
	r := rand.New(rand.NewPCG(seed, 7))
	b := flow.NewBatch(1)
	soil(b)
	return newEvent(b, func(b *flow.Batch, e *flow.Event) { fillRandom(r, b, e) })
}

// TestJSONSchemaRefuses shows that the schema is not simply lax.
func TestJSONSchemaRefuses(t *testing.T) {
	schema := jsonSchema(t)
	good := Formats()["json"].NewEncoder(Projection{}).Append(nil, oneOf(t, "tcp_destroy"))
	for _, change := range [][2]string{
		{`"schema":"ctferry.v1"`, `"schema":"ctferry.v2"`},
		{`"seq":41`, `"seq":"41"`},
		{`"seq":41`, `"seq":-1`},
		{`"seq":41`, `"seq":41,"colour":"red"`},
		{`"sport":40000`, `"sport":65536`},
		{`"src":"10.0.0.1"`, `"src":"10.0.0.256"`},
		{`.000000007Z"`, `Z"`},
		{`"ASSURED"`, `"RELAXED"`},
		{`"proto_num":6`, `"proto_num":null`},
		{`"flow_id":"00c0ffee12345678"`, `"flow_id":54324670505156216`},
	} {
		bad := bytes.Replace(good, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(good, bad) {
			t.Fatalf("%s is not in %s", change[0], good)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(bad))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(doc) == nil {
			t.Errorf("the schema accepts %s", change[1])
		}
	}
}

// TestJSONSchemaHasEveryField holds the schema to the members' names, and to
// describing each.
func TestJSONSchemaHasEveryField(t *testing.T) {
	schema := jsonSchema(t)
	sameNames(t, "Record", schema, recordMembers)
}

func sameNames(t *testing.T, where string, s *jsonschema.Schema, members []member) {
	t.Helper()
	var names []string
	for i := range members {
		m := &members[i]
		names = append(names, m.name)
		p := s.Properties[m.name]
		switch {
		case p == nil:
			continue
		case p.Description == "":
			t.Errorf("%s.%s has no description", where, m.name)
		case m.kind == kindMessage && m.many:
			sameNames(t, where+"."+m.name, p.Items2020.Ref, m.inner)
		case m.kind == kindMessage:
			sameNames(t, where+"."+m.name, p.Ref, m.inner)
		}
	}
	slices.Sort(names)
	if got := slices.Sorted(maps.Keys(s.Properties)); !slices.Equal(got, names) {
		t.Errorf("%s: the schema has\n%v, want\n%v", where, got, names)
	}
}
