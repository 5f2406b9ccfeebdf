package spool

import (
	"errors"
	"fmt"
	"maps"
)

// maxSpare is how many buffers are kept for the frames to come.
const maxSpare = 32

// commit syncs what was written before it was called. If the sync fails, the
// segment is written no more and never synced again, because a second sync of
// the same file may say that all is well when nothing is: everything that was
// not synced goes to a new segment, once.
func (s *Spool) commit() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	err := s.commitOnce()
	if err == nil {
		return nil
	}
	s.fault(&s.faults.Syncs, err)
	s.log.Error("spool could not sync a segment, writing to a new one", "err", err)
	if err = s.commitOnce(); err != nil {
		s.fault(&s.faults.Syncs, err)
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

func (s *Spool) commitOnce() error {
	s.writing.Lock()
	if s.wal == nil && len(s.unsynced) > 0 {
		if err := s.reopen(); err != nil {
			s.writing.Unlock()
			return err
		}
	}
	w, n := s.wal, len(s.unsynced)
	if n == 0 {
		s.writing.Unlock()
		return nil
	}
	file := w.sync
	s.writing.Unlock()

	err := file.Sync()

	s.writing.Lock()
	defer s.writing.Unlock()
	if s.wal != w {
		// An append failed meanwhile. Nothing can be said of that segment any more.
		if len(s.unsynced) > 0 {
			return errors.New("a write failed before the sync ended")
		}
		return nil
	}
	if err != nil {
		s.abandon(err)
		return err
	}
	s.settle(n)
	return nil
}

// settle enters the n oldest frames that were unsynced as synced, and forgets them.
func (s *Spool) settle(n int) {
	for i := range s.unsynced[:n] {
		s.synced.add(&s.unsynced[i].header, len(s.unsynced[i].frame))
		s.waiting -= int64(len(s.unsynced[i].frame))
		if len(s.spare) < maxSpare {
			s.spare = append(s.spare, s.unsynced[i].frame)
		}
	}
	rest := copy(s.unsynced, s.unsynced[n:])
	clear(s.unsynced[rest:])
	s.unsynced = s.unsynced[:rest]
	if len(s.synced.Counts) > MaxCursors {
		s.mu.Lock()
		defer s.mu.Unlock()
		// Sinks that had to give way (totals.admit) must not stay here: no header has room for more.
		maps.DeleteFunc(s.synced.Counts, func(name string, _ uint64) bool { _, ok := s.end.Counts[name]; return !ok })
	}
}

// takeBack undoes the last frame, which could not be synced: its segment is
// left, and the number will be another frame's.
func (s *Spool) takeBack() {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.wal != nil {
		s.abandon(errors.New("a frame that was not synced is taken back"))
	}
	if n := len(s.unsynced); n > 0 {
		s.waiting -= int64(len(s.unsynced[n-1].frame))
		s.unsynced = s.unsynced[:n-1]
	}
}

// closing is Close without its locks: everything is tried, whatever fails.
func (s *Spool) closing() error {
	err := s.commit()
	err = errors.Join(err, s.save())
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	s.gone = true
	s.mu.Unlock()
	if s.acks != nil {
		s.noting.Lock() // whoever comes later sees that it is gone
		err = errors.Join(err, s.acks.Close())
		s.noting.Unlock()
	}
	s.unsynced = nil
	if s.wal != nil {
		err = errors.Join(err, s.wal.close())
		s.wal = nil
	}
	err = errors.Join(err, s.closeAbandoned())
	return errors.Join(err, s.lock.Close())
}
