package control

import (
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// BenchmarkDelete removes 100,000 entries by a filter, with conntrack(8) beside it.
func BenchmarkDelete(b *testing.B) { against(b, 100_000, `"verb":"delete","rows":true`, "-D") }

// BenchmarkList lists 200,000 entries, with conntrack(8) beside it.
func BenchmarkList(b *testing.B) { against(b, 200_000, `"verb":"list"`, "-L") }

func against(b *testing.B, entries int, verb, option string) {
	ns := testnet.New(b)
	fill := func() {
		for first := 0; first < entries; first += 10_000 {
			if _, err := (testnet.Churn{NS: ns, Entries: min(10_000, entries-first), First: first, Keep: true, Mark: 7, Timeout: time.Hour}).Run(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	q := request(b, `%s,"table":"conntrack","filter":{"mark":7}`, verb)
	rows := 0
	var ours, theirs time.Duration
	for b.Loop() {
		fill()
		start := time.Now()
		res, err := executor(ns).Call(b.Context(), q, func(got *flow.Batch) error { rows += got.Len(); return nil })
		ours += time.Since(start)
		if err != nil || res.Count != uint64(entries) {
			b.Fatalf("%+v: %v", res, err)
		}
		if option == "-D" {
			fill()
		}
		cmd := exec.Command("conntrack", option, "-m", "7")
		cmd.Stdout = io.Discard
		start = time.Now()
		if err := ns.Run(cmd); err != nil {
			b.Fatal(err)
		}
		theirs += time.Since(start)
		called(b, executor(ns), request(b, `"verb":"flush","table":"conntrack"`))
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "s/ours")
	b.ReportMetric(theirs.Seconds()/float64(b.N), "s/conntrack")
	b.ReportMetric(0, "ns/op")
}
