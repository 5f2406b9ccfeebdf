package source

import (
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

// An idle reader goes round about once a second: progress is not events.
func TestProgressWithoutEvents(t *testing.T) {
	s := start(t, tracked(t), small("socket"), &keeper{})
	for range 25 {
		time.Sleep(100 * time.Millisecond)
		if still := s.Standstill(); still > beat+time.Second {
			t.Fatalf("an idle reader stands still for %v", still)
		}
	}
}

// A reader that does not come back from handing a batch on makes no progress,
// and Standstill tells so by its answer, or by giving none.
func TestNoProgressIsSeen(t *testing.T) {
	ns, out := tracked(t), &keeper{}
	s := start(t, ns, small("socket"), out)
	blocked, release := make(chan struct{}), make(chan struct{})
	hold := func() {
		blocked <- struct{}{}
		<-release
	}
	out.slow.Store(&hold)
	if _, err := (testnet.Churn{NS: ns, Entries: 1}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-blocked
	out.slow.Store(nil)
	told := make(chan time.Duration, 1)
	go func() { told <- s.Standstill() }()
	time.Sleep(2 * time.Second)
	select {
	case d := <-told:
		if d < time.Second {
			t.Errorf("a reader that hangs is said to stand still for %v", d)
		}
		close(release)
	default: // it gives no answer, so the watchdog gets none
		close(release)
		<-told
	}
	eventually(t, "the reader goes on", func() bool { return s.Standstill() < time.Second })
}
