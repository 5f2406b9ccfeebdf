package control

import (
	"errors"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/nats-io/nats.go"
)

// TestSecondRun: a run whose node's name is answered by another does not serve,
// says whose it is, and takes over when the other has stopped.
func TestSecondRun(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	first := newOrigin("edge-1", 1)
	one := runNode(t, b.Dial(t), first, tableOfRows(first, 1)).serving(t)
	second := newOrigin("edge-1", 2)
	two := runNode(t, b.Dial(t), second, tableOfRows(second, 2))
	eventually(t, "the second sees the first", func() bool { return two.Status().Rival == one.run })
	c := newClient(t, b.Dial(t))
	count := &Request{Verb: VerbCount, Table: TableConntrack}
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if !one.Status().Serving || two.Status().Serving {
			t.Fatalf("first %+v, second %+v", one.Status(), two.Status())
		}
		if res, err := c.Node("edge-1").Call(within(t), count, nil); err != nil || res.Count != 1 {
			t.Fatalf("got %+v, %v", res, err)
		}
	}
	one.stop(t)
	two.serving(t)
	if res, err := c.Node("edge-1").Call(within(t), count, nil); err != nil || res.Count != 2 || two.Status().Rival != "" {
		t.Errorf("got %+v, %v", res, err)
	}
}

// TestRunsAtOnce: of several runs that begin at the same moment, one serves.
func TestRunsAtOnce(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	var nodes []*testNode
	for i := range 4 {
		o := newOrigin("edge-1", byte(1+i))
		nodes = append(nodes, runNode(t, b.Dial(t), o, tableOfRows(o, i)))
	}
	serving := func() (n int) {
		for _, node := range nodes {
			if node.Status().Serving {
				n++
			}
		}
		return n
	}
	eventually(t, "one serves", func() bool { return serving() == 1 })
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if n := serving(); n != 1 {
			t.Fatalf("%d serve", n)
		}
	}
}

// TestRunsMeet: two runs that were out of each other's sight when they began
// notice when they see each other, and one of them stops serving.
func TestRunsMeet(t *testing.T) {
	noLeaks(t)
	b, other := natstest.Start(t), natstest.Start(t)
	first, second := newOrigin("edge-1", 1), newOrigin("edge-1", 2)
	one := runNode(t, b.Dial(t), first, tableOfRows(first, 1)).serving(t)
	two := runNode(t, other.Dial(t, func(c *natsconn.Config) {
		c.URLs, c.Ordered = []string{other.ClientURL(), b.ClientURL()}, true
	}), second, tableOfRows(second, 1)).serving(t)
	other.Stop()
	eventually(t, "one of them serves", func() bool { return one.Status().Serving != two.Status().Serving })
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if one.Status().Serving == two.Status().Serving {
			// Both may have stepped back; both may not serve for long.
			eventually(t, "one of them serves", func() bool { return one.Status().Serving != two.Status().Serving })
		}
	}
}

// TestOtherNames: other nodes and other sites do not stand in the way.
func TestOtherNames(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	for i, name := range []string{"a", "b", "a"} {
		o := newOrigin(name, byte(i+1))
		runNode(t, b.Dial(t), o, tableOfRows(o, 1), func(so *ServiceOptions) {
			if i == 2 {
				so.Config.Site = "elsewhere"
			}
		}).serving(t)
	}
}

// TestServiceConnectionCloses: Run ends when its connection does.
func TestServiceConnectionCloses(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	o := newOrigin("edge-1", 1)
	n := runNode(t, b.Dial(t), o, tableOfRows(o, 1)).serving(t)
	n.nc.Close()
	select {
	case err := <-n.ended:
		if !errors.Is(err, nats.ErrConnectionClosed) {
			t.Errorf("got %v", err)
		}
		n.ended <- err
	case <-time.After(patience):
		t.Fatal("the service goes on")
	}
}

// TestServiceWithoutServer: the service waits for a server that is away.
func TestServiceWithoutServer(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t)
	nc := b.Dial(t)
	b.Stop()
	o := newOrigin("edge-1", 1)
	n := runNode(t, nc, o, tableOfRows(o, 1))
	time.Sleep(300 * time.Millisecond)
	if n.Status().Serving {
		t.Error("serves without a server")
	}
	b.Restart(t)
	n.serving(t)
}
