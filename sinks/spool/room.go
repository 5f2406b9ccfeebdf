package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// makeRoom sees to it that n bytes more keep Max and MinFree, and drops the
// oldest segments where they do not. The caller has the lock of writing.
func (s *Spool) makeRoom(n int64) error {
	err := s.room(n)
	if err == nil {
		return nil
	}
	s.mu.Lock()
	only := len(s.segments) < 2
	s.mu.Unlock()
	if only {
		return err // there is nothing to gain
	}
	s.save() //nolint:errcheck // it counts and tells its errors; what all have read goes first
	for err = s.room(n); err != nil && s.dropOldest(); err = s.room(n) {
	}
	return err
}

// room reports why n bytes more cannot be written.
func (s *Spool) room(n int64) error {
	if used := s.Bytes(); used+n > s.cfg.Max {
		return fmt.Errorf("%w: %d of %d bytes used", ErrNoRoom, used, s.cfg.Max)
	}
	free, err := freeBytes(s.dir)
	if err != nil {
		return err
	}
	if free < s.cfg.MinFree+n {
		return fmt.Errorf("%w: %d bytes free, min_free is %d", ErrNoRoom, free, s.cfg.MinFree)
	}
	return nil
}

// Bytes is how many bytes the segments take.
func (s *Spool) Bytes() (bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.segments {
		bytes += s.segments[i].size
	}
	return bytes
}

// freeBytes is what an ordinary user could still write to the file system.
func freeBytes(dir string) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("free room of %s: %w", dir, err)
	}
	return int64(fs.Bavail) * fs.Bsize, nil
}

// dropOldest deletes the oldest segment and counts what it held to each cursor
// that had not read it. It answers false if only one segment is left, or it
// cannot be deleted.
func (s *Spool) dropOldest() bool {
	s.mu.Lock()
	if len(s.segments) < 2 {
		s.mu.Unlock()
		return false
	}
	s.segments[0].doomed = true
	oldest, next := s.segments[0].index, &s.segments[1].base
	lost := map[string]Tally{}
	for name, c := range s.cursors {
		if t := c.drop(next); !t.IsZero() {
			lost[name] = t
		}
	}
	s.dirty = true
	s.mu.Unlock()
	for name, t := range lost {
		s.log.Warn("spool is full, dropped its oldest segment", "sink", name, "frames", t.Frames, "records", t.Records)
	}

	// The count must be on disk before the segment is gone, or it would be made
	// again after a crash. On a full disk it is the other way round.
	if err := s.save(); err != nil {
		s.collect(nil)
		s.save() //nolint:errcheck // it counts and tells its errors
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.segments) == 0 || s.segments[0].index != oldest
}

// collect deletes the oldest segments as long as they are doomed, or every
// cursor has them behind it on disk too. Without any cursor it keeps them:
// whoever reads them may be yet to come.
func (s *Spool) collect(saved map[string]savedCursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.segments) > 1 && (s.segments[0].doomed || passed(saved, s.segments[1].base.Frames)) {
		err := os.Remove(segmentPath(s.dir, s.segments[0].index))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.faults.Writes++
			s.faults.Last = err.Error()
			s.log.Error("spool cannot delete a segment", "err", err)
			return
		}
		s.segments = append(s.segments[:0], s.segments[1:]...)
	}
}

// passed reports whether there are cursors and none stands below a frame.
func passed(saved map[string]savedCursor, frame uint64) bool {
	for _, c := range saved {
		if c.Next < frame {
			return false
		}
	}
	return len(saved) > 0
}

// Save writes the cursors' places, if any has changed. A new cursor outlives the
// process only then; Run sees to it once a second.
func (s *Spool) Save() error {
	if err := s.save(); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// save writes the cursors, if anything has changed, and deletes what nobody
// needs any more.
func (s *Spool) save() error {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	if !s.dirty || s.gone {
		s.mu.Unlock()
		return nil
	}
	s.rev++
	state := &savedState{Version: cursorsVersion, Rev: s.rev, End: s.end.clone(), Cursors: make(map[string]savedCursor, len(s.cursors))}
	for name, c := range s.cursors {
		state.Cursors[name] = c.saved()
	}
	s.dirty = false
	s.mu.Unlock()
	if err := writeState(s.cfg.Dir, state); err != nil {
		s.fault(&s.faults.Saves, err)
		s.mu.Lock()
		s.dirty = true
		s.mu.Unlock()
		return s.roomError(err)
	}
	s.collect(state.Cursors)
	return nil
}
