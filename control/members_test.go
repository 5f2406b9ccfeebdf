package control

import (
	"encoding/json"
	"reflect"
	"testing"
)

// membersSlowly is what members must say, by encoding/json alone.
func membersSlowly(t *testing.T, text string) map[string]json.RawMessage {
	t.Helper()
	var want map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		return nil
	}
	return want
}

func checkMembers(t *testing.T, text string) {
	t.Helper()
	want := membersSlowly(t, text)
	list, err := members("", []byte(text))
	if (want == nil) != (err != nil) && json.Valid([]byte(text)) {
		t.Fatalf("%q: %v, expected %v", text, err, want)
	}
	if err != nil || want == nil {
		return
	}
	got := map[string]json.RawMessage{}
	for _, m := range list {
		got[m.name] = m.raw
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q: %s, expected %s", text, got, want)
	}
}

// memberTexts are objects, spelled in every way, and what is none.
func memberTexts() []string {
	return []string{
		`{}`, ` { } `, `{"a":1}`, "{\n\t\"a\" : 1 ,\r\n \"b\":[1, {\"c\":\"}\"}] , \"d\" : {\"e\":[]} }\n", `{"a":"\"","b":"\\","c":"{,:"}`,
		`{"\u0061":1}`, `{"ä":true}`, `{"":null,"x":-1.5e+7,"y":false}`, `{"a":{"b":{"c":[[],[{}]]}},"z":0}`, `{"a":"é\n"}`,
		`[]`, `1`, `"a"`, ``, ` `, `{`, `{"a"`, `{"a":}`, `{"a":1,}`, `{"a":tru}`, `{"a":1} {`, `null`,
	}
}

func TestMembers(t *testing.T) {
	for _, text := range memberTexts() {
		checkMembers(t, text)
	}
}

func FuzzMembers(f *testing.F) {
	for _, text := range memberTexts() {
		f.Add(text)
	}
	f.Fuzz(checkMembers)
}
