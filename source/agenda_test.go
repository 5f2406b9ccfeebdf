package source

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// days lets an agenda run by a clock of its own and tells what it did when.
func days(t *testing.T, c Config, span time.Duration, happen func(at time.Duration, a *agenda) error) (done []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		a := newAgenda(&c, begun)
		for time.Since(begun) <= span {
			job, due, wait := a.next(time.Now())
			if due {
				a.begin(job, time.Now())
				done = append(done, fmt.Sprintf("%v %s", time.Since(begun), job.reason))
				a.done(time.Now(), happen(time.Since(begun), nil))
				continue
			}
			if wait <= 0 {
				t.Fatal("nothing is due, at once")
			}
			time.Sleep(min(wait, time.Second)) // a loss may wake it at any time
			happen(time.Since(begun), &a)
		}
	})
	return done
}

func quiet(time.Duration, *agenda) error { return nil }

func TestAgenda(t *testing.T) {
	track := Default()
	track.Track.Enabled = true
	plain := Default()
	plain.Dump.Interval = time.Minute
	both := track
	both.Dump.AtStart, both.Dump.Interval, both.Interim = true, 4*time.Minute, 3*time.Minute
	onlyLoss := track
	onlyLoss.Track.Reconcile = 0
	lossAt := func(ats ...time.Duration) func(time.Duration, *agenda) error {
		return func(at time.Duration, a *agenda) error {
			if a != nil && slices.Contains(ats, at) {
				a.lost = true
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		cfg    Config
		span   time.Duration
		happen func(time.Duration, *agenda) error
		want   []string
	}{
		"nothing":           {Default(), time.Hour, quiet, nil},
		"interval":          {plain, 3 * time.Minute, quiet, []string{"1m0s interval", "2m0s interval", "3m0s interval"}},
		"tracking":          {track, 11 * time.Minute, quiet, []string{"0s start", "5m0s reconcile", "10m0s reconcile"}},
		"any dump compares": {both, 9 * time.Minute, quiet, []string{"0s start", "3m0s interim", "4m0s interval", "6m0s interim", "8m0s interval", "9m0s interim"}},
		// At once when the last is 30 s ago, else when it is.
		"losses": {onlyLoss, 5 * time.Minute, lossAt(10*time.Second, time.Minute, 61*time.Second, 62*time.Second, 4*time.Minute),
			[]string{"0s start", "30s resync", "1m0s resync", "1m30s resync", "4m0s resync"}},
		"a loss puts the next comparison off": {track, 8 * time.Minute, lossAt(4 * time.Minute), []string{"0s start", "4m0s resync"}},
		"a dump that fails": {onlyLoss, 2 * time.Minute, func(at time.Duration, _ *agenda) error {
			if at < time.Minute {
				return errors.New("no")
			}
			return nil
		}, []string{"0s start", "30s resync", "1m0s resync"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := days(t, c.cfg, c.span, c.happen); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
