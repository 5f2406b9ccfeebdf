package control

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/source/flow"
	"github.com/nats-io/nats.go"
)

// patience bounds each wait of a test.
const patience = 90 * time.Second

// callFunc is a Caller of a test's own.
type callFunc func(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error)

func (f callFunc) Call(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
	return f(ctx, q, rows)
}

// table is a Caller with n entries, whose number is the mark; every other verb
// than list only counts.
func tableOfRows(origin *flow.Origin, n int) callFunc {
	return func(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
		if q.Verb != VerbList && q.Verb != VerbGet {
			return &Result{Request: q.ID, Count: uint64(n)}, nil
		}
		b := flow.NewBatch(256)
		for i := range n {
			if err := ctx.Err(); err != nil {
				return &Result{Count: uint64(i)}, err
			}
			fillRow(b.Next(), origin, uint32(i))
			if b.Free() == 0 || i == n-1 {
				if err := rows(b); err != nil {
					return &Result{Count: uint64(i)}, err
				}
				b.Reset()
			}
		}
		return &Result{Request: q.ID, Count: uint64(n)}, nil
	}
}

// fillRow makes a row of a dump as the kernel would send it.
func fillRow(e *flow.Event, origin *flow.Origin, i uint32) {
	e.Type, e.Table, e.Family, e.Proto = flow.TypeDump, flow.TableConntrack, flow.IPv4, 6
	e.Time, e.TimeSource, e.Origin, e.Seq = 1_700_000_000_000_000_000+int64(i), flow.TimeReceived, origin, uint64(i)
	client, server := flow.Addr{10}, flow.Addr{192, 0, 2, 1}
	binary.BigEndian.PutUint32(client[:], 10<<24|i)
	e.Orig = flow.Tuple{Has: flow.HasAddrs | flow.HasPorts | flow.HasProto, Family: flow.IPv4, Proto: 6, Src: client, Dst: server, SrcPort: 40000, DstPort: 443}
	e.Reply = flow.Tuple{Has: e.Orig.Has, Family: flow.IPv4, Proto: 6, Src: server, Dst: client, SrcPort: 443, DstPort: 40000}
	e.Has = flow.HasOrig | flow.HasReply | flow.HasMark | flow.HasTimeout | flow.HasStatus | flow.HasOrigCounters | flow.HasReplyCounters | flow.HasID
	e.Mark, e.Timeout, e.Status, e.ID = i, 431999, 0x18e, i^0xdeadbeef
	e.OrigCounters, e.ReplyCounters = flow.Counters{Packets: 10, Bytes: 1000}, flow.Counters{Packets: 8, Bytes: 9000}
}

// quick are clocks for tests.
func quick() serviceTimes {
	return serviceTimes{
		ask: 150 * time.Millisecond, again: 500 * time.Millisecond, back: 50 * time.Millisecond, drain: 500 * time.Millisecond,
		beat: 100 * time.Millisecond, silence: 5 * time.Second, slow: 300 * time.Millisecond, late: 3 * time.Second,
	}
}

// testNode is a node that a test runs.
type testNode struct {
	*Service
	origin *flow.Origin
	nc     *nats.Conn
	end    context.CancelFunc
	ended  chan error
}

// newOrigin makes a node of one run.
func newOrigin(name string, run byte) *flow.Origin {
	return &flow.Origin{Node: name, Run: [16]byte{15: run}, BootID: [16]byte{1}, Meta: []flow.Pair{{Key: "role", Value: "test"}}}
}

// agentOf tells of a node with one table and two sinks.
func agentOf() (flow.Agent, []flow.SinkBooks) {
	return flow.Agent{
		Reason: "interval", Version: "1.2.3", Uptime: int64(time.Minute),
		Tables: []flow.TableFill{{Entries: 42, Max: 1000}},
	}, []flow.SinkBooks{{Name: "siem", Offered: 5, Delivered: 5, Up: true}, {Name: "bus", Offered: 7, Held: 7, LastError: "no route"}}
}

