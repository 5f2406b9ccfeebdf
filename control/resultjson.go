package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// maxCPUs bounds how many CPUs a result may tell of.
const maxCPUs = 8192

// asError finds the *Error in err.
func asError(err error, into **Error) bool { return errors.As(err, into) }

// errorJSON is an Error in JSON.
type errorJSON struct {
	Code    Code   `json:"code"`
	Field   string `json:"field,omitempty"`
	Errno   string `json:"errno,omitempty"`
	Message string `json:"message"`
}

// MarshalJSON writes code, field, errno and message.
func (e *Error) MarshalJSON() ([]byte, error) { return json.Marshal((*errorJSON)(e)) }

// UnmarshalJSON reads what MarshalJSON writes. A member that is not known is
// passed over: it is of a later version.
func (e *Error) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*errorJSON)(e)) }

// resultJSON is a Result in JSON, but for what it has of events and counters.
type resultJSON struct {
	V           int                 `json:"v"`
	Request     string              `json:"request,omitempty"`
	Node        string              `json:"node,omitempty"`
	Count       uint64              `json:"count"`
	Failed      uint64              `json:"failed,omitempty"`
	Failures    []failureJSON       `json:"failures,omitempty"`
	Spared      uint64              `json:"spared,omitempty"`
	Repeated    bool                `json:"repeated,omitempty"`
	DryRun      bool                `json:"dry_run,omitempty"`
	Truncated   bool                `json:"truncated,omitempty"`
	Interrupted bool                `json:"interrupted,omitempty"`
	Fill        *fillJSON           `json:"fill,omitempty"`
	CPUs        []map[string]uint32 `json:"cpus,omitempty"` // "cpu" and the counters by conntrack's names
}

type failureJSON struct {
	Index int             `json:"index"`
	Entry json.RawMessage `json:"entry,omitempty"` // a record
	Err   *Error          `json:"error"`
}

type fillJSON struct {
	NetNS   string `json:"netns,omitempty"`
	Entries uint32 `json:"entries"`
	Max     uint32 `json:"max"`
}

// MarshalJSON writes the result; the entries of its failures are records.
func (r *Result) MarshalJSON() ([]byte, error) {
	out := resultJSON{
		V: Version, Request: r.Request, Node: r.Node, Count: r.Count, Failed: r.Failed, Spared: r.Spared,
		Repeated: r.Repeated, DryRun: r.DryRun, Truncated: r.Truncated, Interrupted: r.Interrupted, Fill: (*fillJSON)(r.Fill),
	}
	enc := encode.Formats()["json"].NewEncoder(encode.Projection{})
	for _, f := range r.Failures[:min(len(r.Failures), MaxFailures)] {
		j := failureJSON{Index: f.Index, Err: f.Err}
		if f.Event != nil {
			j.Entry = enc.Append(nil, named(*f.Event))
		}
		out.Failures = append(out.Failures, j)
	}
	for i := range r.CPUs {
		c := map[string]uint32{"cpu": uint32(r.CPUs[i].CPU)}
		for _, s := range r.CPUs[i].Present() {
			c[s.String()], _ = r.CPUs[i].Get(s)
		}
		out.CPUs = append(out.CPUs, c)
	}
	return json.Marshal(&out)
}

// UnmarshalJSON reads what MarshalJSON writes. Unlike a request's, a member that
// is not known is passed over: nodes may be newer than who asks them.
func (r *Result) UnmarshalJSON(data []byte) error {
	var in resultJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	switch {
	case in.V != Version:
		return fmt.Errorf("result: v: is %d, expected %d", in.V, Version)
	case len(in.Failures) > MaxFailures:
		return fmt.Errorf("result: failures: %d are too many: at most %d", len(in.Failures), MaxFailures)
	case len(in.CPUs) > maxCPUs:
		return fmt.Errorf("result: cpus: %d are too many: at most %d", len(in.CPUs), maxCPUs)
	}
	out := Result{
		Request: in.Request, Node: in.Node, Count: in.Count, Failed: in.Failed, Spared: in.Spared,
		Repeated: in.Repeated, DryRun: in.DryRun, Truncated: in.Truncated, Interrupted: in.Interrupted, Fill: (*flow.TableFill)(in.Fill),
	}
	if err := out.readFailures(in.Failures); err != nil {
		return err
	}
	if err := out.readCPUs(in.CPUs); err != nil {
		return err
	}
	*r = out
	return nil
}

func (r *Result) readFailures(list []failureJSON) error {
	dec := encode.Formats()["json"].NewDecoder()
	for i, j := range list {
		f := Failure{Index: j.Index, Err: j.Err}
		if j.Err == nil {
			return fmt.Errorf("result: failures[%d].error: is absent", i)
		}
		if len(j.Entry) > 0 {
			b := flow.NewBatch(1)
			if err := dec.Decode(b, j.Entry); err != nil {
				return fmt.Errorf("result: failures[%d].entry: %w", i, err)
			}
			f.Event = &b.Events()[0]
		}
		r.Failures = append(r.Failures, f)
	}
	return nil
}

func (r *Result) readCPUs(list []map[string]uint32) error {
	for i, m := range list {
		n, ok := m["cpu"]
		if !ok || n > math.MaxUint16 {
			return fmt.Errorf("result: cpus[%d].cpu: expected a number from 0 to %s", i, strconv.Itoa(math.MaxUint16))
		}
		c := flow.CPUStats{CPU: uint16(n)}
		for s := flow.CPUStat(0); s.String() != ""; s++ {
			if v, ok := m[s.String()]; ok {
				c.Set(s, v)
			}
		}
		r.CPUs = append(r.CPUs, c)
	}
	return nil
}
