package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/source/flow"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// exchange sends one message as the nats tool would and takes all that comes
// until the empty one.
func exchange(t *testing.T, nc *nats.Conn, subject, body string, header nats.Header) (all []*nats.Msg) {
	t.Helper()
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := nc.PublishMsg(&nats.Msg{Subject: subject, Reply: sub.Subject, Header: header, Data: []byte(body)}); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := sub.NextMsg(patience)
		if err != nil {
			t.Fatalf("after %d messages: %v", len(all), err)
		}
		all = append(all, m)
		if len(m.Data) == 0 {
			return all
		}
	}
}

// TestRefusals: what the service itself refuses, it refuses by name, in one
// message that any NATS client can read, and tells whoever audits.
func TestRefusals(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	var mu sync.Mutex
	var refused []string
	n := runNode(t, b.Dial(t), o, tableOfRows(o, 10), func(so *ServiceOptions) {
		so.Config.MaxRequest = 2000
		so.Refused = func(ctx context.Context, q *Request, why *Error) {
			p, ok := PeerOf(ctx)
			mu.Lock()
			defer mu.Unlock()
			refused = append(refused, fmt.Sprint(q.Table, ".", q.Verb, " ", why.Code, " ", p.User, " ", ok))
		}
	}).serving(t)
	nc := b.Dial(t)
	node := "ctferry.v1.default.node.edge-1."
	for _, tt := range []struct {
		subject, body string
		header        nats.Header
		want          string
	}{
		{node + "conntrack.list", `{"v":1,"lmit":3}`, nil, `400 lmit: no such field; expected one of`},
		{node + "conntrack.list", `{}`, nil, `400 v: expected 1, the version of requests`},
		{node + "conntrack.list", `{"v":1`, nil, `400 expected a JSON object; at byte 6: unexpected end of JSON input`},
		{node + "conntrack.list", `{"v":1,"verb":"flush"}`, nil, `400 verb: is flush, and the request was sent to list`},
		{node + "conntrack.list", `{"v":1,"table":"expect"}`, nil, `400 table: is expect, and the request was sent to conntrack`},
		{node + "conntrack.list", `{"v":1,"format":"yaml"}`, nil, `400 format: expected json, xml or protobuf, not "yaml"`},
		{node + "sessions.list", `{"v":1}`, nil, `400 table: there is no list of "sessions"; expected a table, one of conntrack, expect, dying, unconfirmed`},
		{node + "stream.delete", `{"v":1}`, nil, `400 table: there is no delete of "stream"`},
		{node + "agent.list", `{"v":1}`, nil, `400 table: there is no list of "agent"`},
		{node + "conntrack.list", strings.Repeat("x", 2001), nil, `413 the request has 2001 bytes, and max_request of this node is 2000`},
		{node + "conntrack.list", ``, nats.Header{headerWindow: {"1000"}}, `400 Ctferry-Window: "1000": expected a whole number from 0 to 64`},
		{node + "conntrack.list", ``, nats.Header{headerChunk: {"many"}}, `400 Ctferry-Chunk: "many": expected a whole number from 1024 to`},
		{node + "conntrack.list", ``, nats.Header{headerStream: {"a.b"}}, `400 Ctferry-Stream: expected a token`},
		{node + "conntrack.list", ``, nats.Header{headerUser: {strings.Repeat("x", 300)}}, `400 Ctferry-User: expected at most 256 bytes`},
		{"ctferry.v1.default.fleet.conntrack.flush", `{"v":2}`, nats.Header{headerUser: {"ann"}}, `400 v: expected 1`},
	} {
		t.Run(tt.want, func(t *testing.T) {
			all := exchange(t, nc, tt.subject, tt.body, tt.header)
			first := all[0]
			code, text, _ := strings.Cut(tt.want, " ")
			if len(all) != 2 || first.Header.Get(micro.ErrorCodeHeader) != code || !strings.HasPrefix(first.Header.Get(micro.ErrorHeader), text) {
				t.Fatalf("%d messages, first %v %s", len(all), first.Header, first.Data)
			}
			var e Error
			if err := e.UnmarshalJSON(first.Data); err != nil || strconv.Itoa(int(e.Code)) != code || e.Error() != first.Header.Get(micro.ErrorHeader) {
				t.Errorf("body %s: %+v, %v", first.Data, e, err)
			}
			if all[1].Header.Get(headerKind) != "end" {
				t.Errorf("ended by %v", all[1].Header)
			}
		})
	}
	mu.Lock()
	defer mu.Unlock()
	if len(refused) != 15 || refused[0] != "conntrack.list 400  true" || refused[14] != "conntrack.flush 400 ann true" {
		t.Errorf("told of %q", refused)
	}
	if n.underWay() != 0 {
		t.Errorf("%d under way", n.underWay())
	}
}

