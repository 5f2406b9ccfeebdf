package source

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// TestVerdict goes through the life of reliable mode, by a clock of its own.
func TestVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := verdict{on: true, told: time.Now()}
		for i, step := range []struct {
			after       time.Duration
			fill, queue float64
			known       bool
			want        bool // on afterwards
		}{
			{0, 0.79, 1, true, true},
			{time.Second, 0.80, 0, true, false},
			{time.Second, 0.10, 0, true, false},     // it has not been off for long
			{28 * time.Second, 0.5, 0, true, false}, // 29 s
			{time.Second, 0.61, 0, true, false},     // still too full
			{time.Second, 0.60, 0.25, true, false},  // the reader still stands
			{time.Second, 0.60, 0.24, false, false}, // nobody knows
			{time.Second, 0.60, 0.24, true, true},   // on again
			{time.Second, 0.95, 0, true, false},     // and off
			{time.Minute, 0.05, 0, true, true},      // and on
			{4 * time.Second, 0, 0, false, true},    // not known: for a while it stays
			{999 * time.Millisecond, 0, 0, false, true},
			{time.Millisecond, 0, 0, false, false}, // too long
		} {
			time.Sleep(step.after)
			was := v.on
			if changed := v.judge(step.fill, step.queue, step.known, time.Now()); v.on != step.want || changed != (was != v.on) {
				t.Fatalf("step %d: on is %v (changed: %v), expected %v", i, v.on, changed, step.want)
			}
		}
	})
}

func TestPauseFor(t *testing.T) {
	for _, c := range []struct {
		entries, most uint32
		want          time.Duration
	}{
		{0, 262144, seldomest}, {209715, 262144, oftenest}, {200000, 262144, 19430 * time.Microsecond}, {300000, 262144, oftenest}, {0, 0, oftenest},
	} {
		if got := pauseFor(flow.TableFill{Entries: c.entries, Max: c.most}); (got - c.want).Abs() > time.Millisecond {
			t.Errorf("%d of %d: %s, expected %s", c.entries, c.most, got, c.want)
		}
		// At the fastest growth the table is not above 95 % when it is looked at next.
		if after := float64(c.entries) + pauseFor(flow.TableFill{Entries: c.entries, Max: c.most}).Seconds()*fastest; c.most > 0 && c.entries < c.most*8/10 && after > float64(c.most)*0.95 {
			t.Errorf("%d of %d: %.0f when it is looked at next", c.entries, c.most, after)
		}
	}
}

// TestReliableLosesNoEnd stalls the reader for many more flows than the buffer
// holds: each DESTROY comes all the same, also those that the kernel still kept
// when the source was told to stop. The gap is an upper bound and says so.
func TestReliableLosesNoEnd(t *testing.T) {
	ns := tracked(t)
	out := &keeper{}
	cfg := small("socket")
	cfg.Buffer, cfg.Max, cfg.Reliable = minBuffer, minBuffer, true
	r := start(t, ns, cfg, out)
	eventually(t, "the first status", func() bool { return len(out.of(flow.TypeStatus)) == 1 })
	release := r.stall()
	made, err := testnet.Churn{NS: ns, Entries: 5000}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	ends := map[uint64]int{}
	for _, d := range out.of(flow.TypeDestroy) {
		ends[d.flowID]++
	}
	b := checkBalanced(t, r.Source)
	var bound uint64
	for _, g := range out.of(flow.TypeGap)[1:] {
		if g.gap.Lost != nil || g.gap.LostMax == nil {
			t.Fatalf("a gap of reliable mode claims to be exact: %+v", g.gap)
		}
		bound += *g.gap.LostMax
	}
	missing := uint64(made.Created - len(out.of(flow.TypeNew)))
	t.Logf("%d made, %d ended, %d NEW missing, at most %d lost", made.Created, len(ends), missing, bound)
	if len(ends) != 5000 || bound != b.Lost || bound < missing || bound == 0 || !b.Reliable || b.LetGo != 0 {
		t.Errorf("%d of 5000 ends; at most %d lost; books %+v", len(ends), bound, b)
	}
}

// fillOf tells how full a namespace's table is.
func fillOf(ns *testnet.Namespace) (flow.TableFill, error) {
	conn, err := ctnetlink.Dial(ctnetlink.DialConfig{NetNS: ns.Path()})
	if err != nil {
		return flow.TableFill{}, err
	}
	defer conn.Close()
	return conn.Stats(context.Background())
}

// TestReliableLetsGo stands still while flows end in a table that fills: at 80 %
// the kernel is told to keep no more, so that the table has room.
func TestReliableLetsGo(t *testing.T) {
	if testing.Short() {
		t.Skip("makes as many flows as the machine's table holds")
	}
	ns := tracked(t)
	full, err := fillOf(ns)
	if err != nil {
		t.Fatal(err)
	}
	if full.Max > 300_000 {
		testnet.Unavailable(t, "the machine's table holds %d entries: too many to fill", full.Max)
	}
	out := &keeper{}
	cfg := small("socket")
	cfg.Buffer, cfg.Max, cfg.Reliable = minBuffer, minBuffer, true
	r := start(t, ns, cfg, out)
	eventually(t, "the first status", func() bool { return len(out.of(flow.TypeStatus)) == 1 })
	release := r.stall()
	highest := make(chan uint32, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		most := uint32(0)
		for ctx.Err() == nil {
			if f, err := fillOf(ns); err == nil {
				most = max(most, f.Entries)
			}
			time.Sleep(5 * time.Millisecond)
		}
		highest <- most
	}()
	made, err := testnet.Churn{NS: ns, Entries: int(full.Max) * 3 / 2}.Run(t.Context())
	if err != nil {
		t.Errorf("the table was full: %v", err)
	}
	sock := r.sockets[0]
	eventually(t, "letting go", func() bool { return !sock.reliable.on.Load() })
	eventually(t, "an empty table", func() bool {
		f, err := fillOf(ns)
		return err == nil && f.Entries == 0
	})
	cancel()
	most := <-highest
	release()
	eventually(t, "word of it", func() bool {
		for _, s := range out.of(flow.TypeStatus) {
			if s.agent.Reason == "reliable" && strings.Contains(strings.Join(s.agent.Warnings, ";"), "reliable mode is off") {
				return true
			}
		}
		return false
	})
	b := r.Books()[0]
	t.Logf("%d flows made in %s; the table had at most %d of %d entries; books %+v", made.Created, made.Elapsed, most, full.Max, b)
	if b.LetGo != 1 || b.Reliable || most < full.Max*75/100 || most > full.Max*95/100 {
		t.Errorf("at most %d of %d entries; books %+v", most, full.Max, b)
	}
	// The first gap after it still counts retries, those after that are exact again.
	eventually(t, "an account after it", func() bool { return len(out.of(flow.TypeGap)) > 1 })
	release = r.stall()
	before := len(out.of(flow.TypeGap))
	if _, err := (testnet.Churn{NS: ns, Entries: 2000}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	release()
	eventually(t, "an exact gap", func() bool {
		gaps := out.of(flow.TypeGap)
		return len(gaps) > before && gaps[len(gaps)-1].gap.Lost != nil
	})
	checkBalanced(t, r.Source)
}
