package encode

import (
	"strings"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// TestStrictJSON reads every record of the corpus strictly, and refuses what the
// other decoder passes over.
func TestStrictJSON(t *testing.T) {
	for _, c := range corpus() {
		record := jsonFormat().NewEncoder(Projection{}).Append(nil, newEvent(flow.NewBatch(1), c.fill))
		if err := NewStrictJSONDecoder().Decode(flow.NewBatch(1), record); err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, record)
		}
	}
	const head = `{"schema":"ctferry.v1","event_type":"new","table":"conntrack"`
	for _, c := range []struct{ tail, want string }{
		{`,"tiemout":5}`, "tiemout: no such field"},
		{`,"orig":{"scr":"10.0.0.1"}}`, "orig.scr: no such field"},
		{`,"tcp":{"state":"ESTABLISHD"}}`, `tcp.state: is "ESTABLISHD", a word that is not known`},
		{`,"status":["ASURED"]}`, `status: is "ASURED"`},
		{`,"mark":1,"mark":2}`, "mark: comes twice"},
		{`,"orig":{"sport":1,"sport":1}}`, "orig.sport: comes twice"},
	} {
		err := NewStrictJSONDecoder().Decode(flow.NewBatch(1), []byte(head+c.tail))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.tail, err, c.want)
		}
		if err := jsonFormat().NewDecoder().Decode(flow.NewBatch(1), []byte(head+c.tail)); err != nil {
			t.Errorf("%s: the lenient decoder says %v", c.tail, err)
		}
	}
}
