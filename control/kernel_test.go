package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// executor is an executor of one namespace, called "" and "blue".
func executor(ns *testnet.Namespace) *Executor {
	return &Executor{Open: func(name string) (Session, error) {
		if name != "" && name != "blue" {
			return nil, fmt.Errorf("namespace %q: %w", name, fs.ErrNotExist)
		}
		return ctnetlink.Dial(ctnetlink.DialConfig{NetNS: ns.Path()})
	}}
}

// request reads a request, of which the version is filled in.
func request(tb testing.TB, format string, args ...any) *Request {
	tb.Helper()
	q, err := DecodeRequest([]byte(`{"v":1,`+fmt.Sprintf(format, args...)+`}`), nil)
	if err != nil {
		tb.Fatalf(format+": %v", append(args, err)...)
	}
	return q
}

// called carries out a request that must succeed and gives copies of its rows.
func called(tb testing.TB, c Caller, q *Request) (*Result, []*flow.Event) {
	tb.Helper()
	var rows []*flow.Event
	res, err := c.Call(tb.Context(), q, func(b *flow.Batch) error {
		for i := range b.Events() {
			rows = append(rows, copyEvent(&b.Events()[i]))
		}
		return nil
	})
	if err != nil {
		text, _ := json.Marshal(q)
		tb.Fatalf("%s: %v", text, err)
	}
	return res, rows
}

// refused carries out a request that must be refused.
func refused(tb testing.TB, c Caller, q *Request, code Code, field string) *Result {
	tb.Helper()
	res, err := c.Call(tb.Context(), q, nil)
	var e *Error
	if !errors.As(err, &e) || e.Code != code || e.Field != field || e.Message == "" {
		text, _ := json.Marshal(q)
		tb.Errorf("%s: %#v, want code %d of %q", text, err, code, field)
	}
	return res
}

// ports lists the rows' source ports.
func ports(rows []*flow.Event) []int {
	var out []int
	for _, e := range rows {
		out = append(out, int(e.Orig.SrcPort))
	}
	slices.Sort(out)
	return out
}

// left lists the source ports of what the table has.
func left(tb testing.TB, ns *testnet.Namespace) []int {
	tb.Helper()
	_, rows := called(tb, executor(ns), request(tb, `"verb":"list","table":"conntrack"`))
	return ports(rows)
}

// add makes an entry by conntrack(8).
func add(tb testing.TB, ns *testnet.Namespace, proto string, sport int, more ...string) {
	tb.Helper()
	src, dst := "10.0.0.1", "10.0.0.2"
	args := []string{"-I", "-p", proto, "-t", "600", "--sport", strconv.Itoa(sport), "--dport", "53"}
	if len(more) > 1 && more[0] == "6" {
		src, dst, more = more[1], "2001:db8::ff", more[2:]
	}
	if proto == "tcp" {
		args = append(args, "--state", "ESTABLISHED")
	}
	ns.Conntrack(tb, append(append(args, "-s", src, "-d", dst), more...)...)
}

func equal[T comparable](tb testing.TB, what string, got, want []T) {
	tb.Helper()
	if !slices.Equal(got, want) {
		tb.Errorf("%s: %v, want %v", what, got, want)
	}
}

// sample lays a table with a bit of everything.
func sample(tb testing.TB) *testnet.Namespace {
	tb.Helper()
	ns := testnet.New(tb)
	add(tb, ns, "udp", 1, "-m", "1")
	add(tb, ns, "udp", 2, "-m", "2")
	add(tb, ns, "tcp", 3, "-u", "ASSURED,SEEN_REPLY", "-m", "3") // in this order: conntrack 1.4.7 takes what -u says for the mark, too, if it comes later
	add(tb, ns, "udp", 4, "-w", "7")
	add(tb, ns, "udp", 5, "--orig-zone", "9")
	add(tb, ns, "udp", 6, "--src-nat", "192.0.2.1")
	add(tb, ns, "udp", 7, "6", "2001:db8::1")
	add(tb, ns, "udp", 8, "6", "2001:db8::2")
	return ns
}

