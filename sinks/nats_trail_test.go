package sinks

import (
	"math/rand/v2"
	"testing"
)

// The trail answers as a map does, over turns of all sizes.
func TestNATSTrail(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var trail natsTrail
	for turn := range 300 {
		n := 1 + rng.IntN(200)
		want := map[uint64]int32{}
		trail.begin(n)
		for range n {
			flow := rng.Uint64N(100)
			if turn%3 == 0 {
				flow = rng.Uint64N(50) << 40 // all the same below
			}
			if got := trail.of(flow); got != want[flow] {
				t.Fatalf("turn %d: flow %d: message %d, want %d", turn, flow, got, want[flow])
			}
			want[flow] = rng.Int32N(1000)
			trail.set(flow, want[flow])
		}
	}
}

// The number of turns goes round without an old step coming to life.
func TestNATSTrailTurnsRound(t *testing.T) {
	var trail natsTrail
	trail.begin(4)
	trail.set(7, 3)
	trail.turn = ^uint32(0)
	trail.set(8, 4)
	trail.begin(4)
	if trail.of(7) != 0 || trail.of(8) != 0 {
		t.Fatalf("steps of old turns: %d, %d", trail.of(7), trail.of(8))
	}
	trail.set(8, 5)
	if trail.of(8) != 5 {
		t.Fatal("a step is lost")
	}
}
