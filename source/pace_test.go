package source

import (
	"testing"
	"time"

	"github.com/ctferry/ctferry/source/ctnetlink"
)

const roomy = 64 << 20 // bytes of buffer that never shorten a pause

// TestPaceByRate reads at a steady rate and looks at the pauses that come of it,
// which last longer than they should.
func TestPaceByRate(t *testing.T) {
	for _, late := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
		for _, c := range []struct {
			rate int // events a second
			want time.Duration
		}{{1_000, steadyTime}, {100_000, steadyTime}, {125_000, steadyTime}, {140_000, busyTime}, {2_000_000, busyTime}} {
			var p pace
			now := time.Now()
			p.read(1)
			d, wait := p.next(now, roomy)
			for range 150 {
				if wait {
					t.Fatalf("%d a second: waits", c.rate)
				}
				took := d + late
				now = now.Add(took)
				p.read(int(float64(c.rate) * took.Seconds()))
				d, wait = p.next(now, roomy)
			}
			if d != c.want {
				t.Errorf("%d a second, %v late: pauses of %v, want %v", c.rate, late, d, c.want)
			}
		}
	}
}

// TestPaceCalmsDown keeps the long pause until the rate is well below what brought it.
func TestPaceCalmsDown(t *testing.T) {
	now := time.Now()
	p := pace{since: now}
	for _, c := range []struct {
		rate int
		want time.Duration
	}{{129_000, steadyTime}, {131_000, busyTime}, {120_000, busyTime}, {100_000, steadyTime}, {120_000, steadyTime}} {
		now = now.Add(rateTime)
		p.read(c.rate / 20)
		if d, _ := p.next(now, roomy); d != c.want {
			t.Errorf("at %d: %v, want %v", c.rate, d, c.want)
		}
	}
}

// TestPaceOfHeaps pauses no longer where a moderate rate comes in heaps.
func TestPaceOfHeaps(t *testing.T) {
	var p pace
	now := time.Now()
	for i := range 500 {
		now = now.Add(steadyTime)
		p.read(i % 4 * 150) // 112,500 a second, and 225,000 in one of four pauses
		if d, _ := p.next(now, roomy); d != steadyTime {
			t.Fatalf("after %d pauses: %v", i, d)
		}
	}
}

// TestPaceIdle waits when nothing comes, and not before.
func TestPaceIdle(t *testing.T) {
	var p pace
	for range 3 {
		p.read(1)
		if _, wait := p.next(time.Now(), roomy); wait {
			t.Error("waits though something came")
		}
		for i := range idleRounds {
			p.read(0)
			if _, wait := p.next(time.Now(), roomy); wait {
				t.Errorf("waits in empty round %d", i)
			}
		}
		for range 3 {
			p.read(0)
			if _, wait := p.next(time.Now(), roomy); !wait {
				t.Error("does not wait though nothing comes")
			}
		}
	}
}

// TestPaceSmallBuffer never lets a pause fill more than a quarter, as far as the
// least pause allows.
func TestPaceSmallBuffer(t *testing.T) {
	for buffer := uint64(0); buffer < 16<<20; buffer += 100_000 {
		p := pace{busy: true}
		p.read(10_000)
		d, _ := p.next(time.Now(), buffer)
		if d < pause || d > busyTime {
			t.Fatalf("%d bytes: %v", buffer, d)
		}
		if came := uint64(d.Seconds() * peakRate); d > pause && came > buffer/ctnetlink.EventCost/4+1 {
			t.Errorf("%d bytes: %d events come in %v", buffer, came, d)
		}
	}
}
