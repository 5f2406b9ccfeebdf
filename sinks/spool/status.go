package spool

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Status is a spool's state at one moment.
type Status struct {
	Dir      string         `json:"dir"`
	Segments int            `json:"segments"`
	Bytes    int64          `json:"bytes"`                     // of all segments
	Max      int64          `json:"max"`                       // that they may take; 0 if not known
	Free     int64          `json:"free"`                      // on the file system
	MinFree  int64          `json:"min_free"`                  // that must stay so; 0 if not known
	Frames   uint64         `json:"frames"`                    // ever appended
	Records  uint64         `json:"records"`                   // ever appended
	Cursors  []CursorStatus `json:"cursors"`                   // by name
	Faults   Faults         `json:"faults"`                    // of the process that has the spool open
	Damaged  bool           `json:"cursors_damaged,omitempty"` // the file of cursors could not be read
}

// CursorStatus is where one sink stands.
type CursorStatus struct {
	Name   string    `json:"name"`
	Next   uint64    `json:"next"` // the oldest frame that is not acknowledged
	Lag    Tally     `json:"lag"`
	Oldest time.Time `json:"oldest,omitzero"` // see Lag
	Losses Losses    `json:"losses"`
}

// Status tells how the spool is.
func (s *Spool) Status() (Status, error) {
	s.mu.Lock()
	st := Status{
		Dir: s.cfg.Dir, Segments: len(s.segments), Max: s.cfg.Max, MinFree: s.cfg.MinFree,
		Frames: s.end.Frames, Records: s.end.Records, Faults: s.faults,
	}
	for i := range s.segments {
		st.Bytes += s.segments[i].size
	}
	for _, name := range slices.Sorted(maps.Keys(s.cursors)) {
		c := s.cursors[name]
		saved := c.saved()
		st.Cursors = append(st.Cursors, saved.status(name, saved.lag(name, &s.end, s.segments, c.outstanding)))
	}
	s.mu.Unlock()
	var err error
	if st.Free, err = freeBytes(s.dir); err != nil {
		return st, fmt.Errorf("spool: %w", err)
	}
	return st, nil
}

func (saved *savedCursor) status(name string, lag Lag) CursorStatus {
	return CursorStatus{Name: name, Next: saved.Next, Lag: lag.Tally, Oldest: lag.Oldest, Losses: saved.Losses}
}

// ReadStatus tells how the spool in dir is without opening it, also while
// another process has it open: cursors are then up to saveEvery old. It changes
// nothing.
func ReadStatus(dir string) (Status, error) {
	found, err := survey(dir, nil)
	if err != nil {
		return Status{}, fmt.Errorf("spool %s: %w", dir, err)
	}
	if _, err := os.Stat(filepath.Join(dir, segmentsDir)); err != nil {
		return Status{}, fmt.Errorf("spool %s: %w", dir, err)
	}
	st := Status{
		Dir: dir, Segments: len(found.segments), Damaged: found.forgot,
		Frames: found.end.Frames, Records: found.end.Records,
	}
	for i := range found.segments {
		st.Bytes += found.segments[i].size
	}
	for _, name := range slices.Sorted(maps.Keys(found.cursors)) {
		saved := found.cursors[name]
		st.Cursors = append(st.Cursors, saved.status(name, saved.lag(name, &found.end, found.segments, nil)))
	}
	if st.Free, err = freeBytes(dir); err != nil {
		return st, fmt.Errorf("spool: %w", err)
	}
	return st, nil
}
