package source

import (
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// fillTable makes entries that stay.
func fillTable(t *testing.T, ns *testnet.Namespace, n int) {
	t.Helper()
	if _, err := (testnet.Churn{NS: ns, Entries: n, Keep: true, Timeout: time.Hour}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestDumpAtStart(t *testing.T) { both(t, testDumpAtStart) }

func testDumpAtStart(t *testing.T, receive string) {
	ns := tracked(t)
	fillTable(t, ns, 3000)
	cfg := small(receive)
	cfg.Tables = []flow.Table{flow.TableConntrack, flow.TableExpect}
	cfg.Dump.AtStart = true
	out := &keeper{}
	start(t, ns, cfg, out)
	eventually(t, "both ends", func() bool { return len(out.of(flow.TypeDumpEnd)) == 2 })
	rows, ends := out.of(flow.TypeDump), out.of(flow.TypeDumpEnd)
	if len(rows) != 3000 {
		t.Errorf("%d rows of 3000", len(rows))
	}
	end := ends[0].dump
	if end.Count != 3000 || !end.Complete || end.Reason != "start" || end.CountersReset || ends[0].table != flow.TableConntrack {
		t.Errorf("dump_end: %+v", ends[0])
	}
	for _, r := range rows {
		if r.dump.ID != end.ID || r.dump.ID == 0 || r.flowID == 0 {
			t.Fatalf("row: %+v, end: %+v", r, end)
		}
	}
	if ends[1].table != flow.TableExpect || ends[1].dump.Count != 0 || !ends[1].dump.Complete || ends[1].dump.ID == end.ID {
		t.Errorf("dump_end of the expect table: %+v", ends[1])
	}
	checkSequence(t, out)
}

func TestIntervalDumpZeroesCounters(t *testing.T) { both(t, testIntervalDumpZeroesCounters) }

func testIntervalDumpZeroesCounters(t *testing.T, receive string) {
	ns := tracked(t)
	cfg := small(receive)
	cfg.Dump.Interval, cfg.Dump.Zero = minInterval, true
	out := &keeper{}
	// The traffic is over before the first dump, so only that one can see it.
	if _, err := (testnet.Traffic{NS: ns}).UDP(t.Context(), 5, true); err != nil {
		t.Fatal(err)
	}
	start(t, ns, cfg, out)
	eventually(t, "two dumps", func() bool { return len(out.of(flow.TypeDumpEnd)) >= 2 })
	byDump := map[uint64]uint64{}
	var order []uint64
	for _, r := range out.of(flow.TypeDump) {
		if _, ok := byDump[r.dump.ID]; !ok {
			order = append(order, r.dump.ID)
		}
		byDump[r.dump.ID] += r.bytes
		if !r.dump.CountersReset || r.dump.Reason != "interval" {
			t.Fatalf("row of a zeroing dump: %+v", r.dump)
		}
	}
	if len(order) < 2 || byDump[order[0]] == 0 || byDump[order[1]] != 0 {
		t.Errorf("bytes by dump: %v in the order %v: the second must be zero", byDump, order)
	}
}

// TestFullQueueSlowsADump: rows wait while a queue is full, but not for ever.
func TestFullQueueSlowsADump(t *testing.T) { both(t, testFullQueueSlowsADump) }

func testFullQueueSlowsADump(t *testing.T, receive string) {
	ns := tracked(t)
	fillTable(t, ns, 2000)
	cfg := small(receive)
	cfg.Dump.AtStart = true
	out := &keeper{fill: 0.9}
	begun := time.Now()
	start(t, ns, cfg, out)
	eventually(t, "the end", func() bool { return len(out.of(flow.TypeDumpEnd)) == 1 })
	if n := len(out.of(flow.TypeDump)); n != 2000 {
		t.Errorf("%d rows of 2000", n)
	}
	if took := time.Since(begun); took < 3*dumpPause {
		t.Errorf("the dump took %s although the queues were full", took)
	}
}
