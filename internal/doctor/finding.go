package doctor

import (
	"encoding/json"
	"fmt"
)

// Severity is how bad a finding is. The order is that of badness.
type Severity uint8

// The severities.
const (
	OK      Severity = iota // looked at, and good
	Unknown                 // could not be looked at
	Warn                    // something is missing from records, or may be lost
	Fail                    // nothing arrives, or records are being lost
)

var severityNames = [...]string{"ok", "unknown", "warn", "fail"}

// String is the word in reports.
func (s Severity) String() string { return severityNames[s] }

// MarshalText writes the word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word.
func (s *Severity) UnmarshalText(text []byte) error {
	for i, name := range severityNames {
		if name == string(text) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no severity", text)
}

// Finding is what one check found about one thing. The JSON keys are stable,
// and always all there.
type Finding struct {
	ID       string   `json:"id"`       // the check's; stable
	Title    string   `json:"title"`    // what it is about, a few words
	Severity Severity `json:"severity"` // ok, unknown, warn, fail
	Subject  string   `json:"subject"`  // which one, where there may be several: a sink, a file, a namespace; else empty
	Found    string   `json:"found"`    // what was found
	Why      string   `json:"why"`      // why it matters, one line
	Fix      string   `json:"fix"`      // a command to paste; empty where there is nothing to mend, or no command does
}

// Schema is the name of the report's layout in JSON.
const Schema = "ctferry.doctor.v1"

// Report is everything that was found, in the order of the checks.
type Report struct {
	NetNS    string // the namespace that was looked at; "" is the process's own
	Findings []Finding
}

// Count tells how many findings have a severity.
func (r *Report) Count(s Severity) (n int) {
	for i := range r.Findings {
		if r.Findings[i].Severity == s {
			n++
		}
	}
	return n
}

// Sound reports that there is nothing to mend: everything that could be looked
// at is good.
func (r *Report) Sound() bool { return r.Count(Fail)+r.Count(Warn) == 0 }

// MarshalJSON writes the report under Schema.
func (r *Report) MarshalJSON() ([]byte, error) {
	findings := r.Findings
	if findings == nil {
		findings = []Finding{}
	}
	return json.Marshal(struct {
		Schema   string    `json:"schema"`
		NetNS    string    `json:"netns"`
		Sound    bool      `json:"sound"`
		Faults   int       `json:"faults"`
		Warnings int       `json:"warnings"`
		Unknown  int       `json:"unknown"`
		Checks   []Finding `json:"checks"`
	}{Schema, r.NetNS, r.Sound(), r.Count(Fail), r.Count(Warn), r.Count(Unknown), findings})
}
