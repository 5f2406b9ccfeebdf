package control

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

func TestResultJSON(t *testing.T) {
	var cpu flow.CPUStats
	cpu.CPU = 3
	cpu.Set(flow.StatFound, 0)
	cpu.Set(flow.StatInsert, 7)
	q, err := DecodeRequest([]byte(goodRequests[13]), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &Result{
		Request: "a", Node: "edge", Count: 5, Failed: 2, Spared: 3, Repeated: true, DryRun: true, Truncated: true, Interrupted: true,
		Failures: []Failure{
			{Index: 4, Err: &Error{Code: CodeKernel, Errno: "EBUSY", Message: "update: device or resource busy"}},
			{Index: -1, Event: q.Entries[0].Event, Err: &Error{Code: CodeExists, Field: "x", Message: "y"}},
		},
		Fill: &flow.TableFill{NetNS: "blue", Entries: 1, Max: 2}, CPUs: []flow.CPUStats{cpu, {CPU: 4}},
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var s Result
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if s.Failures[1].Event == nil || s.Failures[1].Event.Timeout != 60 {
		t.Errorf("%s: the failure's entry is %+v", b, s.Failures[1].Event)
	}
	r.Failures[1].Event, s.Failures[1].Event = nil, nil
	if !reflect.DeepEqual(*r, s) {
		t.Errorf("%s\nbecame %+v, was %+v", b, s, *r)
	}
}

// TestResultJSONFromElsewhere reads what other nodes may send.
func TestResultJSONFromElsewhere(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{`{"v":1,"count":1,"of_a_later_version":{"a":1}}`, ""},
		{`{"v":2,"count":1}`, "v: is 2"},
		{`{"count":1}`, "v: is 0"},
		{`{"v":1,"count":"1"}`, "count"},
		{`{"v":1,"failures":[{"index":0}]}`, "failures[0].error"},
		{`{"v":1,"failures":[{"index":0,"error":{"code":500,"message":"x"},"entry":{"schema":"z"}}]}`, "failures[0].entry: schema"},
		{`{"v":1,"cpus":[{"found":1}]}`, "cpus[0].cpu"},
	} {
		var r Result
		err := json.Unmarshal([]byte(c.text), &r)
		if (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s", c.text, err, c.says)
		}
	}
}
