package source

import (
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// TestGrowsAfterARefusal has the kernel refuse a larger buffer, for want of rights,
// and give it when they are there again.
func TestGrowsAfterARefusal(t *testing.T) {
	both(t, func(t *testing.T, receive string) {
		cfg := small(receive)
		cfg.Buffer = max(cfg.Buffer, beyondRmemMax(t))
		cfg.Max = 4 * cfg.Buffer
		var text strings.Builder
		s, err := newIn(namespace{path: testnet.New(t).Path()}, cfg, Identity{}, flow.TypesOf(kernelTypes()...), &keeper{}, slog.New(slog.NewTextHandler(&text, nil)))
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		k := s.sockets[0]
		full := func() ctnetlink.SocketStats {
			stats, err := k.listener.Stats()
			if err != nil {
				t.Fatal(err)
			}
			stats.Queued = stats.Buffer
			return stats
		}
		without(t, []int{unix.CAP_SYS_ADMIN, unix.CAP_BPF, unix.CAP_NET_ADMIN}, func() {
			for range 3 {
				k.grow(full(), 0)
				k.growth.next = time.Time{} // the pause is over
			}
		})
		if said := text.String(); k.books.Growths != 0 || strings.Count(said, "receive buffer cannot grow") != 1 || k.growth.pause != 4*growPause {
			t.Fatalf("%+v, %+v: %s", k.growth, k.books, said)
		}
		was := full().Buffer
		k.growth.next = time.Now().Add(time.Hour)
		k.grow(full(), 0)
		if now := full().Buffer; now != was {
			t.Errorf("grown to %d in the pause", now)
		}
		k.growth.next = time.Time{}
		stats := full()
		stats.Queued = stats.Buffer/2 - 1
		k.grow(stats, 0)
		if now := full().Buffer; now != was {
			t.Errorf("grown to %d, which nothing demands", now)
		}
		k.grow(full(), 0)
		if now := full().Buffer; now <= was || k.books.Growths != 1 || k.growth != (growth{}) {
			t.Errorf("%d, was %d: %+v, %+v", now, was, k.growth, k.books)
		}
	})
}

// beyondRmemMax is more than a socket gets without CAP_NET_ADMIN.
func beyondRmemMax(t *testing.T) option.Size {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		testnet.Unavailable(t, "%v", err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || limit > 64<<20 {
		testnet.Unavailable(t, "net.core.rmem_max is %s: %v", text, err)
	}
	return option.Size(2 * limit)
}

// TestGrowthBacksOff has the pauses between attempts grow, to a bound.
func TestGrowthBacksOff(t *testing.T) {
	var g growth
	now := time.Now()
	want := growPause
	for i := range 20 {
		if first := g.refused(now); first != (i == 0) {
			t.Errorf("attempt %d: first %v", i, first)
		}
		if g.pause != want || !g.next.Equal(now.Add(want)) {
			t.Errorf("attempt %d: %+v, expected a pause of %s", i, g, want)
		}
		want = min(2*want, maxGrowPause)
	}
}
