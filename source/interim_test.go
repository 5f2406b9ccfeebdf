package source

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestInterimAddsUp sends datagrams over one flow: what the interim records and
// the destroy tell as deltas is in sum what the destroy tells as totals, though
// dumps set the counters to zero in between.
func TestInterimAddsUp(t *testing.T) {
	for _, zero := range []bool{false, true} {
		ns := tracked(t)
		out := &keeper{}
		cfg := tracking()
		cfg.Interim = minInterval
		if zero {
			cfg.Dump.Interval, cfg.Dump.Zero = 1500*time.Millisecond, true
		}
		r := start(t, ns, cfg, out)
		if err := r.Wants(flow.TypesOf(append(kernelTypes(), flow.TypeInterim)...)); err != nil {
			t.Fatal(err)
		}
		r.primed(t)
		sent := talk(t, ns, 4*time.Second)
		eventually(t, "the last interim record", func() bool { return sumOf(out.of(flow.TypeInterim))[0].Packets >= sent })
		n := len(out.of(flow.TypeInterim))
		time.Sleep(1500 * time.Millisecond)
		if got := len(out.of(flow.TypeInterim)); got != n {
			t.Errorf("%d interim records of a flow on which nothing passed", got-n)
		}
		ns.Conntrack(t, "-F")
		eventually(t, "the end", func() bool { return len(out.of(flow.TypeDestroy)) == 1 })
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		interims := out.of(flow.TypeInterim)
		end := out.of(flow.TypeDestroy)[0]
		sum := sumOf(append(interims, end))
		if sum[0].Packets != sent || !zero && sum != end.totals || sum[1].Packets != 0 {
			t.Errorf("zero %v: %d sent; deltas add up to %+v, the end says %+v", zero, sent, sum, end.totals)
		}
		if len(interims) < 3 || len(interims) > 6 {
			t.Errorf("%d interim records in 4 s", len(interims))
		}
		span := end.interval
		for _, i := range interims {
			span += i.interval
			if i.interval < int64(minInterval)/2 || i.interval > int64(4*minInterval) || i.dump.ID != 0 || i.synthetic {
				t.Errorf("%s after %s: %+v", time.Duration(i.time-out.of(flow.TypeNew)[0].time), time.Duration(i.interval), i.deltas)
			}
		}
		if life := end.time - out.of(flow.TypeNew)[0].time; (time.Duration(span - life)).Abs() > 50*time.Millisecond {
			t.Errorf("the intervals add up to %s of a life of %s", time.Duration(span), time.Duration(life))
		}
		if b := checkBalanced(t, r.Source); b.Track.Interim != uint64(len(interims)) || b.Track.Synthetic != 0 {
			t.Errorf("books %+v", b)
		}
		checkSequence(t, out)
	}
}

// talk sends unanswered datagrams from one port for a while and tells how many.
func talk(t *testing.T, ns *testnet.Namespace, span time.Duration) (sent uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	err := ns.Do(func() error {
		conn, err := dialUDP(netip.MustParseAddrPort("127.0.0.1:9"))
		if err != nil {
			return err
		}
		defer conn.Close()
		for ctx.Err() == nil {
			if _, err := conn.Write([]byte("some words")); err == nil {
				sent++
			}
			time.Sleep(20 * time.Millisecond)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sent
}

func sumOf(records []record) (sum [2]flow.Counters) {
	for _, r := range records {
		for i := range sum {
			sum[i].Packets += r.deltas[i].Packets
			sum[i].Bytes += r.deltas[i].Bytes
		}
	}
	return sum
}

func TestSinceACounter(t *testing.T) {
	c := func(n uint64) flow.Counters { return flow.Counters{Packets: n, Bytes: 10 * n} }
	for _, tt := range []struct{ now, then, want flow.Counters }{
		{c(5), c(2), c(3)},
		{c(5), c(5), c(0)},
		{c(2), c(5), c(2)},             // somebody has set it to zero
		{c(2), less(c(0), c(3)), c(5)}, // we have, at 3 of which none was told
		{c(0), less(c(7), c(7)), c(0)},
	} {
		if got := since(tt.now, tt.then); got != tt.want {
			t.Errorf("%+v since %+v: %+v", tt.now, tt.then, got)
		}
	}
}

// TestNoInterimBeforeTheBeginning: a flow that a dump shows first is told as new after
// the dump, and so no interim record comes of its row.
func TestNoInterimBeforeTheBeginning(t *testing.T) {
	tr := story()
	tr.lose(at(300))
	tr.forgive()
	tr.begin()
	row := rowOf(1, 310, 5)
	p, _ := tr.seeRow(row, true, at(400))
	if tr.table.at(p).is&isNew == 0 || tr.interim(p, row, at(400)) {
		t.Errorf("an interim record; marks %b", tr.table.at(p).is)
	}
	tr.finish()
	out := flow.NewBatch(2)
	tr.scan(1, 100, out, make([]suspect, 0, 1), at(401))
	tr.succeeded(at(400))
	tr.begin()
	row = rowOf(1, 310, 7)
	tr.seeRow(row, true, at(460))
	if out.Len() != 1 || !tr.interim(p, row, at(460)) || row.OrigDeltas.Packets != 7 || row.Interval != at(150) {
		t.Errorf("%d told; then %+v in %s", out.Len(), row.OrigDeltas, time.Duration(row.Interval))
	}
}

// TestInterimAfterTheClockWentBack: records come as often as before, and no span is told
// that is not known.
func TestInterimAfterTheClockWentBack(t *testing.T) {
	tr := story()
	tr.tell(1, flow.TypeNew, 7200, nil)
	told := []time.Duration{}
	for s := int64(3600); s <= 3720; s += 60 { // an hour earlier
		row := rowOf(1, 7200, uint64(s))
		if p, _ := tr.seeRow(row, true, at(s)); tr.interim(p, row, at(s)) {
			told = append(told, time.Duration(row.Interval))
		}
	}
	if want := []time.Duration{time.Minute, time.Minute}; !slices.Equal(told, want) {
		t.Errorf("interim records of %v, expected %v", told, want)
	}
	tr.tell(2, flow.TypeNew, 7200, nil)
	end := *rowOf(2, 7200, 5)
	end.Type = flow.TypeDestroy
	tr.see(tr.table.find(&end), &end, true, at(3600))
	if end.OrigDeltas.Packets != 5 || !end.Any(flow.HasOrigDeltas) || end.Any(flow.HasInterval) {
		t.Errorf("the end says %+v in %s", end.OrigDeltas, time.Duration(end.Interval))
	}
}

// TestInterimIsNotReadForNobody: without a sink that asks, the table is not read.
func TestInterimIsNotReadForNobody(t *testing.T) {
	ns := tracked(t)
	out := &keeper{}
	cfg := tracking()
	cfg.Interim, cfg.Track.Reconcile = minInterval, 0
	r := start(t, ns, cfg, out)
	r.primed(t)
	time.Sleep(2500 * time.Millisecond)
	if b := r.Books()[0].Track; b.Reconciled != 1 {
		t.Errorf("%d dumps", b.Reconciled)
	}
}
