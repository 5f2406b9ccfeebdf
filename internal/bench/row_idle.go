package main

import (
	"context"
	"errors"
	"time"
)

const (
	idleWindow = 4 * time.Second // one a round: 20 s in all by default
	targetIdle = 0.1             // per cent of a core
	targetWake = 20              // a second
)

// rowIdle measures what listening costs while nothing happens.
func rowIdle(ctx context.Context, l *lab) (lines []line, err error) {
	var used, woken []line
	for _, receive := range []string{"ring", "socket"} {
		s := l.ferryAs(ferryFile(receive))
		u := line{measure: "CPU while nothing happens", subject: s.name, unit: "%"}.within(targetIdle)
		w := line{measure: "wake-ups a second while nothing happens", subject: s.name, unit: "/s"}.within(targetWake)
		if u.values, w.values, err = l.idle(ctx, s); err != nil {
			return nil, err
		}
		used, woken = append(used, u), append(woken, w)
	}
	return append(used, woken...), nil
}

// idle watches one process through several windows: its CPU in per cent, and how often in
// a second a thread of it went to sleep, which is how often one was woken.
func (l *lab) idle(ctx context.Context, s subject) (used, woken series, err error) {
	r, err := l.listenIn(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	window := time.Duration(float64(idleWindow) * l.scale)
	for range l.rounds {
		cpu, err1 := cpuOf(r.pid())
		switches, err2 := switchesOf(r.pid())
		start := time.Now()
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-r.done:
			return nil, nil, r.failed()
		case <-time.After(window):
		}
		cpu2, err3 := cpuOf(r.pid())
		switches2, err4 := switchesOf(r.pid())
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return nil, nil, err
		}
		took := time.Since(start).Seconds()
		used = append(used, 100*(cpu2-cpu).Seconds()/took)
		woken = append(woken, float64(switches2-switches)/took)
	}
	l.say("  %s: %s %% of a core, %s wake-ups a second", s.name, number(used.median()), number(woken.median()))
	return used, woken, nil
}
