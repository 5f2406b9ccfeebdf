package ctnetlink

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

func dialNS(tb testing.TB, ns *testnet.Namespace) *Conn {
	tb.Helper()
	c, err := Dial(DialConfig{NetNS: ns.Path()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			tb.Error(err)
		}
	})
	return c
}

// rows dumps a table and describes its rows by their original tuples.
func rows(tb testing.TB, c *Conn, table flow.Table, o flow.DumpOptions) map[string]string {
	tb.Helper()
	out := map[string]string{}
	n, err := c.Dump(tb.Context(), table, o, func(b *flow.Batch) error {
		for i := range b.Events() {
			e := &b.Events()[i]
			if e.Type != flow.TypeDump || e.Table != table || e.Got(flow.HasPortID) {
				tb.Errorf("a row is %s", describe(e))
			}
			key := describeTuple(&e.Orig)
			if table == flow.TableExpect {
				key = describeTuple(&e.Extra.Expect.Tuple)
			}
			out[key] = describe(e)
		}
		return nil
	})
	if err != nil || n != uint64(len(out)) {
		tb.Fatalf("%d rows, %d of them distinct: %v", n, len(out), err)
	}
	return out
}

func TestStats(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	churn(t, testnet.Churn{NS: ns, Entries: 123, Keep: true})
	fill, err := c.Stats(t.Context())
	if err != nil || fill.Entries != 123 || fill.Max == 0 {
		t.Errorf("%+v: %v", fill, err)
	}
	if n := ns.ConntrackCount(t); n != int(fill.Entries) {
		t.Errorf("conntrack -C says %d", n)
	}
}

func tupleOf(proto uint8, src, dst string, sport, dport uint16) flow.Tuple {
	t := flow.Tuple{Has: flow.HasAddrs | flow.HasProto | flow.HasPorts, Proto: proto, SrcPort: sport, DstPort: dport}
	t.Src, t.Family = flow.AddrFrom(netip.MustParseAddr(src))
	t.Dst, _ = flow.AddrFrom(netip.MustParseAddr(dst))
	return t
}

func TestGetAndDelete(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	add := func(args ...string) {
		ns.Conntrack(t, append([]string{"-I", "-p", "udp", "--timeout", "100", "--sport", "1000", "--dport", "53"}, args...)...)
	}
	add("-s", "10.0.0.1", "-d", "10.0.0.2", "--mark", "7")
	add("-s", "10.0.0.1", "-d", "10.0.0.2", "--mark", "8", "--zone", "5")
	add("-s", "2001:db8::1", "-d", "2001:db8::2", "--mark", "9")
	v4, v6 := tupleOf(17, "10.0.0.1", "10.0.0.2", 1000, 53), tupleOf(17, "2001:db8::1", "2001:db8::2", 1000, 53)
	back := tupleOf(17, "10.0.0.2", "10.0.0.1", 53, 1000)
	for _, k := range []struct {
		key  flow.Key
		mark uint32
	}{{flow.Key{Tuple: v4}, 7}, {flow.Key{Tuple: v4, Zone: 5}, 8}, {flow.Key{Tuple: back, Reply: true}, 7}, {flow.Key{Tuple: v6}, 9}} {
		b := flow.NewBatch(1)
		if err := c.Get(t.Context(), k.key, b); err != nil || b.Len() != 1 {
			t.Fatalf("%+v: %v", k.key, err)
		}
		e := &b.Events()[0]
		if e.Mark != k.mark || e.Type != flow.TypeDump || !e.Got(flow.HasUse|flow.HasTimeout) {
			t.Errorf("%+v: %s", k.key, describe(e))
		}
		wrong := e.ID + 1
		if err := c.Delete(t.Context(), flow.Key{Tuple: k.key.Tuple, Reply: k.key.Reply, Zone: k.key.Zone, ID: &wrong}); !errors.Is(err, unix.ENOENT) {
			t.Errorf("delete under another id: %v", err)
		}
	}
	if err := c.Delete(t.Context(), flow.Key{Tuple: v4}); err != nil {
		t.Fatal(err)
	}
	if left := rows(t, c, flow.TableConntrack, flow.DumpOptions{}); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
	for name, err := range map[string]error{
		"get": c.Get(t.Context(), flow.Key{Tuple: v4}, flow.NewBatch(1)), "delete": c.Delete(t.Context(), flow.Key{Tuple: v4}),
	} {
		var e *Error
		if !errors.Is(err, unix.ENOENT) || !errors.As(err, &e) || e.Op != name {
			t.Errorf("%s of what is gone: %v", name, err)
		}
	}
}

