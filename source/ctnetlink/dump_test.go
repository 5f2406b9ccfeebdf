package ctnetlink

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

func TestDump(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	if got := rows(t, c, flow.TableConntrack, flow.DumpOptions{}); len(got) != 0 {
		t.Errorf("an empty table has %d rows", len(got))
	}
	churn(t, testnet.Churn{NS: ns, Entries: 600, Keep: true, Mark: 0x15})
	churn(t, testnet.Churn{NS: ns, Entries: 400, Keep: true, Mark: 0x25, Zone: 3, First: 600})
	zone, none := uint16(3), uint16(0)
	for _, d := range []struct {
		name string
		o    flow.DumpOptions
		want int
	}{
		{"all", flow.DumpOptions{}, 1000},
		{"ipv4", flow.DumpOptions{Family: flow.IPv4}, 500},
		{"ipv6", flow.DumpOptions{Family: flow.IPv6}, 500},
		{"mark", flow.DumpOptions{Mark: &flow.Masked{Value: 0x25, Mask: 0xffffffff}}, 400},
		{"mark's low bits", flow.DumpOptions{Mark: &flow.Masked{Value: 0x05, Mask: 0x0f}}, 1000},
		{"zone", flow.DumpOptions{Zone: &zone}, 400},
		{"default zone", flow.DumpOptions{Zone: &none}, 600},
		{"assured", flow.DumpOptions{Status: &flow.Masked{Value: flow.StatusAssured, Mask: flow.StatusAssured}}, 1000},
		{"unreplied", flow.DumpOptions{Status: &flow.Masked{Value: 0, Mask: flow.StatusSeenReply}}, 0},
		{"dying", flow.DumpOptions{Dying: true}, 0},
		{"unconfirmed", flow.DumpOptions{Unconfirmed: true}, 0},
	} {
		if got := rows(t, c, flow.TableConntrack, d.o); len(got) != d.want {
			t.Errorf("%s: %d rows, want %d", d.name, len(got), d.want)
		}
	}
	if n := ns.ConntrackCount(t); n != 1000 {
		t.Errorf("%d entries", n)
	}
}

func TestDumpRefused(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	fn := func(*flow.Batch) error { return nil }
	for _, d := range []struct {
		table flow.Table
		o     flow.DumpOptions
	}{
		{flow.TableExpect, flow.DumpOptions{Zero: true}},
		{flow.TableConntrack, flow.DumpOptions{Zero: true, Dying: true}},
		{flow.TableUnspecified, flow.DumpOptions{}},
	} {
		if _, err := c.Dump(t.Context(), d.table, d.o, fn); err == nil {
			t.Errorf("%v %+v was accepted", d.table, d.o)
		}
	}
}

// TestDumpExpect leaves expectations in their table.
func TestDumpExpect(t *testing.T) {
	ns := quiet(t)
	if err := ns.Lay(testnet.UseHelper(testnet.Match{Proto: unix.IPPROTO_TCP, DstPort: 21}, "ftp")); err != nil {
		t.Fatal(err)
	}
	made, err := testnet.Traffic{NS: ns, Port: 21}.FTP(t.Context(), 3, false)
	if err != nil {
		t.Fatal(err)
	}
	got := rows(t, dialNS(t, ns), flow.TableExpect, flow.DumpOptions{})
	if want := len(ns.Conntrack(t, "-L", "expect")); len(got) != made || want != made {
		t.Errorf("%d rows, conntrack says %d, made %d", len(got), want, made)
	}
}