// TestPlainRequest: the nats tool needs no header of ours. Its first message is
// the result where there are no rows; else the first rows.
func TestPlainRequest(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	runNode(t, b.Dial(t), o, tableOfRows(o, 3000)).serving(t)
	nc := b.Dial(t)
	m, err := nc.Request("ctferry.v1.default.node.edge-1.conntrack.count", nil, patience)
	if err != nil || string(m.Data) != `{"v":1,"node":"edge-1","count":3000}` {
		t.Fatalf("count: %s, %v", m.Data, err)
	}
	all := exchange(t, nc, "ctferry.v1.default.node.edge-1.conntrack.list", `{"v":1,"request":"abc"}`, nil)
	lines := 0
	for i, m := range all {
		if m.Header.Get(headerSeq) != strconv.Itoa(i) || m.Header.Get(headerNode) != "edge-1" || m.Header.Get(headerRequest) != "abc" || m.Header.Get(headerRun) == "" {
			t.Errorf("message %d: %v", i, m.Header)
		}
		if m.Header.Get(headerKind) == "rows" {
			lines += bytes.Count(m.Data, []byte("\n")) + 1
			if len(m.Data) > 256<<10 || m.Header.Get(headerType) != "application/x-ndjson" {
				t.Errorf("message %d: %d bytes of %s", i, len(m.Data), m.Header.Get(headerType))
			}
		}
	}
	end := all[len(all)-1].Header
	if lines != 3000 || end.Get(headerRows) != "3000" || end.Get(headerChunks) != strconv.Itoa(len(all)-2) || len(all) < 5 {
		t.Errorf("%d rows in %d messages, end %v", lines, len(all), end)
	}
	if m, err = nc.Request("ctferry.v1.default.node.edge-1.agent.stats", nil, patience); err != nil || bytes.Count(m.Data, []byte("\n")) != 1 || !bytes.Contains(m.Data, []byte(`"event_type":"status"`)) {
		t.Errorf("agent: %s, %v", m.Data, err)
	}
}

// TestPlainRequestGone: a plain client that takes one message and leaves, as
// nats req does, ends a list of whatever length.
func TestPlainRequestGone(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	ended := make(chan error, 1)
	n := runNode(t, b.Dial(t), o, callFunc(func(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
		res, err := tableOfRows(o, 10_000_000)(ctx, q, rows)
		ended <- context.Cause(ctx)
		return res, err
	})).serving(t)
	nc := b.Dial(t)
	if _, err := nc.Request("ctferry.v1.default.node.edge-1.conntrack.list", nil, patience); err != nil {
		t.Fatal(err)
	}
	nc.Close() // an inbox that Request shares among requests stays until then
	wantCause(t, ended, errGone)
	eventually(t, "nothing is under way", func() bool { return n.underWay() == 0 })
}

// TestRequestsAtOnce: a slow request does not keep others from being answered;
// as many as are taken are taken, and one more is refused at once.
func TestRequestsAtOnce(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	release := make(chan struct{})
	var inside atomic.Int64
	n := runNode(t, b.Dial(t), o, callFunc(func(ctx context.Context, q *Request, _ func(*flow.Batch) error) (*Result, error) {
		if q.Verb == VerbList {
			inside.Add(1)
			<-release
		}
		return &Result{}, nil
	})).serving(t)
	c := newClient(t, b.Dial(t))
	count := &Request{Verb: VerbCount, Table: TableConntrack}
	var callers sync.WaitGroup
	for i := range n.workers() {
		callers.Go(func() {
			if _, err := c.Node("edge-1").Call(within(t), listAll(), nil); err != nil {
				t.Error(err)
			}
		})
		if i == 3 {
			eventually(t, "four are under way", func() bool { return inside.Load() == 4 })
			if _, err := c.Node("edge-1").Call(within(t), count, nil); err != nil {
				t.Error(err)
			}
		}
	}
	eventually(t, "all are under way", func() bool { return inside.Load() == int64(n.workers()) })
	_, err := c.Node("edge-1").Call(within(t), count, nil)
	var busy *Error
	if !errors.As(err, &busy) || busy.Code != CodeBusy || !strings.Contains(busy.Message, fmt.Sprint(n.workers())) {
		t.Errorf("got %v", err)
	}
	close(release)
	callers.Wait()
	eventually(t, "nothing is under way", func() bool { return n.underWay() == 0 })
	if _, err := c.Node("edge-1").Call(within(t), count, nil); err != nil {
		t.Error(err)
	}
}

