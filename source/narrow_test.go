package source

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

func optionsText(o flow.DumpOptions) string {
	text := o.Family.String()
	for name, m := range map[string]*flow.Masked{"mark": o.Mark, "status": o.Status} {
		if m != nil {
			text += " " + name + " " + m.String()
		}
	}
	if o.Zone != nil {
		text += fmt.Sprintf(" zone %d", *o.Zone)
	}
	return text
}

func TestNarrow(t *testing.T) {
	type l = []any
	type m = map[string]any
	for _, c := range []struct {
		filter m
		want   string
	}{
		{m{}, ""},
		{m{"family": "ipv4"}, "ipv4"},
		{m{"addr": "2001:db8::/32"}, "ipv6"},
		{m{"addr": l{"2001:db8::/32", "10.0.0.0/8"}}, ""},
		{m{"include": l{m{"src": "10.0.0.1"}, m{"dst": "10.0.0.1/255.0.0.255"}}}, "ipv4"},
		{m{"include": l{m{"src": "10.0.0.1"}, m{"proto": "tcp"}}}, ""},
		{m{"exclude": l{m{"family": "ipv6"}}}, "ipv4"},
		{m{"exclude": l{m{"family": "ipv6", "proto": "tcp"}}}, ""},
		{m{"exclude": l{m{"addr": "10.0.0.0/8"}, m{"mark": 1}, m{"zone": 1}}}, ""},
		{m{"mark": 5}, " mark 0x5/0xffffffff"},
		{m{"mark": "1/3"}, " mark 0x1/0x3"},
		{m{"mark": l{1, 2}}, ""},
		{m{"mark": "1-2"}, ""},
		{m{"mark": "0/0"}, ""},
		{m{"status": l{"ASSURED", "SEEN_REPLY"}}, " status 0x6/0x6"},
		{m{"status": "UNREPLIED"}, " status 0x0/0x2"},
		{m{"zone": 3}, " zone 3"},
		{m{"zone": 0}, ""},
		{m{"include": l{m{"zone": 3, "proto": "tcp"}, m{"zone": 3, "mark": 1}}}, " zone 3"},
		{m{"include": l{m{"zone": 3}, m{"zone": 4}}}, ""},
	} {
		if got := optionsText(narrow(filterOf(t, c.filter))); got != c.want {
			t.Errorf("%v: %q, want %q", c.filter, got, c.want)
		}
	}
	if got := optionsText(narrow(nil)); got != "" {
		t.Errorf("no filter: %q", got)
	}
}

// TestNarrowLosesNothing dumps a real table by random filters: what a narrowed
// dump gives and the filter passes is what a whole dump gives and it passes.
func TestNarrowLosesNothing(t *testing.T) {
	t.Parallel() // closing a socket takes the kernel longer than all else here
	ns := tracked(t)
	for i, c := range []testnet.Churn{{Entries: 40}, {Entries: 40, Mark: 5}, {Entries: 40, Zone: 2}, {Entries: 40, Zone: 2, Mark: 1}} {
		c.NS, c.First, c.Keep = ns, 1000*i, true
		if _, err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ns.Conntrack(t, "-I", "-p", "udp", "-s", "10.9.0.1", "-d", "10.9.0.2", "--sport", "9", "--dport", "53", "--timeout", "90", "--orig-zone", "2", "--mark", "5")
	conn, err := ctnetlink.Dial(ctnetlink.DialConfig{NetNS: ns.Path()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	dump := func(f *flow.Filter, o flow.DumpOptions) (ids []uint32, rows uint64) {
		rows, err := conn.Dump(t.Context(), flow.TableConntrack, o, func(b *flow.Batch) error {
			for i := range b.Events() {
				if e := &b.Events()[i]; f.Match(e) {
					ids = append(ids, e.ID)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(ids)
		return ids, rows
	}
	pool := map[string][]any{"family": {"ipv4", "ipv6"}, "mark": {0, 1, 5, "1/1", "0/4"}, "zone": {0, 2, 3}, "status": {"ASSURED", "UNREPLIED", "CONFIRMED"}, "src": {"10.0.0.0/8", "2001:db8::/32"}, "proto": {"tcp", "udp"}}
	names := []string{"family", "mark", "zone", "status", "src", "proto"}
	r := rand.New(rand.NewPCG(4, 5))
	narrowed := 0
	for range 40 {
		term := func() any {
			t := map[string]any{}
			for range 1 + r.IntN(3) {
				name := names[r.IntN(len(names))]
				t[name] = pool[name][r.IntN(len(pool[name]))]
			}
			return t
		}
		v := map[string]any{"include": []any{term()}}
		if r.IntN(3) == 0 {
			v = map[string]any{"include": []any{term(), term()}, "exclude": []any{term()}}
		}
		f, err := flow.ParseFilter(v)
		if err != nil {
			continue
		}
		all, rows := dump(f, flow.DumpOptions{})
		some, fewer := dump(f, narrow(f))
		if !slices.Equal(all, some) || fewer > rows {
			t.Fatalf("%s: %d rows pass of a whole dump, %d of one narrowed to %q", f, len(all), len(some), optionsText(narrow(f)))
		}
		if fewer < rows {
			narrowed++
		}
	}
	if narrowed < 8 {
		t.Errorf("%d dumps were narrowed", narrowed)
	}
}
