package source

import "time"

// dumpJob is one reading of the table.
type dumpJob struct {
	reason  string // of the rows: start or interval; or why it is read for ourselves: resync, reconcile, interim
	rows    bool   // rows are handed on as dump records
	interim bool   // rows become interim records
}

// agenda says when the table is to be read, and what for. A dump that serves one
// purpose is compared with the tracked flows all the same.
type agenda struct {
	tracks                    bool
	interval, interim         time.Duration // 0 is never
	reconcile, resync         time.Duration
	started                   bool
	lost                      bool // a loss is to be made good
	lastInterval, lastInterim time.Time
	lastWhole, lastResync     time.Time
	rowsAtStart               bool
}

func newAgenda(c *Config, now time.Time) agenda {
	a := agenda{
		interval: c.Dump.Interval, rowsAtStart: c.Dump.AtStart, started: !c.Dump.AtStart && !c.Track.Enabled,
		lastInterval: now, lastInterim: now, lastWhole: now,
	}
	if c.Track.Enabled {
		a.tracks, a.reconcile, a.resync, a.interim = true, c.Track.Reconcile, c.Track.Resync, c.Interim
	}
	return a
}

// next gives what is due, or else how long nothing will be.
func (a *agenda) next(now time.Time) (job dumpJob, due bool, wait time.Duration) {
	if !a.started {
		return dumpJob{reason: "start", rows: a.rowsAtStart}, true, 0
	}
	wait = time.Hour
	for _, d := range [...]struct {
		job  dumpJob
		on   bool
		last time.Time
		span time.Duration
	}{
		{dumpJob{reason: "resync"}, a.lost, a.lastResync, a.resync},
		{dumpJob{reason: "interval", rows: true}, a.interval > 0, a.lastInterval, a.interval},
		{dumpJob{reason: "interim", interim: true}, a.interim > 0, a.lastInterim, a.interim},
		{dumpJob{reason: "reconcile"}, a.reconcile > 0, a.lastWhole, a.reconcile},
	} {
		if !d.on {
			continue
		}
		left := d.last.Add(d.span).Sub(now)
		if left <= 0 {
			return d.job, true, 0
		}
		wait = min(wait, left)
	}
	return dumpJob{}, false, wait
}

// begin notes that a job begins: what is lost from here on needs another.
func (a *agenda) begin(j dumpJob, now time.Time) {
	a.started = true
	switch j.reason {
	case "interval":
		a.lastInterval = a.lastInterval.Add(now.Sub(a.lastInterval).Truncate(a.interval))
	case "interim":
		a.lastInterim = a.lastInterim.Add(now.Sub(a.lastInterim).Truncate(a.interim))
	}
	if a.tracks && (a.lost || j.reason == "start") {
		a.lastResync = now // whatever it was due for, it makes the loss good
	}
	a.lost = false
}

// done notes how a job ended.
func (a *agenda) done(now time.Time, err error) {
	if !a.tracks {
		return
	}
	a.lastWhole = now
	if err != nil {
		a.lost = true
	}
}
