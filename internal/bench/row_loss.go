package main

import (
	"context"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

// lossTime is how long the generator runs at its full rate.
const lossTime = 60 * time.Second

// rotatedRoom is what the files take that are there at a time: the live one, two rotated
// and one that is being removed.
const rotatedRoom = 4 * 256 << 20

// onlyIPv4 is the full rate with flows over IPv4 alone, so that a filter on the family
// can refuse all of them.
func (l *lab) onlyIPv4(events int) load {
	w := l.fullRate(events)
	w.churn.Kinds = []testnet.Kind{{Proto: "udp", Family: 4}, {Proto: "tcp", Family: 4}, {Proto: "icmp", Family: 4}, {Proto: "sctp", Family: 4}}
	return w
}

// rowLoss runs the generator for a minute: nothing may be lost, and memory stays bounded.
func rowLoss(ctx context.Context, l *lab) (lines []line, err error) {
	var subjects []subject
	for _, receive := range []string{"ring", "socket"} {
		w := ferryFile(receive)
		w.rotate = "size: 256MiB, keep: 2"
		subjects = append(subjects, l.ferryAs(w))
	}
	if err := l.room(rotatedRoom); err != nil {
		return nil, err
	}
	limit := time.Duration(float64(lossTime) * l.scale)
	t, err := alternate(ctx, l, 1, subjects, func(subject) load {
		return load{churn: testnet.Churn{Entries: testnet.MaxEntries}, limit: limit}
	})
	if err != nil {
		return nil, err
	}
	for _, s := range subjects {
		made := t.series(s, func(s sample) float64 { return float64(s.made.Events()) }).median()
		rate := t.series(s, func(s sample) float64 { return s.made.PerSecond() }).median()
		missing, dropped := t.missing(s)
		lines = append(lines, t.line("events lost in "+limit.String()+" at full rate", s, subject{}, "", func(s sample) float64 {
			return float64(s.missing() + s.counted.dropped)
		}).within(0).noting("%d by the kernel, %d inside", missing, dropped).noting("of %.0f events at %.0f a second", made, rate).noting("%s", t.disturbance(s)))
	}
	for _, s := range subjects {
		lines = append(lines, t.line("resident memory then, peak, without the ring", s, subject{}, "MiB", func(s sample) float64 {
			return mebibytes(s.peak - s.ring)
		}).within(targetPeakMiB).noting("%s", t.disturbance(s)))
	}
	return lines, nil
}