// TestZero reads counters and sets them to zero.
func TestZero(t *testing.T) {
	ns := quiet(t)
	if _, err := (testnet.Traffic{NS: ns}).UDP(t.Context(), 5, true); err != nil {
		t.Fatal(err)
	}
	c := dialNS(t, ns)
	packets := func(o flow.DumpOptions) (sum uint64) {
		_, err := c.Dump(t.Context(), flow.TableConntrack, o, func(b *flow.Batch) error {
			for i := range b.Events() {
				e := &b.Events()[i]
				if !e.Got(flow.HasOrigCounters | flow.HasReplyCounters) {
					t.Errorf("no counters: %s", describe(e))
				}
				sum += e.OrigCounters.Packets + e.ReplyCounters.Packets
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	if a, b, z := packets(flow.DumpOptions{}), packets(flow.DumpOptions{Zero: true}), packets(flow.DumpOptions{}); a != 10 || b != 10 || z != 0 {
		t.Errorf("before %d, zeroing %d, after %d", a, b, z)
	}
}

var errEnough = errors.New("enough")

// TestDumpEndsEarly gives dumps up; the next one must not notice.
func TestDumpEndsEarly(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	churn(t, testnet.Churn{NS: ns, Entries: 2000, Keep: true})
	n, err := c.Dump(t.Context(), flow.TableConntrack, flow.DumpOptions{}, func(*flow.Batch) error { return errEnough })
	if !errors.Is(err, errEnough) || n != 0 {
		t.Errorf("refused: %d rows, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n, err = c.Dump(ctx, flow.TableConntrack, flow.DumpOptions{}, func(b *flow.Batch) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) || n == 0 || n == 2000 {
		t.Errorf("cancelled: %d rows, %v", n, err)
	}
	if got := rows(t, c, flow.TableConntrack, flow.DumpOptions{}); len(got) != 2000 {
		t.Errorf("then %d rows", len(got))
	}
}

// TestDumpIsFlat dumps 100000 entries: all of them, in no more memory than few.
func TestDumpIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a table with 100000 entries: not in -short")
	}
	const entries = 100000
	ns := testnet.New(t)
	c := dialNS(t, ns)
	churn(t, testnet.Churn{NS: ns, Entries: entries, Keep: true})
	seen := make(map[uint32]bool, entries)
	var before, after runtime.MemStats
	bytes := func(fn func(*flow.Batch) error) uint64 {
		runtime.ReadMemStats(&before)
		n, err := c.Dump(t.Context(), flow.TableConntrack, flow.DumpOptions{}, fn)
		runtime.ReadMemStats(&after)
		if err != nil || n != entries {
			t.Fatalf("%d rows: %v", n, err)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	bytes(func(b *flow.Batch) error {
		for i := range b.Events() {
			seen[b.Events()[i].ID] = true
		}
		return nil
	})
	if len(seen) < entries-20 { // ids are hashes of 32 bits: about one collision is to be expected
		t.Errorf("%d distinct ids", len(seen))
	}
	if got := bytes(func(*flow.Batch) error { return nil }); got > 1<<20 {
		t.Errorf("a dump of %d entries allocated %d bytes", entries, got)
	} else {
		t.Logf("a dump of %d entries allocated %d bytes", entries, got)
	}
}

// TestDumpEnd ends dumps as the kernel at hand does not.
func TestDumpEnd(t *testing.T) {
	q := &request{op: "dump", subject: "conntrack"}
	d := dump{batch: flow.NewBatch(1), interrupted: true}
	if err := d.end(q, nil); !errors.Is(err, flow.ErrInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
	d.batch.Next()
	d.fn = func(*flow.Batch) error { return errEnough }
	if err := d.end(q, nil); !errors.Is(err, errEnough) || !d.stopped {
		t.Errorf("interrupted, and refused: %v", err)
	}
	done := message{kind: unix.NLMSG_DONE, body: make([]byte, 4)}
	if err := q.verdict(&done); err != nil {
		t.Errorf("done: %v", err)
	}
	errno := int32(-int32(unix.EBUSY))
	native32(done.body, uint32(errno))
	if err := q.verdict(&done); !errors.Is(err, unix.EBUSY) {
		t.Errorf("done with an error: %v", err)
	}
	done.body = nil
	if err := q.verdict(&done); !errors.Is(err, errHeader) {
		t.Errorf("done without a number: %v", err)
	}
	done.flags = unix.NLM_F_ACK_TLVS
	done.body = append(make([]byte, 4), written(func(w *writer) { w.putName(unix.NLMSGERR_ATTR_MSG, "no room") })...)
	native32(done.body, uint32(errno))
	if err := q.verdict(&done); err == nil || err.Error() != "dump conntrack: no room: device or resource busy" {
		t.Errorf("done with words: %v", err)
	}
}
