package admin

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// grown is a sample some seconds later, in which so many events came and went.
func grown(s *Snapshot, after time.Duration, events uint64) *Snapshot {
	g := sample()
	g.Time = s.Time.Add(after)
	k, e, b := &g.Books.Sockets[0], &g.Books.Events[0], &g.Books.Sinks[0]
	k.Offered += events
	k.Received += events
	k.Emitted += events
	e.Count += events
	b.Offered += events
	b.Delivered += events
	b.Bytes += 100 * events
	return g
}

func TestRates(t *testing.T) {
	was := sample()
	r := rates(was, grown(was, 4*time.Second, 1000))
	if r.Seconds != 4 || r.Offered != 250 || r.Received != 250 || r.Lost != 0 || r.Emitted != 250 {
		t.Errorf("%+v", r)
	}
	if e := r.Events; len(e) != 2 || e[0] != (EventRate{"conntrack", "new", "tcp", 250}) || e[1].PerSecond != 0 {
		t.Errorf("%+v", e)
	}
	if k := r.Sinks; len(k) != 1 || k[0] != (SinkRate{"siem", 250, 250, 0, 25000}) {
		t.Errorf("%+v", k)
	}
	if rates(was, was) != nil {
		t.Error("a rate over no time")
	}
	fewer := sample()
	fewer.Time = was.Time.Add(time.Second)
	fewer.Books = flow.Books{Sinks: []flow.SinkBooks{{Name: "siem"}, {Name: "young", Delivered: 7}}}
	if r := rates(was, fewer); r.Received != 0 || r.Sinks[0].Delivered != 0 || r.Sinks[1].Delivered != 7 {
		t.Errorf("%+v", r)
	}
}

func TestHeadroom(t *testing.T) {
	was := sample()
	b := buffers(was, grown(was, 4*time.Second, 1000))
	if len(b) != 2 || b[0].Headroom == nil || b[1].Headroom != nil {
		t.Fatalf("%+v", b)
	}
	// 250 events/s of 1280 bytes into what is free of 512 KiB.
	if want := float64(1<<19-1280) / (250 * 1280); *b[0].Headroom != want {
		t.Errorf("%v s, expected %v", *b[0].Headroom, want)
	}
	if b := buffers(nil, was); len(b) != 2 || b[0].Headroom != nil {
		t.Errorf("%+v", b)
	}
	over := sample()
	over.Books.Sockets[0].Queued = 1 << 30
	if b := buffers(was, grown(over, time.Second, 1)); b[0].Headroom == nil || *b[0].Headroom < 0 {
		t.Errorf("%+v", b[0])
	}
}

// TestSampler looks at a minute: rates are over the last seconds, a snapshot is
// as fresh as its asker, and time that nothing was taken in counts.
func TestSampler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := uint64(0)
		zero := sample()
		zero.Time = time.Now()
		begun := time.Now()
		block := make(chan struct{})
		var blocked atomic.Bool
		s := newSampler(func() *Snapshot {
			if blocked.Load() {
				<-block
			}
			n++
			g := grown(zero, time.Since(begun), uint64(time.Since(begun)/time.Millisecond))
			g.Standstill = 0.1
			return g
		})
		if s.latest() != nil {
			t.Error("a snapshot before one was taken")
		}
		done := make(chan struct{})
		go func() { defer close(done); s.run(t.Context()) }()
		time.Sleep(time.Minute + time.Millisecond)
		snap := s.fresh(t.Context())
		if n != 62 || !snap.Time.Equal(time.Now()) || snap.Rates.Seconds > 5 || snap.Rates.Received < 990 || snap.Rates.Received > 1010 {
			t.Errorf("%d taken, %v ago, %+v", n, time.Since(snap.Time), snap.Rates)
		}
		blocked.Store(true)
		asked := time.Now()
		if snap = s.fresh(t.Context()); snap == nil || time.Since(asked) != patience {
			t.Errorf("it took %v", time.Since(asked))
		}
		time.Sleep(20 * time.Second)
		if snap = s.latest(); snap.Standstill < 20 || snap.Standstill > 23 {
			t.Errorf("stands still for %v s", snap.Standstill)
		}
		blocked.Store(false)
		close(block)
		synctest.Wait()
		if snap = s.latest(); snap.Standstill != 0.1 {
			t.Errorf("stands still for %v s", snap.Standstill)
		}
	})
}