// runNode serves until the test ends. The functions may change the options.
func runNode(t testing.TB, nc *nats.Conn, origin *flow.Origin, caller Caller, change ...func(*ServiceOptions)) *testNode {
	t.Helper()
	o := ServiceOptions{Config: DefaultConfig(), Origin: origin, Version: "1.2.3", NetNS: []string{"blue"}, Caller: caller, Agent: agentOf}
	for _, f := range change {
		f(&o)
	}
	s, err := NewService(nc, o, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	s.times = quick()
	ctx, cancel := context.WithCancel(context.Background())
	n := &testNode{Service: s, origin: origin, nc: nc, end: cancel, ended: make(chan error, 1)}
	go func() { n.ended <- s.Run(ctx) }()
	t.Cleanup(func() { n.stop(t) })
	return n
}

// stop ends the node and waits for it.
func (n *testNode) stop(t testing.TB) {
	t.Helper()
	n.end()
	select {
	case err := <-n.ended:
		n.ended <- err
	case <-time.After(patience):
		t.Error("the service did not end")
	}
}

// serving waits until the node serves.
func (n *testNode) serving(t testing.TB) *testNode {
	t.Helper()
	eventually(t, "the node serves", func() bool { return n.Status().Serving })
	if err := n.nc.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
	return n
}

// noLeaks checks at the test's end that nothing of control's runs any more.
func noLeaks(t testing.TB) {
	t.Cleanup(func() {
		eventually(t, "everything of control's has ended", func() bool {
			buf := make([]byte, 1<<20)
			stacks := string(buf[:runtime.Stack(buf, true)])
			return !strings.Contains(stacks, "control.(*Service)") && !strings.Contains(stacks, "control.(*inquiry)") && !strings.Contains(stacks, "control.(*outgoing)")
		})
	})
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// dial connects as a user.
func dialAs(t testing.TB, b *natstest.Broker, change ...func(*natsconn.Config)) *nats.Conn {
	t.Helper()
	return b.Dial(t, change...)
}

func newClient(t testing.TB, nc *nats.Conn, change ...func(*ClientOptions)) *Client {
	t.Helper()
	o := ClientOptions{Discover: 1500 * time.Millisecond, Silence: 3 * time.Second, User: "ann"}
	for _, f := range change {
		f(&o)
	}
	c, err := NewClient(nc, o)
	if err != nil {
		t.Fatal(err)
	}
	c.beat = 100 * time.Millisecond
	return c
}

// collector takes rows and checks that each comes once.
type collector struct {
	marks map[uint32]bool
	nodes map[string]int
	twice int
}

func newCollector() *collector {
	return &collector{marks: map[uint32]bool{}, nodes: map[string]int{}}
}

func (c *collector) take(b *flow.Batch) error {
	for i := range b.Events() {
		e := &b.Events()[i]
		if c.marks[e.Mark] {
			c.twice++
		}
		c.marks[e.Mark] = true
		c.nodes[e.Origin.Node]++
	}
	return nil
}

func listAll() *Request { return &Request{Verb: VerbList, Table: TableConntrack} }

func TestListOverNATS(t *testing.T) {
	b := natstest.Start(t)
	o := newOrigin("edge-1.example", 1)
	runNode(t, b.Dial(t), o, tableOfRows(o, 5000)).serving(t)
	c := newClient(t, b.Dial(t))
	for _, format := range []string{"", "json", "xml", "protobuf"} {
		t.Run("format "+format, func(t *testing.T) {
			got, q := newCollector(), listAll()
			q.Format = format
			res, err := c.Node("edge-1.example").Call(within(t), q, got.take)
			if err != nil {
				t.Fatal(err)
			}
			if res.Count != 5000 || len(got.marks) != 5000 || got.twice != 0 || res.Node != "edge-1.example" || res.Request == "" {
				t.Errorf("got %d rows, %d twice, result %+v", len(got.marks), got.twice, res)
			}
		})
	}
	// The node's token is as good a name.
	if res, err := c.Node("edge-1_example").Call(within(t), &Request{Verb: VerbCount, Table: TableConntrack}, nil); err != nil || res.Count != 5000 {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestAbsentNode(t *testing.T) {
	b := natstest.Start(t)
	c := newClient(t, b.Dial(t))
	res, err := c.Node("nowhere").Call(within(t), listAll(), nil)
	if !errors.Is(err, ErrAbsent) || errors.Is(err, ErrSlow) || errors.Is(err, ErrDenied) || res == nil {
		t.Fatalf("got %v", err)
	}
	if want := `node "nowhere": does not answer to its name: it is not connected, or its control is off: nobody hears ctferry.v1.default.node.nowhere.conntrack.list`; err.Error() != want {
		t.Errorf("got %q", err)
	}
}
