package encode

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// recordDescriptor compiles the published .proto and gives its first message.
func recordDescriptor(t testing.TB) protoreflect.MessageDescriptor {
	t.Helper()
	c := protocompile.Compiler{SourceInfoMode: protocompile.SourceInfoStandard, Resolver: &protocompile.SourceResolver{ImportPaths: []string{"schemas"}}}
	files, err := c.Compile(context.Background(), "ctferry/v1/record.proto")
	if err != nil {
		t.Fatal(err)
	}
	return files[0].Messages().Get(0)
}

// TestMembersAreTheProtos holds the decoders' tables to the .proto, names, numbers and types.
func TestMembersAreTheProtos(t *testing.T) {
	d := recordDescriptor(t)
	if d.Name() != "Record" {
		t.Fatalf("the first message is %s, want Record", d.Name())
	}
	sameFields(t, d, recordMembers)
}

func sameFields(t *testing.T, d protoreflect.MessageDescriptor, members []member) {
	t.Helper()
	if d.Fields().Len() != len(members) {
		t.Errorf("%s has %d fields, the table has %d", d.Name(), d.Fields().Len(), len(members))
	}
	for i := range members {
		m := &members[i]
		f := d.Fields().ByNumber(m.num)
		if f == nil || string(f.Name()) != m.name {
			t.Errorf("%s: field %d is %v, the table says %s", d.Name(), m.num, f, m.name)
			continue
		}
		if want := protoKinds[m.kind]; !strings.Contains(want, " "+f.Kind().String()+" ") {
			t.Errorf("%s is %s, the table says%s", f.FullName(), f.Kind(), want)
		}
		if list := m.many || m.kind == kindWords; f.IsList() != list {
			t.Errorf("%s: is it a list: %v, the table says %v", f.FullName(), f.IsList(), list)
		}
		if m.kind == kindMessage {
			sameFields(t, f.Message(), m.inner)
		}
		if m.kind == kindEnum || m.kind == kindWords {
			sameWords(t, f, m)
		}
	}
}

var protoKinds = map[kind]string{
	kindString: " string ", kindUint8: " uint32 ", kindUint16: " uint32 ", kindUint32: " uint32 ", kindUint64: " uint64 ",
	kindInt64: " int64 ", kindZigZag: " sint64 ", kindBool: " bool ", kindTime: " fixed64 ", kindID: " fixed64 ",
	kindHex: " bytes ", kindUUID: " bytes ", kindAddr: " bytes ", kindEnum: " enum ", kindWords: " enum ",
	kindMap: " message ", kindMessage: " message ",
}

// wordOf is an enum value's word in JSON and XML.
func wordOf(e protoreflect.EnumDescriptor, v protoreflect.EnumValueDescriptor) string {
	zero := strings.TrimSuffix(string(e.Values().Get(0).Name()), "UNSPECIFIED")
	word := strings.TrimPrefix(string(v.Name()), zero)
	switch e.Name() {
	case "Status", "TcpState", "SctpState", "DccpState", "DccpRole", "ExpectFlag":
		return word
	}
	return strings.ToLower(word)
}

func sameWords(t *testing.T, f protoreflect.FieldDescriptor, m *member) {
	t.Helper()
	values := f.Enum().Values()
	for i := range values.Len() {
		v := values.Get(i)
		got, ok := m.enum(wordOf(f.Enum(), v))
		if v.Number() == 0 {
			if ok {
				t.Errorf("%s: the word for nothing is known", f.FullName())
			}
			continue
		}
		if !ok || got != uint64(v.Number()) {
			t.Errorf("%s: %s is %d, the .proto says %d", f.FullName(), wordOf(f.Enum(), v), got, v.Number())
		}
	}
}

// fromJSON fills a message from a record as JSON, by the names of the .proto alone.
func fromJSON(t *testing.T, m protoreflect.Message, object map[string]any) {
	t.Helper()
	for name, in := range object {
		f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if f == nil {
			t.Fatalf("%s has no field %s", m.Descriptor().Name(), name)
		}
		switch {
		case f.IsMap():
			for k, v := range in.(map[string]any) {
				m.Mutable(f).Map().Set(protoreflect.ValueOfString(k).MapKey(), protoreflect.ValueOfString(v.(string)))
			}
		case f.IsList():
			for _, v := range in.([]any) {
				m.Mutable(f).List().Append(protoValue(t, f, m.Mutable(f).List().NewElement(), v))
			}
		default:
			m.Set(f, protoValue(t, f, m.NewField(f), in))
		}
	}
}

func protoValue(t *testing.T, f protoreflect.FieldDescriptor, fresh protoreflect.Value, in any) protoreflect.Value {
	t.Helper()
	switch f.Kind() {
	case protoreflect.MessageKind:
		fromJSON(t, fresh.Message(), in.(map[string]any))
		return fresh
	case protoreflect.EnumKind:
		values := f.Enum().Values()
		for i := range values.Len() {
			if wordOf(f.Enum(), values.Get(i)) == in {
				return protoreflect.ValueOfEnum(values.Get(i).Number())
			}
		}
		t.Fatalf("%s has no word %v", f.FullName(), in)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(protoBytes(t, in.(string)))
	case protoreflect.Fixed64Kind:
		if v, err := strconv.ParseUint(in.(string), 16, 64); err == nil {
			return protoreflect.ValueOfUint64(v)
		}
		at, err := time.Parse(time.RFC3339Nano, in.(string))
		if err != nil {
			t.Fatal(err)
		}
		return protoreflect.ValueOfUint64(uint64(at.UnixNano()))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(protoInt(t, in)))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(protoInt(t, in))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind:
		return protoreflect.ValueOfInt64(int64(protoInt(t, in)))
	}
	return protoreflect.ValueOf(in)
}

func protoInt(t *testing.T, in any) uint64 {
	t.Helper()
	s := in.(json.Number).String()
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		i, err := strconv.ParseInt(s, 10, 64)
		if err != nil || i == math.MinInt64 && s != "-9223372036854775808" {
			t.Fatal(err)
		}
		return uint64(i)
	}
	return v
}

func protoBytes(t *testing.T, s string) []byte {
	t.Helper()
	if b, err := hex.DecodeString(strings.ReplaceAll(s, "-", "")); err == nil && len(b) == 16 {
		return b
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a.AsSlice()
}

// sameAsGoogle compares the encoder's bytes with those that the protobuf
// library makes of the same content, which it gets by way of JSON.
func sameAsGoogle(t *testing.T, d protoreflect.MessageDescriptor, name string, js, pb []byte) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(js))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(d)
	fromJSON(t, m, object)
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pb, want) {
		got := dynamicpb.NewMessage(d)
		err := proto.Unmarshal(pb, got)
		t.Errorf("%s: the bytes differ (equal messages: %v, %v)\n got %x\nwant %x\n%s", name, err, proto.Equal(got, m), pb, want, js)
	}
}

func TestProtobufIsAsItsLibraryWritesIt(t *testing.T) {
	d := recordDescriptor(t)
	withID, err := NewProjection(nil, nil, true, 1)
	if err != nil {
		t.Fatal(err)
	}
	js, pb := Formats()["json"].NewEncoder(withID), Formats()["protobuf"].NewEncoder(withID)
	for _, s := range corpus() {
		e := oneOf(t, s.name)
		sameAsGoogle(t, d, s.name, js.Append(nil, e), pb.Append(nil, e))
	}
	for seed := range uint64(400) {
		e := randomEvent(seed)
		sameAsGoogle(t, d, "random "+strconv.FormatUint(seed, 10), js.Append(nil, e), pb.Append(nil, e))
	}
}
