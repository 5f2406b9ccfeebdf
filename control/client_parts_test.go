package control

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/source/flow"
)

// manyKeys names n entries by their source ports.
func manyKeys(n int) []Key {
	keys := make([]Key, n)
	for i := range keys {
		keys[i].Conntrack = &flow.Key{Tuple: flow.Tuple{
			Has: flow.HasAddrs | flow.HasPorts | flow.HasProto, Family: flow.IPv4, Proto: 17,
			Src: flow.Addr{10, 0, byte(i >> 16), 1}, Dst: flow.Addr{10, 0, 0, 2}, SrcPort: uint16(i), DstPort: 53,
		}}
	}
	return keys
}

// patiently waits for a node that is busy reading a large request.
func patiently(o *ClientOptions) { o.Silence = patience }

// TestManyKeys: a write with more keys than a message holds comes in parts that
// are joined again, with the failures at their places.
func TestManyKeys(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	var mu sync.Mutex
	ids := map[string]int{}
	n := 0
	runNode(t, b.Dial(t), o, callFunc(func(_ context.Context, q *Request, _ func(*flow.Batch) error) (*Result, error) {
		mu.Lock()
		defer mu.Unlock()
		ids[q.ID]++
		res := &Result{Count: uint64(len(q.Keys) - 1), Failed: 1}
		res.Failures = []Failure{{Index: 0, Err: &Error{Code: CodeNotFound, Message: "gone"}}}
		if int(q.Keys[0].Conntrack.Tuple.SrcPort) != n&0xffff {
			t.Errorf("part %s begins at %d, want %d", q.ID, q.Keys[0].Conntrack.Tuple.SrcPort, n&0xffff)
		}
		if n += len(q.Keys); n > 12000 {
			return res, errors.New("broken")
		}
		return res, nil
	})).serving(t)
	q := &Request{ID: "w", Verb: VerbDelete, Table: TableConntrack, Keys: manyKeys(6000)}
	res, err := newClient(t, b.Dial(t), patiently).Node("edge-1").Call(within(t), q, nil)
	parts := len(ids)
	if err != nil || parts < 2 || res.Count != uint64(6000-parts) || res.Failed != uint64(parts) || len(res.Failures) != parts || res.Request != "w" || res.Node != "edge-1" {
		t.Fatalf("%d parts: %+v, %v", parts, res, err)
	}
	if res.Failures[0].Index != 0 || res.Failures[1].Index == 0 || ids["w.0"] != 1 || ids["w.1"] != 1 {
		t.Errorf("failures %+v, ids %v", res.Failures, ids)
	}
	// Up to the first that fails.
	n = 0
	q.Keys = manyKeys(16000)
	res, err = newClient(t, b.Dial(t), patiently).Node("edge-1").Call(within(t), q, nil)
	if err == nil || n <= 12000 || n >= 16000 || int(res.Count+res.Failed) != n {
		t.Errorf("%d keys went out: %+v, %v", n, res, err)
	}
}

func TestParts(t *testing.T) {
	for _, tt := range []struct{ keys, atLeast, most int }{{0, 1, 1}, {1, 1, 1}, {100, 1, 1}, {5000, 2, 16}} {
		q := &Request{ID: "0123456789012345678901234567890123456789012345678901234567890123", Verb: VerbGet, Table: TableConntrack, Keys: manyKeys(tt.keys)}
		parts, err := q.parts()
		if err != nil || len(parts) < tt.atLeast || len(parts) > tt.most {
			t.Fatalf("%d keys: %d parts, %v", tt.keys, len(parts), err)
		}
		sum, ids := 0, map[string]bool{}
		for _, p := range parts {
			text, _ := p.MarshalJSON()
			if len(text) > partBytes || len(p.ID) > MaxID || ids[p.ID] {
				t.Errorf("%d keys: a part of %d bytes, %s", tt.keys, len(text), p.ID)
			}
			ids[p.ID] = true
			sum += len(p.Keys)
		}
		if sum != tt.keys {
			t.Errorf("%d keys became %d", tt.keys, sum)
		}
	}
}

// TestDenials: a denial reaches those who wait for its subject, once, and
// nobody else.
func TestDenials(t *testing.T) {
	b := natstest.Start(t)
	d := watchDenials(b.Dial(t))
	a, c := make(chan *natsconn.PermissionError, 1), make(chan *natsconn.PermissionError, 1)
	d.wait(a, "x")
	d.wait(a, "y")
	d.wait(c, "y")
	d.note(&natsconn.PermissionError{Subject: "x"})
	d.note(&natsconn.PermissionError{Subject: "x"}) // has one already
	if len(a) != 1 || len(c) != 0 {
		t.Errorf("%d and %d", len(a), len(c))
	}
	<-a
	d.note(&natsconn.PermissionError{Subject: "y"})
	if len(a) != 1 || len(c) != 1 {
		t.Errorf("%d and %d", len(a), len(c))
	}
	d.forget(a)
	d.forget(c)
	if len(d.waiting) != 0 {
		t.Errorf("still waiting: %v", d.waiting)
	}
}