// TestNodeStops: what is under way when the node stops comes to its end within
// a bound, or ends with CodeUnavailable; what comes later is refused, and then
// the node is absent.
func TestNodeStops(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	inside := make(chan struct{}, 2)
	n := runNode(t, b.Dial(t), o, callFunc(func(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
		inside <- struct{}{}
		if q.Verb == VerbCount {
			return &Result{Count: 1}, wait(ctx, 200*time.Millisecond)
		}
		return tableThenWait(o, 300)(ctx, q, rows)
	})).serving(t)
	c := newClient(t, b.Dial(t))
	short, long := make(chan error, 1), make(chan error, 1)
	got := newCollector()
	go func() {
		_, err := c.Node("edge-1").Call(within(t), &Request{Verb: VerbCount, Table: TableConntrack}, nil)
		short <- err
	}()
	go func() {
		_, err := c.Node("edge-1").Call(within(t), listAll(), got.take)
		long <- err
	}()
	<-inside
	<-inside
	begun := time.Now()
	n.stop(t)
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("the service took %v to stop", took)
	}
	if err := <-short; err != nil {
		t.Errorf("what was nearly done: %v", err)
	}
	var stopping *Error
	if err := <-long; !errors.As(err, &stopping) || stopping.Code != CodeUnavailable || len(got.marks) != 300 {
		t.Errorf("what was not: %v, after %d rows", err, len(got.marks))
	}
	_, err := c.Node("edge-1").Call(within(t), listAll(), nil)
	wantOnly(t, err, ErrAbsent)
}

// TestMicroService: NATS's own tools see the node, its endpoints without queue
// group, and how full its table is.
func TestMicroService(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	n := runNode(t, b.Dial(t), o, tableOfRows(o, 10)).serving(t)
	nc := b.Dial(t)
	for range 3 {
		exchange(t, nc, "ctferry.v1.default.node.edge-1.conntrack.list", "", nil)
	}
	eventually(t, "nothing is under way", func() bool { return n.underWay() == 0 })
	m, err := nc.Request("$SRV.INFO.ctferry", nil, patience)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"node":"edge-1"`, `"site":"default"`, `"run":"00000000000000000000000000000001"`, `"netns":"blue"`, `"role":"test"`, `"boot_id":"01000000`, `"version":"1.2.3"`} {
		if !bytes.Contains(m.Data, []byte(want)) {
			t.Errorf("INFO has no %s: %s", want, m.Data)
		}
	}
	if bytes.Contains(m.Data, []byte(`"queue_group":"q"`)) {
		t.Errorf("a queue group: %s", m.Data)
	}
	m, err = nc.Request("$SRV.STATS.ctferry", nil, patience)
	if err != nil || !bytes.Contains(m.Data, []byte(`"data":{"requests":3,"refused":0,"rows":30,"under_way":0,"watches":0,"tables":[{"entries":42,"max":1000}]}`)) {
		t.Errorf("STATS %s, %v", m.Data, err)
	}
}

func TestSemver(t *testing.T) {
	for in, want := range map[string]string{
		"1.2.3": "1.2.3", "v1.2.3-4-gabc": "1.2.3-4-gabc", "unknown": "0.0.0-x-unknown", "": "0.0.0-x--", "fa0c1d-dirty": "0.0.0-x-fa0c1d-dirty", "1.2": "0.0.0-x-1-2",
	} {
		if got := semver(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestNewServiceRefuses(t *testing.T) {
	nc := natstest.Start(t).Dial(t)
	whole := ServiceOptions{Config: DefaultConfig(), Origin: newOrigin("a", 1), Caller: callFunc(nil), Agent: agentOf}
	for name, change := range map[string]func(*ServiceOptions){
		"prefix": func(o *ServiceOptions) { o.Config.Prefix = "a.b" },
		"site":   func(o *ServiceOptions) { o.Config.Site = "" },
		"caller": func(o *ServiceOptions) { o.Caller = nil },
		"origin": func(o *ServiceOptions) { o.Origin = &flow.Origin{} },
	} {
		o := whole
		change(&o)
		if _, err := NewService(nc, o, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := NewClient(nc, ClientOptions{Site: "a b"}); err == nil {
		t.Error("a client of a bad site")
	}
}
