package main

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
)

// BenchmarkRefused compares what an event costs the whole program, as a process of
// its own, when it goes to a file, when user space's part of the filter leaves it
// out, and when the kernel's part refuses it; in turn and in one run, medians. ratio
// is the third by the second: by what receiving an event costs. made-* is what
// making one costs the generator, the kernel's filter included.
func BenchmarkRefused(b *testing.B) {
	filters := []string{
		"{exclude: [{nat: any}]}",  // passes all, here
		"{exclude: [{nat: none}]}", // leaves all out, here
		"{exclude: [{addr: [10.0.0.0/8, '2001:db8::/32']}]}",
		"{exclude: [{mark: 0}]}", // behind an attribute
	}
	names := []string{"written", "excluded", "refused", "refused-mark"}
	for _, receive := range []string{"socket", "ring"} {
		b.Run("receive="+receive, func(b *testing.B) {
			ours, made := make([][]float64, len(filters)), make([][]float64, len(filters))
			for b.Loop() {
				for range 3 {
					for i, f := range filters {
						c, m := refusedCost(b, receive, f)
						ours[i], made[i] = append(ours[i], c), append(made[i], m)
					}
				}
			}
			for i, name := range names {
				b.ReportMetric(middle(ours[i]), name+"-ns/event")
				b.ReportMetric(middle(made[i]), "made-"+name+"-ns/event")
			}
			b.ReportMetric(middle(ours[2])/middle(ours[1]), "ratio")
		})
	}
}

func middle(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// refusedCost runs the program with a filter while events are made, and gives the
// CPU that an event costs it, and this process, in ns.
func refusedCost(b *testing.B, receive, filter string) (ours, made float64) {
	const entries = 40_000
	ns := loadedNamespace(b)
	dir := b.TempDir()
	cfg := writeFile(b, dir, "ctferry.yaml", "source: {receive: "+receive+", filter: "+filter+"}\nsinks: {out: {type: file, path: "+dir+"/out}}\n")
	p := startFerry(b, ns, "run", "-c", cfg)
	time.Sleep(100 * time.Millisecond)
	clock := int32(^p.cmd.Process.Pid<<3 | 2) // clock_getcpuclockid(3)
	before, own := cpuOf(b, clock), cpuOf(b, unix.CLOCK_PROCESS_CPUTIME_ID)
	done, err := testnet.Churn{NS: ns, Entries: entries}.Run(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	own = cpuOf(b, unix.CLOCK_PROCESS_CPUTIME_ID) - own
	time.Sleep(200 * time.Millisecond) // it reads to the end
	spent := cpuOf(b, clock) - before
	books := p.stop(b)
	if lost := books.socket(b, "", "lost"); lost != 0 {
		b.Fatalf("%d events were lost", lost)
	}
	return float64(spent) / float64(done.Events()), float64(own) / float64(done.Events())
}

func cpuOf(b *testing.B, clock int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		b.Fatal(err)
	}
	return ts.Nano()
}
