package control

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/source/flow"
	"github.com/nats-io/nats.go"
)

// endings is a Caller that tells how each request ended.
func endings(caller Caller) (callFunc, chan error) {
	ended := make(chan error, 100)
	return func(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
		res, err := caller.Call(ctx, q, rows)
		ended <- errors.Join(err, context.Cause(ctx))
		return res, err
	}, ended
}

// TestFrozenCaller: a caller that stops reading ends its own request, after a
// bound and with no more than its window under way; others are served.
func TestFrozenCaller(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o, f := newOrigin("edge-1", 1), newFreezer(t, b)
	caller, ended := endings(tableOfRows(o, 2_000_000))
	n := runNode(t, b.Dial(t), o, caller).serving(t)
	frozen := newClient(t, b.Dial(t, f.through))
	failed := make(chan error, 1)
	go func() {
		rows := 0
		_, err := frozen.Node("edge-1").Call(within(t), listAll(), func(batch *flow.Batch) error {
			if rows += batch.Len(); rows > 10000 {
				f.set(true)
			}
			return nil
		})
		failed <- err
	}()
	select {
	case err := <-ended:
		var cut *Error
		if !errors.As(err, &cut) || cut.Code != CodeCut || cut.Message != "the caller has said nothing for 5s" {
			t.Errorf("ended by %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the request goes on")
	}
	if _, err := newClient(t, b.Dial(t)).Node("edge-1").Call(within(t), &Request{Verb: VerbCount, Table: TableConntrack}, nil); err != nil {
		t.Error(err)
	}
	if err := <-failed; err == nil {
		t.Error("the frozen caller has no error")
	}
	f.set(false)
	eventually(t, "nothing is under way", func() bool { return n.underWay() == 0 })
}

// TestSlowCaller: a caller that is slow and alive gets everything, in the time
// that its request has, and is not sent more than its window meanwhile.
func TestSlowCaller(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	runNode(t, b.Dial(t), o, tableOfRows(o, 100000)).serving(t)
	nc := b.Dial(t)
	got, paused := newCollector(), false
	res, err := newClient(t, nc).Node("edge-1").Call(within(t), listAll(), func(batch *flow.Batch) error {
		if !paused {
			time.Sleep(6 * time.Second) // longer than either side's silence
			paused = true
			if in := nc.Stats().InBytes; in > 17*maxChunk {
				t.Errorf("%d bytes came while nothing was taken", in)
			}
		}
		return got.take(batch)
	})
	if err != nil || res.Count != 100000 || len(got.marks) != 100000 || got.twice != 0 {
		t.Errorf("got %+v and %d rows, %v", res, len(got.marks), err)
	}
}

// TestSlowCallerOutOfTime: a caller that keeps the node waiting until its
// request's time is over learns of that, and not that the node is slow.
func TestSlowCallerOutOfTime(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	runNode(t, b.Dial(t), o, tableOfRows(o, 1_000_000)).serving(t)
	q := listAll()
	q.Timeout = 700 * time.Millisecond
	_, err := newClient(t, b.Dial(t)).Node("edge-1").Call(within(t), q, func(*flow.Batch) error {
		time.Sleep(50 * time.Millisecond)
		return nil
	})
	var late *Error
	if !errors.As(err, &late) || late.Code != CodeTimeout || late.Message != "not done within 700ms" {
		t.Errorf("got %v", err)
	}
}

// TestFrozenPlainCaller: a caller that does not acknowledge and stops reading is
// cut off by nats-server; the request ends at its time at the latest, and the
// node's memory holds none of it.
func TestFrozenPlainCaller(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o, f := newOrigin("edge-1", 1), newFreezer(t, b)
	caller, ended := endings(tableOfRows(o, 10_000_000))
	n := runNode(t, b.Dial(t), o, caller).serving(t)
	nc := b.Dial(t, f.through)
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest("ctferry.v1.default.node.edge-1.conntrack.list", sub.Subject, []byte(`{"v":1,"timeout":"3s"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := sub.NextMsg(patience); err != nil {
		t.Fatal(err)
	}
	f.set(true)
	select {
	case err := <-ended:
		var late *Error
		if !errors.As(err, &late) {
			t.Errorf("ended by %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the request goes on")
	}
	if out := n.nc.Stats().OutBytes; out > 5*pace {
		t.Errorf("%d bytes were sent to a caller that takes none", out)
	}
	f.set(false)
}

// TestHugeRow: a row that no message can hold ends the answer by name.
func TestHugeRow(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	o.Meta = []flow.Pair{{Key: "long", Value: string(make([]byte, 2<<20))}}
	runNode(t, b.Dial(t), newOrigin("edge-1", 1), tableOfRows(o, 10)).serving(t)
	_, err := newClient(t, b.Dial(t)).Node("edge-1").Call(within(t), listAll(), nil)
	var large *Error
	if !errors.As(err, &large) || large.Code != CodeTooLarge {
		t.Errorf("got %v", err)
	}
}

// TestSmallMessages: whatever the server's max_payload, nothing is larger.
func TestSmallMessages(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.MaxPayload = 8 << 10 })
	o := newOrigin("edge-1", 1)
	runNode(t, b.Dial(t), o, tableOfRows(o, 2000)).serving(t)
	got := newCollector()
	if _, err := newClient(t, b.Dial(t)).Node("edge-1").Call(within(t), listAll(), got.take); err != nil || len(got.marks) != 2000 {
		t.Errorf("%d rows, %v", len(got.marks), err)
	}
	for _, m := range exchange(t, b.Dial(t), "ctferry.v1.default.node.edge-1.conntrack.list", "", nil) {
		if len(m.Data) > 4<<10 {
			t.Errorf("%d bytes", len(m.Data))
		}
	}
	q := &Request{Verb: VerbGet, Table: TableConntrack}
	for range 1000 {
		q.Keys = append(q.Keys, Key{Conntrack: &flow.Key{Tuple: flow.Tuple{Has: flow.HasAddrs | flow.HasProto, Family: flow.IPv4, Proto: 6}}})
	}
	_, err := newClient(t, b.Dial(t)).Node("edge-1").Call(within(t), q, nil)
	var large *Error
	if !errors.As(err, &large) || large.Code != CodeTooLarge {
		t.Errorf("a large request: %v", err)
	}
}

// TestWords: words that make no sense, or acknowledge what was not sent, change
// nothing.
func TestWords(t *testing.T) {
	var ended []*Error
	out := newOutgoing(nil, messageHead{}, "in", "ctl", 4, quick(), func(e *Error) { ended = append(ended, e) })
	out.sent = 3
	for _, tt := range []struct {
		word string
		want uint64
	}{{"ack 2", 2}, {"ack 1", 2}, {"ack", 2}, {"ack -1", 2}, {"", 2}, {"ack 99", 3}, {"nack 3", 3}} {
		if out.word(&nats.Msg{Data: []byte(tt.word)}); out.acked != tt.want || len(ended) != 0 {
			t.Errorf("%q: acknowledged %d, want %d; ended %v", tt.word, out.acked, tt.want, ended)
		}
	}
	out.word(&nats.Msg{Data: []byte("ack 3"), Reply: "in.7"})
	if out.inbox != "in.7" {
		t.Errorf("answers go to %s", out.inbox)
	}
	out.word(&nats.Msg{Data: []byte("cancel")})
	out.word(&nats.Msg{Header: nats.Header{"Status": {"503"}}})
	if len(ended) != 1 || ended[0] != errCancelled || out.ended() != errCancelled {
		t.Errorf("ended %v", ended)
	}
}
