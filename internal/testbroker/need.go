package testbroker

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// installWait is how long a test may wait for the first download; go test's own limit is ten minutes.
const installWait = 5 * time.Minute

// NeedKafka returns the installed Kafka, and installs it if need be. Where that cannot be done (no java, no mvn, no network) it skips
// the test and says why; with REQUIRE_ALL=1 in the environment it fails the test.
func NeedKafka(tb testing.TB) *Distribution {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), installWait)
	defer cancel()
	d, err := Install(ctx)
	if err != nil {
		unavailable(tb, err)
	}
	return d
}

func unavailable(tb testing.TB, err error) {
	tb.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		tb.Fatalf("REQUIRE_ALL=1, but there is no Kafka broker: %v", err)
	}
	tb.Skipf("no Kafka broker: %v", err)
}

// Start starts a broker for one test, which may kill it. The broker ends with the test; if the test fails its log is shown.
func Start(tb testing.TB, o Options) *Kafka {
	tb.Helper()
	d := NeedKafka(tb)
	k, err := d.Start(context.Background(), o) // bounded by readyWait
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		showLog(tb, k)
		if err := k.Stop(); err != nil {
			tb.Errorf("kafka: %v", err)
		}
	})
	return k
}

func showLog(tb testing.TB, k *Kafka) {
	if tb.Failed() {
		tb.Logf("kafka's log:\n%s", k.Log())
	}
}

// Shared is one broker for all tests of a process, started by the first that asks. Its zero value is ready:
//
//	var broker testbroker.Shared
//
//	func TestMain(m *testing.M) { os.Exit(broker.Run(m)) }
//
// Tests that kill, pause or restart want Start instead.
type Shared struct {
	mu          sync.Mutex
	k           *Kafka
	unavailable error // of Install
	failed      error // of Start
}

// Get returns the broker. It skips or fails as NeedKafka does, and each time for the same reason: nothing is tried twice.
func (s *Shared) Get(tb testing.TB) *Kafka {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	if s.unavailable != nil {
		unavailable(tb, s.unavailable)
	}
	if s.failed != nil {
		tb.Fatal(s.failed)
	}
	tb.Cleanup(func() { showLog(tb, s.k) })
	return s.k
}

// begin starts the broker unless that was tried before.
func (s *Shared) begin() {
	if s.k != nil || s.unavailable != nil || s.failed != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), installWait)
	defer cancel()
	var d *Distribution
	if d, s.unavailable = Install(ctx); s.unavailable == nil {
		s.k, s.failed = d.Start(context.Background(), Options{})
	}
}

// Run is for TestMain: it runs m's tests, stops the broker if one was started and returns the exit code.
func (s *Shared) Run(m interface{ Run() int }) int {
	code := m.Run()
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "kafka:", err)
		return max(code, 1)
	}
	return code
}

// Stop ends the broker if one was started.
func (s *Shared) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.k == nil {
		return nil
	}
	return s.k.Stop()
}