// TestKeyRefused proves that nothing is sent without a whole tuple: a DELETE
// without one empties the table.
func TestKeyRefused(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	churn(t, testnet.Churn{NS: ns, Entries: 10, Keep: true})
	whole := tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)
	for _, k := range []flow.Key{
		{},
		{Tuple: flow.Tuple{Has: flow.HasAddrs | flow.HasProto}},
		{Tuple: flow.Tuple{Has: flow.HasProto | flow.HasPorts, Family: flow.IPv4}},
		{Tuple: flow.Tuple{Has: flow.HasSrc | flow.HasProto, Family: flow.IPv4, Src: whole.Src}},
		{Tuple: flow.Tuple{Has: flow.HasAddrs | flow.HasPorts, Family: flow.IPv4}},
	} {
		if err := c.Delete(t.Context(), k); !errors.Is(err, errKey) {
			t.Errorf("delete %+v: %v", k, err)
		}
		if err := c.Get(t.Context(), k, flow.NewBatch(1)); !errors.Is(err, errKey) {
			t.Errorf("get %+v: %v", k, err)
		}
	}
	if err := c.Get(t.Context(), flow.Key{Tuple: whole}, flow.NewBatch(0)); err == nil {
		t.Error("a full batch was accepted")
	}
	if n := ns.ConntrackCount(t); n != 10 {
		t.Errorf("%d entries of 10 are left", n)
	}
}

// TestKernelWords asks for something that the kernel refuses with a message.
func TestKernelWords(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	q := &request{op: "get", subject: "conntrack entry", subsystem: unix.NFNL_SUBSYS_CTNETLINK, operation: msgCtGet, family: 2,
		attrs: func(w *writer) { w.put64(ctaTimestampEvent, 1) }}
	err := c.do(t.Context(), q, nil)
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, unix.EINVAL) || e.Message == "" || !strings.Contains(err.Error(), e.Message) {
		t.Errorf("%#v", err)
	}
	if !strings.HasPrefix(err.Error(), "get conntrack entry: ") {
		t.Errorf("%v", err)
	}
}

// TestConcurrentRequests has requests take turns while dumps run.
func TestConcurrentRequests(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	churn(t, testnet.Churn{NS: ns, Entries: 500, Keep: true})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				if fill, err := c.Stats(t.Context()); err != nil || fill.Entries != 500 {
					t.Errorf("%+v: %v", fill, err)
				}
			}
			if n, err := c.Dump(t.Context(), flow.TableConntrack, flow.DumpOptions{}, func(*flow.Batch) error { return nil }); n != 500 || err != nil {
				t.Errorf("%d rows: %v", n, err)
			}
		})
	}
	wg.Wait()
}

func TestConnClosed(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Stats(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Stats: %v", err)
	}
	if _, err := c.Dump(t.Context(), flow.TableConntrack, flow.DumpOptions{}, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Dump: %v", err)
	}
	if err := c.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Close: %v", err)
	}
}

// TestStaleAnswer leaves an answer unread: it must not be taken for that of the
// next request.
func TestStaleAnswer(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	stale := &request{op: "stats", subsystem: unix.NFNL_SUBSYS_CTNETLINK, operation: msgCtGetStats, flags: unix.NLM_F_ACK}
	if err := c.sock.send(stale); err != nil {
		t.Fatal(err)
	}
	churn(t, testnet.Churn{NS: ns, Entries: 5, Keep: true})
	if fill, err := c.Stats(t.Context()); err != nil || fill.Entries != 5 {
		t.Errorf("%+v: %v", fill, err)
	}
}

// TestCancelledBefore proves that nothing is sent for who has gone already.
func TestCancelledBefore(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	ns.Conntrack(t, "-I", "-p", "udp", "--timeout", "100", "--sport", "1", "--dport", "2", "-s", "10.0.0.1", "-d", "10.0.0.2")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Delete(ctx, flow.Key{Tuple: tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)}); !errors.Is(err, context.Canceled) {
		t.Errorf("delete: %v", err)
	}
	if n, err := c.Dump(ctx, flow.TableConntrack, flow.DumpOptions{}, nil); !errors.Is(err, context.Canceled) || n != 0 {
		t.Errorf("dump: %d rows, %v", n, err)
	}
	if n := ns.ConntrackCount(t); n != 1 {
		t.Errorf("%d entries", n)
	}
}
