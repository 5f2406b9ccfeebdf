package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// between does something beside a real session's requests.
type between struct {
	Session
	dump  func(o flow.DumpOptions) error // before a dump; an error is its result
	end   error                          // of every dump
	apply func()                         // before changes are made
}

func (s between) Dump(ctx context.Context, table flow.Table, o flow.DumpOptions, fn func(*flow.Batch) error) (uint64, error) {
	if s.dump != nil {
		if err := s.dump(o); err != nil {
			return 0, err
		}
	}
	n, err := s.Session.Dump(ctx, table, o, fn)
	return n, errors.Join(err, s.end)
}

func (s between) Apply(ctx context.Context, changes []flow.Change) []error {
	if s.apply != nil {
		s.apply()
	}
	return s.Session.Apply(ctx, changes)
}

// meddled is an executor with something between it and the kernel.
func meddled(ns *testnet.Namespace, with between) *Executor {
	x := executor(ns)
	open := x.Open
	x.Open = func(name string) (Session, error) {
		s, err := open(name)
		with.Session = s
		return with, err
	}
	return x
}

// TestVanished has entries vanish between their being read and their turn.
func TestVanished(t *testing.T) {
	for _, verb := range []string{`"verb":"delete"`, `"verb":"update","change":{"mark":99}`} {
		ns := sample(t)
		x := meddled(ns, between{apply: func() {
			called(t, executor(ns), request(t, `"verb":"delete","table":"conntrack","filter":{"sport":[1,2]}`))
		}})
		res, rows := called(t, x, request(t, `%s,"table":"conntrack","rows":true,"filter":{"sport":"1-4"}`, verb))
		if res.Count != 2 || res.Failed != 0 {
			t.Errorf("%s: %+v", verb, res)
		}
		equal(t, verb, ports(rows), []int{3, 4})
		// Named by key they are failures.
		ns = sample(t)
		x = meddled(ns, between{apply: func() {
			called(t, executor(ns), request(t, `"verb":"delete","table":"conntrack","filter":{"sport":1}`))
		}})
		res, _ = called(t, x, request(t, `%s,"table":"conntrack","keys":[%s}]`, verb, key1))
		if res.Count != 0 || res.Failed != 1 || res.Failures[0].Index != 0 || res.Failures[0].Err.Code != CodeNotFound {
			t.Errorf("%s: %+v", verb, res)
		}
	}
}

// TestReplaced has another entry come into the place of one that is to be
// deleted. Its id tells it, unless the kernel gave it the same one.
func TestReplaced(t *testing.T) {
	ns := sample(t)
	now := uint32(0)
	x := meddled(ns, between{apply: func() {
		called(t, executor(ns), request(t, `"verb":"delete","table":"conntrack","filter":{"sport":1}`))
		add(t, ns, "udp", 98) // takes the memory that came free, of which the id is made
		add(t, ns, "udp", 1, "-m", "55")
		now = one(t, ns, 1).ID
	}})
	before := one(t, ns, 1).ID
	res, _ := called(t, x, request(t, `"verb":"delete","table":"conntrack","filter":{"sport":1}`))
	rest, _ := called(t, executor(ns), request(t, `"verb":"count","table":"conntrack","filter":{"sport":1,"mark":55}`))
	if same := before == now; rest.Count == 1 == same || res.Count == 1 != same || res.Failed != 0 {
		t.Errorf("the ids are %d and %d: %+v, %d left", before, now, res, rest.Count)
	}
}

// TestNewcomers has more entries come after they were counted: no more than the
// limit are touched.
func TestNewcomers(t *testing.T) {
	for _, verb := range []string{`"verb":"delete"`, `"verb":"update","change":{"mark":99}`} {
		ns := sample(t)
		dumps := 0
		x := meddled(ns, between{dump: func(flow.DumpOptions) error {
			if dumps++; dumps == 2 {
				for port := range 9 {
					add(t, ns, "udp", 100+port)
				}
			}
			return nil
		}})
		res, _ := called(t, x, request(t, `%s,"table":"conntrack","limit":8`, verb))
		if res.Count != 8 || !res.Truncated {
			t.Errorf("%s: %+v", verb, res)
		}
		rest, _ := called(t, executor(ns), request(t, `"verb":"count","table":"conntrack","filter":{"exclude":[{"mark":99}]}`))
		if rest.Count != 9 {
			t.Errorf("%s: %d are as they were", verb, rest.Count)
		}
	}
}

