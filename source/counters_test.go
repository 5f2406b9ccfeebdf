package source

import (
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// TestSumCounters adds up what CPUs counted, and leaves out what none told.
func TestSumCounters(t *testing.T) {
	cpus := make([]flow.CPUStats, 2)
	cpus[0].Set(flow.StatDrop, 3)
	cpus[0].Set(flow.StatInsertFailed, 1<<32-1)
	cpus[1].Set(flow.StatDrop, 4)
	cpus[1].Set(flow.StatInsertFailed, 2)
	got := sumCounters("blue", cpus)
	want := []TableCounter{{"blue", flow.StatInsertFailed, 1<<32 + 1}, {"blue", flow.StatDrop, 7}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v, expected %+v", got, want)
	}
	if got := sumCounters("", nil); got != nil {
		t.Errorf("of no CPU: %+v", got)
	}
}
