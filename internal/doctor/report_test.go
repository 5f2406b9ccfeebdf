package doctor

import (
	"encoding/json"
	"strings"
	"testing"
)

func sample() *Report {
	return &Report{NetNS: "blue", Findings: []Finding{
		{ID: "capability", Title: "t", Found: "is effective", Why: "w"},
		{ID: "broker", Title: "t", Severity: Fail, Subject: "sinks.siem", Found: "refused", Why: "nothing arrives", Fix: "nc -vz b 1"},
		{ID: "acct", Title: "t", Severity: Warn, Found: "is 0", Why: "no bytes", Fix: "sysctl -w x=1"},
		{ID: "drops", Title: "t", Severity: Unknown, Found: "cannot be told", Why: "w"},
	}}
}

func TestPrint(t *testing.T) {
	const problems = `fail     broker        sinks.siem: refused
         why           nothing arrives
         fix           nc -vz b 1
warn     acct          is 0
         why           no bytes
         fix           sysctl -w x=1
unknown  drops         cannot be told
         why           w
1 fault, 1 warning, 1 good, 1 could not be looked at
`
	for all, want := range map[bool]string{false: problems, true: "ok       capability    is effective\n" + problems} {
		var b strings.Builder
		if err := sample().Print(&b, all); err != nil || b.String() != want {
			t.Errorf("%v:\n%s", err, b.String())
		}
	}
	var b strings.Builder
	if err := (&Report{Findings: sample().Findings[:1]}).Print(&b, false); err != nil || b.String() != "sound: 1 check, nothing to mend\n" {
		t.Error(b.String(), err)
	}
}

// TestJSON holds the layout of ctferry.doctor.v1: docs/doctor.md tells of it.
func TestJSON(t *testing.T) {
	const want = `{"schema":"ctferry.doctor.v1","netns":"blue","sound":false,"faults":1,"warnings":1,"unknown":1,"checks":[` +
		`{"id":"capability","title":"t","severity":"ok","subject":"","found":"is effective","why":"w","fix":""},` +
		`{"id":"broker","title":"t","severity":"fail","subject":"sinks.siem","found":"refused","why":"nothing arrives","fix":"nc -vz b 1"},` +
		`{"id":"acct","title":"t","severity":"warn","subject":"","found":"is 0","why":"no bytes","fix":"sysctl -w x=1"},` +
		`{"id":"drops","title":"t","severity":"unknown","subject":"","found":"cannot be told","why":"w","fix":""}]}`
	if got, err := json.Marshal(sample()); err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	var f Finding
	if err := json.Unmarshal([]byte(`{"severity":"warn"}`), &f); err != nil || f.Severity != Warn {
		t.Error(f, err)
	}
	if err := json.Unmarshal([]byte(`{"severity":"dire"}`), &f); err == nil {
		t.Error("a severity that is none is no error")
	}
	if got, err := json.Marshal(&Report{}); err != nil || !strings.Contains(string(got), `"sound":true,"faults":0,"warnings":0,"unknown":0,"checks":[]`) {
		t.Errorf("%s, %v", got, err)
	}
}
