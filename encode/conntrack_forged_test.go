package encode_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// atOnce is how many events are sent before conntrack is waited for: its
// socket has room for 166.
const atOnce = 80

// printed lets conntrack print forged events.
func printed(t *testing.T, ns *testnet.Namespace, env []string, options string, events []*flow.Event) []string {
	t.Helper()
	w := watching(t, ns, flow.TableConntrack, env, strings.Split(options, ",")...)
	head := 0
	if strings.HasPrefix(options, "xml") {
		head = 2
	}
	sent := 0
	for some := range slices.Chunk(events, atOnce) {
		forge(t, ns, some)
		sent += len(some)
		w.await(head + sent)
	}
	return w.stop()
}

// document is what we print of events.
func document(text *encode.Text, events []*flow.Event) []string {
	var out []byte
	if text.XML {
		out = encode.AppendXMLHeader(out, flow.TableConntrack)
	}
	for _, e := range events {
		out = append(text.AppendEvent(out, e), '\n')
	}
	if text.XML {
		out = encode.AppendXMLFooter(out, flow.TableConntrack)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// same compares lines, ours first.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if !agree(got[i], want[i]) {
			t.Fatalf("%s: line %d\n  ours %s\n  tool %s", what, i+1, ourLine(got[i]), toolLine(want[i]))
		}
	}
	if len(got) != len(want) {
		n := min(len(got), len(want))
		t.Fatalf("%s: %d lines, conntrack has %d\n  ours %q\n  tool %q", what, len(got), len(want), got[n:], want[n:])
	}
}

// TestRandomEventsPrintAsConntrackDoes has conntrack print events of every kind
// that a kernel could send, in every format and in places of the world whose
// clocks go differently.
func TestRandomEventsPrintAsConntrackDoes(t *testing.T) {
	ns := testnet.New(t)
	tool(t)
	events := randomEvents(800)
	for _, zone := range []string{"UTC", "America/New_York", "Asia/Kathmandu"} {
		location, err := time.LoadLocation(zone)
		if err != nil {
			testnet.Unavailable(t, "no time zones: %v", err)
		}
		for _, o := range outputs() {
			if zone != "UTC" && !o.text.KTimestamp {
				continue
			}
			o.text.Now, o.text.Location = time.Now().UnixNano(), location
			want := printed(t, ns, []string{"TZ=" + zone}, o.options, events)
			same(t, o.options+" "+zone, document(&o.text, events), want)
		}
	}
}

// randomEvents makes the events of the seeds from 0 on.
func randomEvents(n int) (events []*flow.Event) {
	b := flow.NewBatch(n)
	for seed := range n {
		events = append(events, randomEvent(rand.New(rand.NewPCG(uint64(seed), 7)), b))
	}
	return events
}

// TestLivingFlow compares the age of a flow that has not stopped: it is counted
// from the time of printing.
func TestLivingFlow(t *testing.T) {
	ns := testnet.New(t)
	tool(t)
	for _, o := range []output{{"ktimestamp", encode.Text{KTimestamp: true}}, {"xml,ktimestamp", encode.Text{XML: true, KTimestamp: true}}} {
		for _, fraction := range []int64{0, 1, 499_999_999, 999_999_999} {
			b := flow.NewBatch(1)
			e := randomEvent(rand.New(rand.NewPCG(1, 1)), b)
			e.Has = e.Has&^flow.HasStop | flow.HasStart
			e.Start = 1_700_000_000_000_000_000 + fraction
			for try := 0; ; try++ {
				o.text.Now = time.Now().UnixNano()
				want := printed(t, ns, nil, o.options, []*flow.Event{e})
				got := document(&o.text, []*flow.Event{e})
				if try < 5 && time.Now().Unix() != o.text.Now/1e9 {
					continue // the second ended meanwhile
				}
				same(t, o.options, got, want)
				break
			}
		}
	}
}
