package main

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// taken are the samples of a row, by subject, one a round. A subject that failed has
// the error, and no more samples.
type taken struct {
	subjects []subject
	samples  map[string][]sample
	failed   map[string]error
}

// alternate takes a sample of each subject in each of some rounds. Every round begins with
// another subject, so that none always follows the same. A subject that fails is left
// out from then on; only when all have failed, or ctx is done, is that an error.
func alternate(ctx context.Context, l *lab, rounds int, subjects []subject, work func(subject) load) (t taken, err error) {
	t = taken{subjects, map[string][]sample{}, map[string]error{}}
	for round := range rounds {
		for i := range subjects {
			s := subjects[(i+round)%len(subjects)]
			if t.failed[s.name] != nil {
				continue
			}
			got, err := l.take(ctx, s, work(s))
			if ctx.Err() != nil {
				return t, ctx.Err()
			}
			if err != nil {
				l.say("  %v", err)
				t.failed[s.name] = err
				continue
			}
			l.say("  round %d: %s: %v", round+1, s.name, got)
			t.samples[s.name] = append(t.samples[s.name], got)
		}
	}
	if len(t.samples) == 0 {
		err = errors.Join(errors.New("every subject failed"), t.failed[subjects[0].name])
	}
	return t, err
}

// series is a figure of a subject, one value a round; NaN where a round has no sample.
func (t taken) series(s subject, figure func(sample) float64) series {
	var out series
	for _, one := range t.samples[s.name] {
		out = append(out, figure(one))
	}
	return out
}

// missing is the greatest number of events that a subject missed in a round, and dropped
// of those that it lost by itself.
func (t taken) missing(s subject) (missing, dropped int) {
	for _, one := range t.samples[s.name] {
		missing, dropped = max(missing, one.missing()), max(dropped, one.counted.dropped)
	}
	return missing, dropped
}

// note says why a figure is absent.
func (t taken) note(s subject) string {
	switch err := t.failed[s.name]; {
	case errors.Is(err, errMissing):
		return "not installed"
	case err != nil:
		return "failed: " + err.Error()
	}
	return ""
}

// remarks say what was lost, and whether others were on the subject's CPU.
func (t taken) remarks(s subject) string {
	if t.failed[s.name] != nil {
		return ""
	}
	text := "0 lost"
	if missing, dropped := t.missing(s); missing > 0 || dropped > 0 {
		text = fmt.Sprintf("lost up to %d of %d, and %d inside", max(missing, 0), t.samples[s.name][0].made.Events(), dropped)
	}
	if also := t.disturbance(s); also != "" {
		text += "; " + also
	}
	return text
}

// disturbance says whether others were on the subject's CPU.
func (t taken) disturbance(s subject) string {
	if waited := t.waited(s); waited > disturbed {
		return fmt.Sprintf("disturbed: without a CPU for %.0f %% of the time", waited*100)
	}
	return ""
}

// disturbed is the share of the time in which a subject may be ready without a CPU before
// its figures are in doubt: others were on its CPU then.
const disturbed = 0.1

// waited is the median share of the time in which a subject had no CPU.
func (t taken) waited(s subject) float64 {
	return t.series(s, func(s sample) float64 { return s.waited }).median()
}

// line is a line of the table about a subject's figure, against a baseline's.
func (t taken) line(measure string, s, base subject, unit string, figure func(sample) float64) line {
	out := line{measure: measure, subject: s.name, unit: unit, values: t.series(s, figure), note: t.note(s)}
	if base.name != "" {
		out.against, out.base = base.name, t.series(base, figure)
	}
	return out
}

// mebibytes is a figure in MiB.
func mebibytes(n int64) float64 { return math.Round(float64(n)/(1<<20)*10) / 10 }
