package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/source/flow"
)

// fleet runs nodes a, b and c, of which c's link may be frozen. Node i has
// 1000*(i+1) entries.
func runFleet(t *testing.T, b *natstest.Broker) *freezer {
	t.Helper()
	f := newFreezer(t, b)
	for i, name := range []string{"a", "b", "c"} {
		o, nc := newOrigin(name, byte(1+i)), b.Dial(t)
		if name == "c" {
			nc = b.Dial(t, f.through)
		}
		runNode(t, nc, o, tableOfRows(o, 1000*(i+1))).serving(t)
	}
	return f
}

func TestFleet(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	runFleet(t, b)
	c := newClient(t, b.Dial(t))
	perNode := map[string]int{}
	answers, err := c.Fleet().Call(within(t), listAll(), func(batch *flow.Batch) error {
		node := batch.Events()[0].Origin.Node
		for i := range batch.Events() {
			if batch.Events()[i].Origin.Node != node {
				t.Error("a batch is of two nodes")
			}
		}
		perNode[node] += batch.Len()
		return nil
	})
	if err != nil || len(answers) != 3 {
		t.Fatalf("got %v, %v", answers, err)
	}
	for i, name := range []string{"a", "b", "c"} {
		a := answers[i]
		if a.Node != name || a.Err != nil || a.Result.Node != name || a.Result.Count != uint64(1000*(i+1)) || perNode[name] != 1000*(i+1) {
			t.Errorf("%s: %+v %+v, %d rows", name, a, a.Result, perNode[name])
		}
	}
}

// TestFleetOneFrozen: a node that is frozen is named and the others answer,
// whether it freezes in the middle or was frozen before and is known.
func TestFleetOneFrozen(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	f := runFleet(t, b)
	c := newClient(t, b.Dial(t))
	count := &Request{Verb: VerbCount, Table: TableConntrack}
	ended := map[string]error{}
	fleet := c.Fleet("c")
	fleet.Ended = func(a Answer) { ended[a.Node] = a.Err }
	f.set(true)
	for range 2 { // the second time it is known, were it not expected
		answers, err := fleet.Call(within(t), count, nil)
		if err != nil || len(answers) != 3 || answers[0].Err != nil || answers[1].Err != nil || answers[1].Result.Count != 2000 {
			t.Fatalf("got %+v, %v", answers, err)
		}
		wantOnly(t, answers[2].Err, ErrSlow)
		if answers[2].Node != "c" || len(ended) != 3 || ended["a"] != nil || ended["c"] == nil {
			t.Errorf("got %+v, told of %v", answers[2], ended)
		}
		fleet = c.Fleet()
		fleet.Ended = func(a Answer) { ended[a.Node] = a.Err }
	}
	f.set(false)
	eventually(t, "the node is back", func() bool {
		answers, err := c.Fleet().Call(within(t), count, nil)
		return err == nil && len(answers) == 3 && answers[2].Err == nil
	})
	// In the middle of a watch.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rows := map[string]int{}
	answers, err := c.Fleet().Call(ctx, listAll(), func(batch *flow.Batch) error {
		rows[batch.Events()[0].Origin.Node] += batch.Len()
		if rows["c"] > 0 {
			f.set(true)
		}
		return nil
	})
	f.set(false)
	if err != nil || answers[0].Err != nil || answers[1].Err != nil || rows["a"] != 1000 || rows["b"] != 2000 {
		t.Errorf("got %v, %v, %v", answers, rows, err)
	}
}

func TestFleetOfNone(t *testing.T) {
	c := newClient(t, natstest.Start(t).Dial(t))
	if answers, err := c.Fleet().Call(within(t), listAll(), nil); !errors.Is(err, ErrAbsent) || len(answers) != 0 {
		t.Errorf("got %v, %v", answers, err)
	}
	answers, err := c.Fleet("x").Call(within(t), listAll(), nil)
	if err != nil || len(answers) != 1 || !errors.Is(answers[0].Err, ErrAbsent) {
		t.Errorf("got %v, %v", answers, err)
	}
	if nodes, err := c.Nodes(within(t)); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v, %v", nodes, err)
	}
}

// TestFleetStops: rows' error ends the call on every node.
func TestFleetStops(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	var nodes []*testNode
	for i, name := range []string{"a", "b"} {
		o := newOrigin(name, byte(1+i))
		nodes = append(nodes, runNode(t, b.Dial(t), o, tableOfRows(o, 1_000_000)).serving(t))
	}
	own := errors.New("enough")
	if _, err := newClient(t, b.Dial(t)).Fleet().Call(within(t), listAll(), func(*flow.Batch) error { return own }); err != own {
		t.Errorf("got %v", err)
	}
	for _, n := range nodes {
		eventually(t, "the node stops", func() bool { return n.underWay() == 0 })
	}
}

// TestFleetWatch: a watch of many goes on when one of them stops.
func TestFleetWatch(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	var nodes []*testNode
	for i, name := range []string{"a", "b"} {
		k := &ticker{every: 10 * time.Millisecond, each: 1, origin: newOrigin(name, byte(i+1))}
		nodes = append(nodes, runNode(t, b.Dial(t), k.origin, &Executor{Tap: k}).serving(t))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	seen := map[string]int{}
	var mu sync.Mutex
	f := newClient(t, b.Dial(t)).Fleet()
	var lost []string
	f.Ended = func(a Answer) { lost = append(lost, fmt.Sprint(a.Node, ": ", a.Err)) }
	stopped := false
	answers, err := f.Call(ctx, watchAll(), func(b *flow.Batch) error {
		mu.Lock()
		defer mu.Unlock()
		seen[b.Events()[0].Origin.Node]++
		if seen["a"] > 10 && seen["b"] > 10 && !stopped {
			stopped = true
			nodes[0].end()
		}
		if stopped && len(lost) == 1 && seen["b"] > 100 {
			cancel()
		}
		return nil
	})
	if err != nil || len(answers) != 2 || len(lost) != 1 || lost[0] != "a: the node is stopping" {
		t.Errorf("got %v, %v, lost %q", answers, err, lost)
	}
}

func TestNodes(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	f := runFleet(t, b)
	c := newClient(t, b.Dial(t))
	nodes, err := c.Nodes(within(t))
	if err != nil || len(nodes) != 3 {
		t.Fatalf("got %+v, %v", nodes, err)
	}
	for i, name := range []string{"a", "b", "c"} {
		n := nodes[i]
		if n.Node != name || n.Err != nil || n.Version != "1.2.3" || len(n.NetNS) != 1 || n.NetNS[0] != "blue" || n.RTT <= 0 || n.BootID == "" || n.Run == "" {
			t.Errorf("%s: %+v", name, n)
		}
		if n.Agent == nil || n.Agent.Uptime != int64(time.Minute) || len(n.Agent.Tables) != 1 || n.Agent.Tables[0].Entries != 42 || n.Agent.Sink != nil {
			t.Errorf("%s: agent %+v", name, n.Agent)
		}
		if len(n.Sinks) != 2 || n.Sinks[0].Name != "siem" || !n.Sinks[0].Up || n.Sinks[1].Held != 7 || n.Sinks[1].LastError != "no route" {
			t.Errorf("%s: sinks %+v", name, n.Sinks)
		}
	}
	f.set(true)
	nodes, err = c.Nodes(within(t), "d")
	f.set(false)
	if err != nil || len(nodes) != 4 || nodes[0].Err != nil || !errors.Is(nodes[2].Err, ErrSlow) || nodes[2].Node != "c" || nodes[3].Err == nil {
		t.Errorf("got %+v, %v", nodes, err)
	}
}
