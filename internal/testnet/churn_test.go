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
	hole := Churn{NS: ns, Entries: 1, First: 40, Zone: 7}
	if _, err := hole.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	// In the batch of 5 to 68 all exist but 40: the count is exact around the errors.
	again, err := c.Run(t.Context())
	if !errors.Is(err, unix.EEXIST) || again.Created != 1 || !strings.Contains(err.Error(), "entry 5:") {
		t.Errorf("with a hole: %+v, %v; expected 1 created and EEXIST for entry 5", again, err)
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

func TestChurnKinds(t *testing.T) {
	ns := New(t)
	c := Churn{NS: ns, Entries: 90, Keep: true, Kinds: []Kind{{"tcp", 6}, {"tcp", 6}, {"icmpv6", 6}}}
	if done, err := c.Run(t.Context()); err != nil || done.Created != 90 {
		t.Fatalf("made %+v: %v", done, err)
	}
	six := ns.Conntrack(t, "-L", "-f", "ipv6")
	if len(six) != 90 || grep(six, "tcp ") != 60 || grep(six, "icmpv6 ") != 30 {
		t.Errorf("%d entries over IPv6, %d of tcp, %d of icmpv6", len(six), grep(six, "tcp "), grep(six, "icmpv6 "))
	}
	if four := ns.Conntrack(t, "-L", "-f", "ipv4"); len(four) != 0 {
		t.Errorf("over IPv4: %q", four)
	}
}

func TestChurnRefuses(t *testing.T) {
	ns := New(t)
	for _, c := range []Churn{
		{Entries: -1}, {First: -1}, {Entries: 1, First: MaxEntries},
		{Entries: 1, Kinds: []Kind{{"udp", 5}}}, {Entries: 1, Kinds: []Kind{{"icmp", 6}}}, {Entries: 1, Kinds: []Kind{{"gre", 4}}},
	} {
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
		templates := Churn{Kinds: ChurnKinds()}.templates(step)
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

// BenchmarkChurn measures events: with nobody listening, where the kernel builds none,
// and with a reader that drains them.
func BenchmarkChurn(b *testing.B) {
	b.Run("nobody listens", func(b *testing.B) { churnRate(b, New(b)) })
	b.Run("one listener", func(b *testing.B) {
		ns := New(b)
		drain(b, ns)
		churnRate(b, ns)
	})
}

// churnRate reports events/s.
func churnRate(b *testing.B, ns *Namespace) {
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

// drain joins the conntrack groups of the namespace and reads every millisecond.
func drain(b *testing.B, ns *Namespace) {
	b.Helper()
	fd := -1
	err := ns.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
		return err
	})
	for group := 1; group <= 3 && err == nil; group++ {
		err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group)
	}
	if err != nil {
		b.Fatal(err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_NO_ENOBUFS, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 128<<20)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 2048)
		for {
			for _, err := unix.Read(fd, buf); err == nil; _, err = unix.Read(fd, buf) {
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	b.Cleanup(func() { close(stop); <-ended; unix.Close(fd) })
}
