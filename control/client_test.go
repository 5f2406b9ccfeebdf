package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// TestSlowNode: a node that is frozen, at once or in the middle, is slow and
// neither absent nor without permission.
func TestSlowNode(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o, f := newOrigin("edge-1", 1), newFreezer(t, b)
	runNode(t, b.Dial(t, f.through), o, tableOfRows(o, 200000)).serving(t)
	c := newClient(t, b.Dial(t))
	f.set(true)
	_, err := c.Node("edge-1").Call(within(t), listAll(), nil)
	wantOnly(t, err, ErrSlow)
	f.set(false)
	var rows int
	res, err := c.Node("edge-1").Call(within(t), listAll(), func(b *flow.Batch) error {
		if rows += b.Len(); rows > 10000 {
			f.set(true)
		}
		return nil
	})
	wantOnly(t, err, ErrSlow)
	if res.Count != uint64(rows) || rows < 10000 || rows == 200000 {
		t.Errorf("%d rows told, result %+v", rows, res)
	}
	f.set(false)
}

// wantOnly checks that err is one of the plain errors, and no other.
func wantOnly(t *testing.T, err, want error) {
	t.Helper()
	for _, kind := range []error{ErrAbsent, ErrDenied, ErrSlow, ErrLost} {
		if errors.Is(err, kind) != (kind == want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	if !strings.HasPrefix(err.Error(), `node "`) {
		t.Errorf("the error names no node: %v", err)
	}
}

// TestBusyNodeIsNotSlow: a node that works and has nothing to tell yet says so.
func TestBusyNodeIsNotSlow(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	runNode(t, b.Dial(t), o, callFunc(func(ctx context.Context, q *Request, _ func(*flow.Batch) error) (*Result, error) {
		return &Result{Count: 7}, wait(ctx, 4*time.Second)
	})).serving(t)
	res, err := newClient(t, b.Dial(t)).Node("edge-1").Call(within(t), &Request{Verb: VerbDelete, Table: TableConntrack}, nil)
	if err != nil || res.Count != 7 {
		t.Errorf("got %+v, %v", res, err)
	}
}

// TestRequestTime: a request ends on the node when its time is over, with what
// it has told by then.
func TestRequestTime(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	runNode(t, b.Dial(t), o, tableThenWait(o, 300)).serving(t)
	got, q := newCollector(), listAll()
	q.Timeout = 500 * time.Millisecond
	res, err := newClient(t, b.Dial(t)).Node("edge-1").Call(within(t), q, got.take)
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Code != CodeTimeout || res.Count != 300 {
		t.Fatalf("got %+v, %v", res, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := newClient(t, b.Dial(t)).Node("edge-1").Call(ctx, listAll(), got.take); !errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &refusal) {
		t.Fatalf("got %v", err)
	}
}

// tableThenWait gives n rows and then waits for the end.
func tableThenWait(o *flow.Origin, n int) callFunc {
	return func(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
		res, err := tableOfRows(o, n)(ctx, q, rows)
		if err == nil {
			<-ctx.Done()
			err = ctx.Err()
		}
		return res, err
	}
}

func TestDenied(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.Users = []*server.User{
			natstest.User("node", "pw", nil, nil),
			natstest.User("ann", "pw", []string{"ctferry.v1.*.node.*.*.count"}, []string{"_INBOX.>"}),
			natstest.User("bob", "pw", []string{"ctferry.v1.*.node.*.*.list"}, []string{"_INBOX.>"}), // may not acknowledge
		}
	})
	as := func(user string, more ...func(*natsconn.Config)) *nats.Conn {
		return b.Dial(t, append(more, func(c *natsconn.Config) { c.User, c.Password = user, option.NewSecret("pw") })...)
	}
	o := newOrigin("edge-1", 1)
	runNode(t, as("node"), o, tableOfRows(o, 100000)).serving(t)
	ann := newClient(t, as("ann"))
	if _, err := ann.Node("edge-1").Call(within(t), &Request{Verb: VerbCount, Table: TableConntrack}, nil); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	_, err := ann.Node("edge-1").Call(within(t), &Request{Verb: VerbFlush, Table: TableConntrack}, nil)
	wantOnly(t, err, ErrDenied)
	if want := `node "edge-1": no permission: these credentials may not publish to "ctferry.v1.default.node.edge-1.conntrack.flush"`; err.Error() != want {
		t.Errorf("got %q", err)
	}
	if !natsconn.IsAuth(err) || time.Since(begun) > 2*time.Second {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	_, err = newClient(t, as("bob")).Node("edge-1").Call(within(t), listAll(), func(*flow.Batch) error { return nil })
	wantOnly(t, err, ErrDenied)
	_, err = newClient(t, as("ann", func(c *natsconn.Config) { c.InboxPrefix = "_OTHER" })).Node("edge-1").Call(within(t), &Request{Verb: VerbCount, Table: TableConntrack}, nil)
	wantOnly(t, err, ErrDenied)
	if _, err := ann.Fleet().Call(within(t), listAll(), nil); !errors.Is(err, ErrDenied) {
		t.Errorf("fleet: %v", err)
	}
	if _, err := ann.Fleet("edge-1").call(within(t), listAll(), nil, []string{"edge-1"}); !errors.Is(err, ErrDenied) {
		t.Errorf("fleet: %v", err)
	}
}

// forger answers in a node's place with what a test says, each message by its
// head and its body.
type forged struct {
	head messageHead
	body string
	lose bool // it is not sent
}

func forge(t *testing.T, nc *nats.Conn, msgs ...forged) {
	t.Helper()
	sub, err := nc.Subscribe("ctferry.v1.default.node.edge-1.conntrack.list", func(m *nats.Msg) {
		for i := range msgs {
			f := msgs[i]
			if f.head.Node == "" {
				f.head.Node = "edge-1"
			}
			f.head.Seq += uint64(i)
			if !f.lose {
				_ = nc.PublishMsg(&nats.Msg{Subject: m.Reply, Header: f.head.header(""), Data: []byte(f.body)})
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// TestIncompleteAnswer: whatever is missing of an answer, or wrong with it, the
// caller learns of it.
func TestIncompleteAnswer(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	nc := b.Dial(t)
	c := newClient(t, b.Dial(t))
	row := `{"schema":"ctferry.v1","event_type":"dump","table":"conntrack","time":"2026-01-02T03:04:05.000000000Z","time_source":"received","node":"edge-1","run":"00000000000000000000000000000001","seq":1}`
	rows := forged{head: messageHead{Kind: kindRows, Rows: 1}, body: row}
	result := forged{head: messageHead{Kind: kindResult}, body: `{"v":1,"count":2}`}
	end := forged{head: messageHead{Kind: kindEnd, Rows: 2, Chunks: 2}}
	missing := func(f forged) forged { f.lose = true; return f }
	of := func(run string, f forged) forged { f.head.Run = run; return f }
	for _, tt := range []struct {
		name, want string
		msgs       []forged
	}{
		{"whole", "", []forged{rows, rows, result, end}},
		{"first", "message 0 did not arrive, after 0 rows", []forged{missing(rows), rows, result, end}},
		{"one", "message 1 did not arrive, after 1 rows", []forged{rows, missing(rows), result, end}},
		{"several", "messages 1 to 2 did not arrive, after 1 rows", []forged{rows, missing(rows), missing(result), end}},
		{"result", "message 2 did not arrive, after 2 rows", []forged{rows, rows, missing(result), end}},
		{"end", "too slow: nothing heard for", []forged{rows, rows, result}},
		{"twice", "message 0 came a second time", []forged{rows, {head: messageHead{Kind: kindRows, Rows: 1, Seq: ^uint64(0)}, body: row}}},
		{"count", "1 rows in 1 messages came, and the node sent 2 in 2", []forged{rows, result, end}},
		{"no result", "it ended without a result", []forged{rows, rows, end}},
		{"bad result", "result: v: is 0, expected 1", []forged{rows, rows, {head: messageHead{Kind: kindResult}, body: `{}`}}},
		{"no json", "row 0 of a message: record", []forged{{head: messageHead{Kind: kindRows, Rows: 1}, body: "nonsense"}}},
		{"fewer rows", "a message has 1 rows and says 3", []forged{{head: messageHead{Kind: kindRows, Rows: 3}, body: row}}},
		{"two runs", "two runs answer to its name, a and b", []forged{of("a", rows), of("b", rows)}},
		{"another node", `node "edge-2" answered in its place`, []forged{{head: messageHead{Node: "edge-2", Kind: kindRows, Rows: 1}, body: row}}},
		{"no kind", `what came is no message of a ctferry node: header Ctferry-Kind: "", want rows`, []forged{{}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forge(t, nc, tt.msgs...)
			q, got := listAll(), 0
			q.Format = "json"
			res, err := c.Node("edge-1").Call(within(t), q, func(b *flow.Batch) error { got += b.Len(); return nil })
			if tt.want == "" {
				if err != nil || got != 2 || res.Count != 2 {
					t.Errorf("got %+v, %v", res, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			want := ErrLost
			if tt.name == "end" {
				want = ErrSlow
			}
			wantOnly(t, err, want)
		})
	}
}

// TestCallerStops: an error of rows, and the end of the context, end the request
// on the node too.
func TestCallerStops(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	ended := make(chan error, 10)
	runNode(t, b.Dial(t), o, callFunc(func(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
		res, err := tableThenWait(o, 100000)(ctx, q, rows)
		ended <- context.Cause(ctx)
		return res, err
	})).serving(t)
	c := newClient(t, b.Dial(t))
	own := errors.New("enough")
	if _, err := c.Node("edge-1").Call(within(t), listAll(), func(*flow.Batch) error { return own }); err != own {
		t.Errorf("got %v", err)
	}
	wantCause(t, ended, errCancelled)
	ctx, cancel := context.WithCancel(t.Context())
	var rows atomic.Int64
	_, err := c.Node("edge-1").Call(ctx, listAll(), func(b *flow.Batch) error {
		if rows.Add(int64(b.Len())) > 50000 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wantCause(t, ended, errCancelled)
	// One that has told nothing yet is reached by the name that the caller gave.
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Node("edge-1").Call(ctx, &Request{Verb: VerbCount, Table: TableConntrack, Timeout: time.Minute}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	wantCause(t, ended, errCancelled)
}

func wantCause(t *testing.T, ended <-chan error, want error) {
	t.Helper()
	select {
	case err := <-ended:
		if !errors.Is(err, want) {
			t.Errorf("ended by %v, want %v", err, want)
		}
	case <-time.After(patience):
		t.Fatal("the request goes on")
	}
}

// TestConnectionBreaks: the server goes away in the middle. The caller learns
// how far it got; the node serves again when the server is back.
func TestConnectionBreaks(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	n := runNode(t, b.Dial(t), o, tableOfRows(o, 200000)).serving(t)
	c := newClient(t, b.Dial(t))
	rows := 0
	res, err := c.Node("edge-1").Call(within(t), listAll(), func(batch *flow.Batch) error {
		if rows += batch.Len(); rows > 20000 && rows < 21000 {
			b.Stop()
		}
		return nil
	})
	wantOnly(t, err, ErrLost)
	if res.Count != uint64(rows) || !errors.Is(err, nats.ErrDisconnected) || !strings.Contains(err.Error(), fmt.Sprint(rows)+" rows") {
		t.Errorf("%d rows: %+v, %v", rows, res, err)
	}
	if _, err := c.Node("edge-1").Call(within(t), listAll(), nil); !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("without a server: %v", err)
	}
	b.Restart(t)
	eventually(t, "the node answers again", func() bool {
		res, err := c.Node("edge-1").Call(within(t), &Request{Verb: VerbCount, Table: TableConntrack}, nil)
		return err == nil && res.Count == 200000
	})
	eventually(t, "nothing is under way", func() bool { return n.underWay() == 0 })
}

// TestWriteOutlivesItsCaller: a write goes on when its caller is gone, since the
// caller may ask for its result again by the same id.
func TestWriteOutlivesItsCaller(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	begun, ended := make(chan string, 2), make(chan error, 2)
	runNode(t, b.Dial(t), o, callFunc(func(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
		begun <- q.ID
		_ = wait(ctx, time.Second)
		res, err := tableOfRows(o, 1000)(ctx, &Request{Verb: VerbList}, rows)
		ended <- err
		return res, err
	})).serving(t)
	caller := b.Dial(t)
	c := newClient(t, caller)
	failed := make(chan error, 1)
	go func() {
		_, err := c.Node("edge-1").Call(within(t), &Request{ID: "same", Verb: VerbDelete, Table: TableConntrack, Rows: true}, nil)
		failed <- err
	}()
	if id := <-begun; id != "same" {
		t.Errorf("got id %q", id)
	}
	caller.Close()
	if err := <-failed; !errors.Is(err, ErrLost) {
		t.Errorf("got %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the write ended with %v", err)
	}
}

// TestWriteOutlivesItsCallersSilence: a caller that is heard again after the node
// gave it up learns how the write ended, and that it was not told all rows of it.
func TestWriteOutlivesItsCallersSilence(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o, f := newOrigin("edge-1", 1), newFreezer(t, b)
	ended := make(chan error, 1)
	runNode(t, b.Dial(t), o, callFunc(func(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
		res, err := tableOfRows(o, 200000)(ctx, &Request{Verb: VerbList}, rows)
		ended <- err
		return res, err
	})).serving(t)
	c := newClient(t, b.Dial(t, f.through), func(o *ClientOptions) { o.Silence = patience })
	type answer struct {
		res *Result
		err error
	}
	answers, rows := make(chan answer, 1), 0
	go func() {
		res, err := c.Node("edge-1").Call(within(t), &Request{Verb: VerbDelete, Table: TableConntrack, Rows: true}, func(b *flow.Batch) error {
			if rows += b.Len(); rows > 10000 {
				f.set(true)
			}
			return nil
		})
		answers <- answer{res, err}
	}()
	if err := <-ended; err != nil {
		t.Errorf("the write ended with %v", err)
	}
	f.set(false)
	a := <-answers
	var cut *Error
	if !errors.As(a.err, &cut) || cut.Code != CodeCut || a.res.Count != 200000 || rows >= 200000 {
		t.Errorf("%d rows came: %+v, %v", rows, a.res, a.err)
	}
}

// TestWriteOutlivesTheServer: a write goes on when its rows cannot be sent, since
// NATS went away or because one is too large.
func TestWriteOutlivesTheServer(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o, ended := newOrigin("edge-1", 1), make(chan error, 1)
	huge := newOrigin("edge-1", 1)
	huge.Meta = []flow.Pair{{Key: "long", Value: string(make([]byte, 2<<20))}}
	runNode(t, b.Dial(t), o, callFunc(func(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
		from := o
		if q.ID == "huge" {
			from = huge
		} else {
			b.Stop()
		}
		res, err := tableOfRows(from, 10000)(ctx, &Request{Verb: VerbList}, rows)
		ended <- err
		return res, err
	})).serving(t)
	for _, id := range []string{"huge", "lost"} {
		_, err := newClient(t, b.Dial(t)).Node("edge-1").Call(within(t), &Request{ID: id, Verb: VerbDelete, Table: TableConntrack, Rows: true}, nil)
		var large *Error
		if id == "huge" && (!errors.As(err, &large) || large.Code != CodeTooLarge) || err == nil {
			t.Errorf("%s: the caller got %v", id, err)
		}
		if err := <-ended; err != nil {
			t.Errorf("%s: the write ended with %v", id, err)
		}
	}
}
