package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

const (
	targetHalf = 3.0  // ms, of half of the events
	targetMost = 10.0 // ms, of 99 of 100
)

// latencyLoads are the rates, and the events of a round at each.
func latencyLoads() []struct{ rate, events int } {
	return []struct{ rate, events int }{{1_000, 4_000}, {100_000, 200_000}}
}

// rowLatency measures from the kernel's time of an event (CTA_TIMESTAMP_EVENT, Linux 6.14)
// until a reader that tails the file has its line.
func rowLatency(ctx context.Context, l *lab) (lines []line, err error) {
	for _, at := range latencyLoads() {
		for _, receive := range []string{"ring", "socket"} {
			w := ferryFile(receive)
			var half, most series
			for round := range l.rounds {
				times, err := l.latencies(ctx, l.ferryAs(w), at.rate, l.scaled(at.events))
				if err != nil {
					return lines, fmt.Errorf("%s at %d/s: %w", w.name, at.rate, err)
				}
				half, most = append(half, percentile(times, 0.5)), append(most, percentile(times, 0.99))
				l.say("  round %d: %s at %d/s: p50 %s ms, p99 %s ms", round+1, w.name, at.rate, number(half[round]), number(most[round]))
			}
			lines = append(lines,
				line{measure: fmt.Sprintf("latency, kernel to file, %d/s", at.rate), subject: w.name + ", p50", unit: "ms", values: half}.within(targetHalf),
				line{measure: fmt.Sprintf("latency, kernel to file, %d/s", at.rate), subject: w.name + ", p99", unit: "ms", values: most}.within(targetMost))
		}
	}
	return lines, nil
}

// latencies are those of all events of one round, sorted, in milliseconds.
func (l *lab) latencies(ctx context.Context, s subject, rate, events int) (times []float64, err error) {
	r, err := l.listenIn(ctx, s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	tailing := startTail(ctx, sinkPath(r.dir, 0), events)
	made, _, err := generate(ctx, load{churn: testnet.Churn{NS: r.ns, Entries: events / 2, Rate: rate}})
	if err != nil {
		return nil, errors.Join(err, tailing.stop())
	}
	if _, err := r.rest(ctx); err != nil {
		return nil, errors.Join(err, tailing.stop())
	}
	time.Sleep(2 * tailEvery)
	if err := tailing.stop(); err != nil {
		return nil, err
	}
	if got := len(tailing.latencies); got != made.Events() {
		return nil, fmt.Errorf("%d events made, %d lines with a time of the kernel's read", made.Events(), got)
	}
	for _, d := range tailing.latencies {
		times = append(times, math.Max(0, d.Seconds()*1e3))
	}
	slices.Sort(times)
	return times, nil
}