func TestList(t *testing.T) {
	ns := sample(t)
	for _, c := range []struct {
		member string
		want   []int
	}{
		{`"limit":0`, []int{1, 2, 3, 4, 5, 6, 7, 8}},
		{`"family":"ipv6"`, []int{7, 8}},
		{`"filter":{"family":"ipv4","mark":2}`, []int{2}},
		{`"filter":{"mark":"0x2/0x2"}`, []int{2, 3}},
		{`"filter":{"mark":"0/0x2"}`, []int{1, 4, 5, 6, 7, 8}},
		{`"filter":{"mark":[1,3]}`, []int{1, 3}},
		{`"filter":{"status":"UNREPLIED"}`, []int{1, 2, 4, 5, 6, 7, 8}}, // STATUS=0 with a mask
		{`"filter":{"status":["ASSURED","SEEN_REPLY"]}`, []int{3}},
		{`"filter":{"zone":7}`, []int{4}},
		{`"filter":{"zone":0}`, []int{1, 2, 3, 5, 6, 7, 8}}, // one has a zone in one direction
		{`"filter":{"orig_zone":9}`, []int{5}},
		{`"filter":{"orig_src":"2001:db8::1"}`, []int{7}}, // the kernel's own filter gives the others
		{`"filter":{"orig_src":"0.0.0.1/0.0.0.255"}`, []int{1, 2, 3, 4, 5, 6}},
		{`"filter":{"src_nat":true,"reply_dst":"192.0.2.1"}`, []int{6}},
		{`"filter":{"include":[{"mark":1},{"zone":7}],"exclude":[{"sport":1}]}`, []int{4}},
		{`"filter":{"exclude":[{"proto":"udp"}]}`, []int{3}},
		{`"netns":"blue","filter":{"addr":"192.0.2.0/24"}`, []int{6}},
	} {
		res, rows := called(t, executor(ns), request(t, `"verb":"list","table":"conntrack",%s`, c.member))
		equal(t, c.member, ports(rows), c.want)
		if res.Count != uint64(len(c.want)) || res.Truncated || res.Interrupted {
			t.Errorf("%s: %+v", c.member, res)
		}
		res, _ = called(t, executor(ns), request(t, `"verb":"count","table":"conntrack",%s`, c.member))
		if c.member[1] != 'l' && c.member[1] != 'n' && (res.Count != uint64(len(c.want)) || res.Fill != nil) {
			t.Errorf("count %s: %+v", c.member, res)
		}
	}
}

