package testnet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// grep counts the lines that contain all the words.
func grep(lines []string, words ...string) int {
	n := 0
next:
	for _, line := range lines {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue next
			}
		}
		n++
	}
	return n
}

func TestChurnFillsTheTable(t *testing.T) {
	ns := New(t)
	c := Churn{NS: ns, Entries: 803, First: 5, Keep: true, Mark: 0x2a, Zone: 7}
	done, err := c.Run(t.Context())
	if err != nil || done.Created != 803 || done.Events() != 803 {
		t.Fatalf("made %+v: %v", done, err)
	}
	both := append(ns.Conntrack(t, "-L", "-f", "ipv4"), ns.Conntrack(t, "-L", "-f", "ipv6")...)
	for proto, want := range map[string]int{"udp ": 200, "tcp ": 200, "icmp ": 100, "icmpv6 ": 101, "sctp ": 202} {
		if got := grep(both, proto, "mark=42", "zone=7", "ASSURED"); got != want {
			t.Errorf("%s: %d entries, expected %d", proto, got, want)
		}
	}
	if got := grep(both, "tcp ", "ESTABLISHED"); got == 0 || len(both) != 803 {
		t.Errorf("%d entries in all, %d of tcp established; first: %q", len(both), got, both[0])
	}
	if _, err := c.Run(t.Context()); !errors.Is(err, unix.EEXIST) {
		t.Errorf("second time: %v, expected EEXIST", err)
	}
	gone, err := c.Remove(t.Context())
	if err != nil || gone.Deleted != 803 || ns.ConntrackCount(t) != 0 {
		t.Errorf("removed %+v: %v; %d left", gone, err, ns.ConntrackCount(t))
	}
	if _, err := c.Remove(t.Context()); !errors.Is(err, unix.ENOENT) {
		t.Errorf("removed again: %v, expected ENOENT", err)
	}
}

func TestChurnEvents(t *testing.T) {
	ns := New(t)
	events := listen(t, ns)
	done, err := Churn{NS: ns, Entries: 100, Update: true, Mark: 1, Rate: 3000}.Run(t.Context())
	if err != nil || done.Created != 100 || done.Updated != 100 || done.Deleted != 100 {
		t.Fatalf("churned %+v: %v", done, err)
	}
	if done.Elapsed < 80*time.Millisecond {
		t.Errorf("300 events at 3000 a second took only %v", done.Elapsed)
	}
	seen := events(300)
	for _, kind := range []string{"[NEW]", "[UPDATE]", "[DESTROY]"} {
		if n := grep(seen, kind); n != 100 {
			t.Errorf("%s: %d events, expected 100", kind, n)
		}
	}
	if n := grep(seen, "mark=4294967294", "[UPDATE]"); n != 100 {
		t.Errorf("%d updates carry the complement of the mark", n)
	}
}

func TestChurnRefuses(t *testing.T) {
	ns := New(t)
	for _, c := range []Churn{{Entries: -1}, {First: -1}, {Entries: 1, First: MaxEntries}} {
		c.NS = ns
		if _, err := c.Run(t.Context()); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if done, err := (Churn{NS: ns, Entries: 10}).Run(ctx); !errors.Is(err, context.Canceled) || done.Events() != 0 {
		t.Errorf("cancelled: %+v, %v", done, err)
	}
}

func TestChurnAllocatesNothingPerEntry(t *testing.T) {
	ns := New(t)
	run := func(n int) func() {
		return func() {
			if _, err := (Churn{NS: ns, Entries: n}).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	few, many := testing.AllocsPerRun(5, run(64)), testing.AllocsPerRun(5, run(6400))
	if many > few+5 {
		t.Errorf("%v allocations for 64 entries, %v for 6400", few, many)
	}
}

func TestTemplatesAreDistinct(t *testing.T) {
	for _, step := range []churnStep{createEntry, updateEntry, deleteEntry} {
		seen := map[string]int{}
		templates := Churn{}.templates(step)
		for _, n := range []int{0, 1, 8, 16, 255, 256, 65535, 65536, 60000, 60008, 120000, MaxEntries - 1} {
			m := templates[n%len(templates)].appendEntry(nil, uint32(n))
			key := fmt.Sprintf("%x", m[unix.NLMSG_HDRLEN:])
			if other, ok := seen[key]; ok {
				t.Errorf("%v: entries %d and %d are the same", step, n, other)
			}
			seen[key] = n
		}
	}
}

// BenchmarkChurn measures events with nobody listening; see events/s.
func BenchmarkChurn(b *testing.B) {
	ns := New(b)
	var events, total = 0, time.Duration(0)
	for b.Loop() {
		done, err := Churn{NS: ns, Entries: 20000}.Run(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		events += done.Events()
		total += done.Elapsed
	}
	b.ReportMetric(float64(events)/total.Seconds(), "events/s")
}
