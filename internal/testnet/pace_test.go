package testnet

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestRepeatIsEven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		n, err := repeat(t.Context(), 5, time.Second, func(i int) error {
			if got := time.Since(start); got != time.Duration(i)*time.Second {
				t.Errorf("step %d after %v", i, got)
			}
			return pause(t.Context(), 300*time.Millisecond) // a slow step does not shift the next
		})
		if n != 5 || err != nil {
			t.Errorf("%d steps: %v", n, err)
		}
	})
}

func TestRepeatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("boom")
		n, err := repeat(t.Context(), 5, 0, func(i int) error {
			if i == 3 {
				return boom
			}
			return nil
		})
		if n != 3 || err != boom {
			t.Errorf("%d steps: %v", n, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		n, err = repeat(ctx, 100, time.Second, func(int) error { return nil })
		if n != 3 || err != context.DeadlineExceeded {
			t.Errorf("%d steps: %v", n, err)
		}
	})
}

func TestBlame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := blame(ctx, os.ErrDeadlineExceeded); errors.Is(err, context.DeadlineExceeded) {
			t.Error("the context is blamed before its deadline")
		}
		time.Sleep(time.Second)
		if err := blame(ctx, os.ErrDeadlineExceeded); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after the deadline: %v", err)
		}
		if err := blame(ctx, unix.ECONNRESET); err != unix.ECONNRESET {
			t.Errorf("another error became %v", err)
		}
	})
}

func TestChurnBatches(t *testing.T) {
	for _, c := range []struct{ rate, steps, want int }{
		{0, 2, 64}, {1, 2, 1}, {1000, 1, 5}, {10_000, 2, 25}, {1_000_000, 3, 64},
	} {
		if got := (Churn{Rate: c.rate}).batchSize(c.steps); got != c.want {
			t.Errorf("%d a second in %d steps: batches of %d, expected %d", c.rate, c.steps, got, c.want)
		}
	}
}

func TestSourcePortsGoRound(t *testing.T) {
	ns := &Namespace{}
	seen := map[uint16]bool{}
	for range sourcePorts {
		seen[ns.next()] = true
	}
	if len(seen) != sourcePorts || seen[firstPort-1] || !seen[firstPort+sourcePorts-1] {
		t.Errorf("%d different ports, expected %d", len(seen), sourcePorts)
	}
	if again := ns.next(); again != firstPort {
		t.Errorf("begins again at %d", again)
	}
}

func TestBindPassesUsedPorts(t *testing.T) {
	tr := Traffic{NS: &Namespace{}, Src: addr4}
	tries := 0
	err := tr.bind(func(src netip.AddrPort) error {
		if tries++; tries < 4 {
			return os.NewSyscallError("bind", unix.EADDRINUSE)
		}
		if src != netip.AddrPortFrom(addr4, firstPort+3) {
			t.Errorf("bound %v", src)
		}
		return nil
	})
	if err != nil || tries != 4 {
		t.Errorf("%d tries: %v", tries, err)
	}
	tries = 0
	err = tr.bind(func(netip.AddrPort) error { tries++; return unix.EADDRINUSE })
	if err != unix.EADDRINUSE || tries != sourcePorts {
		t.Errorf("all in use: %d tries: %v", tries, err)
	}
}

func TestTrafficDefaults(t *testing.T) {
	loop := netip.MustParseAddr("127.0.0.1")
	for name, c := range map[string]struct{ in, want Traffic }{
		"nothing":     {Traffic{}, Traffic{Src: loop, Dst: loop, Listen: netip.AddrPortFrom(loop, 0)}},
		"source":      {Traffic{Src: addr6}, Traffic{Src: addr6, Dst: addr6, Listen: netip.AddrPortFrom(addr6, 0)}},
		"destination": {Traffic{Dst: addr4, Port: 5}, Traffic{Src: addr4, Dst: addr4, Port: 5, Listen: netip.AddrPortFrom(addr4, 5)}},
		"translated": {Traffic{Dst: addr4, Port: 5, Listen: netip.AddrPortFrom(loop, 6)},
			Traffic{Src: addr4, Dst: addr4, Port: 5, Listen: netip.AddrPortFrom(loop, 6)}},
	} {
		if got, err := c.in.defaults(); err != nil || got != c.want {
			t.Errorf("%s: %+v, expected %+v: %v", name, got, c.want, err)
		}
	}
	if got := (Traffic{Dst: addr4}).target(netip.AddrPortFrom(loop, 6)); got != netip.AddrPortFrom(addr4, 6) {
		t.Errorf("target %v", got)
	}
}
