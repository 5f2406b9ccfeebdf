package encode

import (
	"encoding/json"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

func wantAgent(a *flow.Agent) object {
	o := object{"uptime_ns": a.Uptime, "last_seq": a.LastSeq}
	o.put(a.Reason != "", "reason", a.Reason)
	o.put(a.Version != "", "version", a.Version)
	o.put(a.Kernel != "", "kernel", a.Kernel)
	o.put(a.Acct != nil, "acct", a.Acct)
	o.put(a.Stamps != nil, "timestamp", a.Stamps)
	o.put(a.Events != nil, "events", a.Events)
	clock := object{"steps": a.Clock.Steps}
	clock.put(a.Clock.Synced != nil, "synced", a.Clock.Synced)
	clock.put(a.Clock.Last != 0, "last_step_ns", a.Clock.Last)
	o["clock"] = clock
	var tables, sockets []object
	for _, f := range a.Tables {
		table := object{"entries": f.Entries, "max": f.Max}
		table.put(f.NetNS != "", "netns", f.NetNS)
		tables = append(tables, table)
	}
	for _, b := range a.Sockets {
		socket := object{
			"offered": b.Offered, "received": b.Received, "lost": b.Lost, "emitted": b.Emitted, "excluded": b.Excluded,
			"malformed": b.Malformed, "foreign": b.Foreign, "last_seq": b.LastSeq, "buffer": b.Buffer, "queued": b.Queued,
			"growths": b.Growths,
		}
		socket.put(b.NetNS != "", "netns", b.NetNS)
		socket.put(b.Reliable || b.LetGo > 0, "reliable", b.Reliable)
		socket.put(b.Reliable || b.LetGo > 0, "let_go", b.LetGo)
		socket.put(b.KernelFilter, "kernel_filter", true)
		socket.put(b.Refused != nil, "refused", b.Refused)
		track := object{
			"flows": b.Track.Flows, "max_flows": b.Track.Max, "added": b.Track.Added, "ended": b.Track.Ended, "untracked": b.Track.Untracked, "synthetic": b.Track.Synthetic, "interim": b.Track.Interim, "suppressed": b.Track.Suppressed, "contradicted": b.Track.Contradicted, "reconciled": b.Track.Reconciled, "failed": b.Track.Failed,
		}
		socket.put(b.Track != flow.TrackBooks{}, "track", track)
		sockets = append(sockets, socket)
	}
	o.put(len(tables) > 0, "tables", tables)
	o.put(len(sockets) > 0, "sockets", sockets)
	o.put(len(a.Warnings) > 0, "warnings", a.Warnings)
	if b := a.Sink; b != nil {
		sink := object{
			"offered": b.Offered, "recovered": b.Recovered, "delivered": b.Delivered, "dead_lettered": b.DeadLettered, "held": b.Held,
			"bytes": b.Bytes, "retries": b.Retries, "last_seq": b.LastSeq, "up": b.Up,
		}
		sink.put(b.Name != "", "name", b.Name)
		sink.put(b.LastError != "", "last_error", b.LastError)
		sink.put(len(b.Dropped) > 0, "dropped", wantTallies(b.Dropped))
		sink.put(len(b.Errors) > 0, "errors", wantTallies(b.Errors))
		o["sink"] = sink
	}
	return o
}

func wantTallies(list []flow.Drop) []object {
	var out []object
	for _, d := range list {
		o := object{"count": d.Count}
		o.put(d.Reason != "", "reason", d.Reason)
		out = append(out, o)
	}
	return out
}

// TestJSONString compares every short byte sequence's string with encoding/json's.
func TestJSONString(t *testing.T) {
	check := func(s string) {
		t.Helper()
		got := jsonString(nil, s)
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var a, b string
		if err := json.Unmarshal(got, &a); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if err := json.Unmarshal(want, &b); err != nil || a != b {
			t.Fatalf("%q: got %q want %q (%v)", s, a, b, err)
		}
	}
	for i := range 256 {
		check(string([]byte{byte(i)}))
		for j := range 256 {
			check(string([]byte{'a', byte(i), byte(j)}))
		}
	}
	for r := rune(0x7f); r < 0x3000; r++ {
		check(string(r))
	}
}
