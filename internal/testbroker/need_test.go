package testbroker

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestSharedIsOneBroker(t *testing.T) {
	a, b := broker.Get(t), broker.Get(t)
	if a != b {
		t.Error("two brokers")
	}
}

func TestSharedUnused(t *testing.T) {
	var s Shared
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if code := s.Run(runs(7)); code != 7 {
		t.Errorf("code %d, want that of the tests", code)
	}
}

type runs int

func (r runs) Run() int { return int(r) }

// TestProbe is run by TestNeedKafkaWithoutJava in a process of its own.
func TestProbe(t *testing.T) {
	if os.Getenv("TESTBROKER_PROBE") == "" {
		return // not a skip: nothing is missing
	}
	t.Run("need", func(t *testing.T) { NeedKafka(t) })
	t.Run("start", func(t *testing.T) { Start(t, Options{}) })
	t.Run("shared", func(t *testing.T) { broker.Get(t) })
	t.Run("again", func(t *testing.T) { broker.Get(t) })
}

func TestNeedKafkaWithoutJava(t *testing.T) {
	for requireAll, want := range map[string]string{"": "--- SKIP", "0": "--- SKIP", "1": "--- FAIL"} {
		probe := exec.Command(os.Args[0], "-test.run=^TestProbe$", "-test.v")
		probe.Env = []string{"PATH=", "HOME=" + t.TempDir(), "TESTBROKER_PROBE=1", "REQUIRE_ALL=" + requireAll}
		out, err := probe.CombinedOutput()
		if failed := err != nil; failed != (requireAll == "1") {
			t.Errorf("REQUIRE_ALL=%q: %v", requireAll, err)
		}
		for _, name := range []string{"need", "start", "shared", "again"} {
			if !strings.Contains(string(out), want+": TestProbe/"+name) {
				t.Errorf("REQUIRE_ALL=%q: %s: want %q", requireAll, name, want)
			}
		}
		if !strings.Contains(string(out), "kafka needs java") {
			t.Errorf("REQUIRE_ALL=%q: the reason is missing", requireAll)
		}
		if t.Failed() {
			t.Logf("the probe said:\n%s", out)
		}
	}
}