func TestListLimit(t *testing.T) {
	ns := testnet.New(t)
	if _, err := (testnet.Churn{NS: ns, Entries: 1000, Keep: true}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for limit, more := range map[int]bool{1: true, 255: true, 256: true, 257: true, 999: true, 1000: false, 1001: false} {
		res, rows := called(t, executor(ns), request(t, `"verb":"list","table":"conntrack","limit":%d`, limit))
		if len(rows) != min(limit, 1000) || res.Count != uint64(len(rows)) || res.Truncated != more {
			t.Errorf("%d: %d rows, %+v", limit, len(rows), res)
		}
	}
	for _, table := range []string{"dying", "unconfirmed", "expect"} {
		if res, rows := called(t, executor(ns), request(t, `"verb":"list","table":%q`, table)); len(rows) != 0 || res.Count != 0 {
			t.Errorf("%s: %d rows, %+v", table, len(rows), res)
		}
	}
}

func TestCountAndStats(t *testing.T) {
	ns := sample(t)
	x := executor(ns)
	res, _ := called(t, x, request(t, `"verb":"count","table":"conntrack","netns":"blue"`))
	if res.Fill == nil || res.Fill.Entries != 8 || res.Fill.Max == 0 || res.Fill.NetNS != "blue" || res.Count != 8 {
		t.Errorf("%+v %+v", res, res.Fill)
	}
	if res, _ := called(t, x, request(t, `"verb":"count","table":"expect"`)); res.Count != 0 || res.Fill != nil {
		t.Errorf("%+v", res)
	}
	for table, stat := range map[string]flow.CPUStat{"conntrack": flow.StatInsert, "expect": flow.StatExpectNew} {
		res, _ = called(t, x, request(t, `"verb":"stats","table":%q`, table))
		if len(res.CPUs) == 0 {
			t.Fatalf("%s: %+v", table, res)
		}
		if _, ok := res.CPUs[0].Get(stat); !ok {
			t.Errorf("%s: %v", table, res.CPUs[0].Present())
		}
	}
}

func TestGet(t *testing.T) {
	ns := sample(t)
	key := func(sport int, more string) string {
		return fmt.Sprintf(`{"proto":"udp","orig":{"src":"10.0.0.1","dst":"10.0.0.2","sport":%d,"dport":53}%s}`, sport, more)
	}
	reply := `{"proto":"udp","reply":{"src":"10.0.0.2","dst":"192.0.2.1","sport":53,"dport":6}}`
	res, rows := called(t, executor(ns), request(t, `"verb":"get","table":"conntrack","keys":[%s,%s,%s,%s,%s]`,
		key(1, ""), key(99, ""), key(4, `,"zone":7`), key(1, `,"id":1`), reply))
	equal(t, "rows", ports(rows), []int{1, 4, 6})
	if res.Count != 3 || res.Failed != 2 || len(res.Failures) != 2 || res.Failures[0].Index != 1 || res.Failures[1].Index != 3 {
		t.Fatalf("%+v", res)
	}
	if e := res.Failures[0].Err; e.Code != CodeNotFound || e.Errno != "ENOENT" {
		t.Errorf("%+v", e)
	}
}

// TestRowsStop ends a request by the caller's own error, and by its context.
func TestRowsStop(t *testing.T) {
	ns := sample(t)
	mine := errors.New("mine")
	q := request(t, `"verb":"list","table":"conntrack"`)
	if _, err := executor(ns).Call(t.Context(), q, func(*flow.Batch) error { return mine }); err != mine {
		t.Error(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := executor(ns).Call(over, q, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	q.Timeout = 1
	refused(t, executor(ns), q, CodeTimeout, "")
	refused(t, executor(ns), request(t, `"verb":"list","table":"conntrack","netns":"red"`), CodeNotFound, "netns")
	refused(t, &Executor{Open: func(string) (Session, error) { return nil, os.ErrPermission }}, request(t, `"verb":"list","table":"conntrack"`), CodeKernel, "")
	refused(t, executor(ns), request(t, `"verb":"watch","table":"conntrack"`), CodeUnavailable, "")
	refused(t, executor(ns), request(t, `"verb":"list"`), CodeInvalid, "table")
}

func TestStamp(t *testing.T) {
	ns := sample(t)
	x := executor(ns)
	origin := &flow.Origin{Node: "edge", NetNS: "blue", Run: [16]byte{1}}
	x.Origin = func(netns string) *flow.Origin { return origin }
	for _, filter := range []string{`{"netns":"blue"}`, `{"exclude":[{"netns":""}]}`} {
		_, rows := called(t, x, request(t, `"verb":"list","table":"conntrack","netns":"blue","filter":%s`, filter))
		seen := map[uint64]bool{}
		for _, e := range rows {
			if e.Origin != origin || e.Time == 0 || e.TimeSource != flow.TimeReceived || !e.Got(flow.HasFlowID) || e.Dump == nil || e.Dump.Reason != "request" || seen[e.Seq] {
				t.Errorf("%+v", e)
			}
			seen[e.Seq] = true
		}
		if len(rows) != 8 {
			t.Errorf("%d rows", len(rows))
		}
	}
}