// TestTimeOver ends a long delete in the middle: the result says how far it came.
func TestTimeOver(t *testing.T) {
	ns := testnet.New(t)
	if _, err := (testnet.Churn{NS: ns, Entries: 1000, Keep: true}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	turns := 0
	x := meddled(ns, between{apply: func() {
		if turns++; turns == 3 {
			cancel()
		}
	}})
	res, err := x.Call(ctx, request(t, `"verb":"delete","table":"conntrack"`), nil)
	if !errors.Is(err, context.Canceled) || res.Count != 512 || res.Failed != 0 {
		t.Errorf("%v, %+v", err, res)
	}
	if n := len(left(t, ns)); n != 488 {
		t.Errorf("%d are left", n)
	}
}

func TestInterrupted(t *testing.T) {
	ns := sample(t)
	x := meddled(ns, between{end: fmt.Errorf("dump: %w", flow.ErrInterrupted)})
	for _, verb := range []string{`"verb":"list"`, `"verb":"zero"`, `"verb":"count","family":"ipv4"`, `"verb":"delete"`} {
		if res, _ := called(t, x, request(t, `%s,"table":"conntrack"`, verb)); !res.Interrupted || res.Count == 0 {
			t.Errorf("%s: %+v", verb, res)
		}
	}
}

// TestDumpOptions is what a dump is asked for: the filter goes with it, for the
// kernel to narrow by what it can.
func TestDumpOptions(t *testing.T) {
	for _, c := range []struct {
		table, member string
		want          flow.DumpOptions
	}{
		{"conntrack", `"limit":1`, flow.DumpOptions{}},
		{"conntrack", `"family":"ipv6"`, flow.DumpOptions{Family: flow.IPv6}},
		{"dying", `"family":"ipv6"`, flow.DumpOptions{Family: flow.IPv6, Dying: true}},
		{"unconfirmed", `"limit":1`, flow.DumpOptions{Unconfirmed: true}},
	} {
		if got := dumpOptions(request(t, `"verb":"list","table":%q,%s`, c.table, c.member)); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.member, got, c.want)
		}
	}
	for _, table := range []string{"conntrack", "expect"} {
		q := request(t, `"verb":"list","table":%q,"filter":{"family":"ipv4","proto":"tcp"}`, table)
		if got := dumpOptions(q); got != (flow.DumpOptions{Only: q.Filter}) {
			t.Errorf("%s: %+v", table, got)
		}
	}
}

// TestListNarrowed lists by filters of which the kernel can tell some, all or none.
func TestListNarrowed(t *testing.T) {
	ns := sample(t)
	x := meddled(ns, between{})
	_, all := called(t, x, request(t, `"verb":"list","table":"conntrack"`))
	for _, filter := range []string{`{"mark":2}`, `{"proto":"tcp","family":"ipv4"}`, `{"proto":"udp","dport":53}`, `{"src":"10.0.0.1"}`, `{"family":"ipv6","proto":"udp"}`, `{"state":"ESTABLISHED"}`} {
		q := request(t, `"verb":"list","table":"conntrack","filter":%s`, filter)
		_, rows := called(t, x, q)
		want := slices.DeleteFunc(slices.Clone(all), func(e *flow.Event) bool { return !q.Filter.Match(e) })
		equal(t, filter, ports(rows), ports(want))
	}
}

func TestExecutorWatch(t *testing.T) {
	x := &Executor{Tap: tapUntil{}}
	q := request(t, `"verb":"watch","table":"conntrack","timeout":"20ms","family":"ipv6","filter":{"proto":"tcp"}`)
	res, rows := called(t, x, q)
	if res.Count != 1 || len(rows) != 1 {
		t.Errorf("%+v", res)
	}
	f := q.familyFilter()
	for family, want := range map[flow.Family]bool{flow.IPv4: false, flow.IPv6: true} {
		e := &flow.Event{Has: flow.HasOrig, Type: flow.TypeNew, Table: flow.TableConntrack, Family: family, Proto: 6}
		if f.Match(e) != want {
			t.Errorf("%s: %v", family, !want)
		}
	}
	if len(q.Filter.Exclude) != 0 {
		t.Error("the request's own filter has changed")
	}
	mine := errors.New("mine")
	if _, err := x.Call(t.Context(), q, func(*flow.Batch) error { return mine }); err != mine {
		t.Error(err)
	}
}
