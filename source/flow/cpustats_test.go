package flow

import (
	"slices"
	"testing"
)

func TestCPUStats(t *testing.T) {
	var c CPUStats
	if got := c.Present(); len(got) != 0 {
		t.Errorf("an empty one has %v", got)
	}
	for s := range cpuStats {
		if s.String() == "" {
			t.Errorf("%d has no name", s)
		}
		if v, ok := c.Get(s); ok || v != 0 {
			t.Errorf("%v is %d before it is set", s, v)
		}
		c.Set(s, uint32(s)*3)
	}
	for s := range cpuStats {
		if v, ok := c.Get(s); !ok || v != uint32(s)*3 {
			t.Errorf("%v is %d, %v", s, v, ok)
		}
	}
	if got := c.Present(); len(got) != int(cpuStats) || !slices.IsSorted(got) {
		t.Errorf("%v", got)
	}
	for _, s := range []CPUStat{cpuStats, 255} {
		before := c
		c.Set(s, 1)
		if v, ok := c.Get(s); ok || v != 0 || s.String() != "" || c != before {
			t.Errorf("%d counts", s)
		}
	}
}

// TestCPUStatsAbsent tells a counter of zero from one that was not told.
func TestCPUStatsAbsent(t *testing.T) {
	var c CPUStats
	c.Set(StatDrop, 0)
	if _, ok := c.Get(StatDrop); !ok {
		t.Error("a zero is absent")
	}
	if _, ok := c.Get(StatEarlyDrop); ok {
		t.Error("what was not told is there")
	}
	if got := c.Present(); !slices.Equal(got, []CPUStat{StatDrop}) {
		t.Errorf("%v", got)
	}
}

func TestCPUStatNames(t *testing.T) {
	seen := map[string]bool{}
	for s := range cpuStats {
		if seen[s.String()] {
			t.Errorf("%q twice", s)
		}
		seen[s.String()] = true
	}
}
