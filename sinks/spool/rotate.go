package spool

import (
	"errors"
	"fmt"
	"os"
)

// maxAbandoned is how many logs that failed may wait to be closed. It bounds
// the descriptors and goroutines that a disk which does not even take a last
// page can hold.
const maxAbandoned = 4

// reopen begins a segment with a new log after the start or an error, and
// writes into it again what had not been synced. Readers know the frames by
// their numbers, so they get none twice. The caller has the lock of writing.
func (s *Spool) reopen() error {
	if err := s.closeAbandoned(); err != nil {
		return err
	}
	w, err := openWAL(s.dir, s.cfg.SegmentSize, s.files, s.log)
	if err != nil {
		s.fault(&s.faults.Writes, err)
		return s.roomError(err)
	}
	base := s.synced.clone()
	if len(s.unsynced) == 0 {
		base = s.ended()
	}
	s.wal = w
	if err := s.replay(&base); err != nil {
		s.abandon(err)
		// Nothing was told to be in it. If it stays, it counts as damaged and empty.
		os.Remove(segmentPath(s.dir, w.index)) //nolint:errcheck // see above
		return s.roomError(fmt.Errorf("write: %w", err))
	}
	s.begin(base)
	return nil
}

// replay writes the checkpoint and what had not been synced.
func (s *Spool) replay(base *totals) error {
	if err := s.checkpoint(base); err != nil {
		return err
	}
	for i := range s.unsynced {
		if err := s.wal.write(s.unsynced[i].frame); err != nil {
			return err
		}
	}
	return nil
}

// rotate begins the next segment in the same log. All is synced, if it is to be at all.
func (s *Spool) rotate() error {
	if len(s.unsynced) > 0 {
		return errors.New("the disk does not sync what was written before")
	}
	err := s.wal.rotate()
	base := s.ended()
	if err == nil {
		err = s.checkpoint(&base)
	}
	if err != nil {
		s.abandon(err)
		return s.roomError(err)
	}
	s.begin(base)
	return nil
}

// checkpoint writes a segment's first frame.
func (s *Spool) checkpoint(base *totals) error {
	h := base.checkpoint()
	frame, _ := (&compressor{}).appendFrame(nil, nil, &h, nil)
	return s.wal.write(frame)
}

// ended is a copy of the totals.
func (s *Spool) ended() totals {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end.clone()
}

// begin enters the segment that the log writes now.
func (s *Spool) begin(base totals) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.segments); n > 0 {
		if info, err := os.Stat(segmentPath(s.dir, s.segments[n-1].index)); err == nil {
			s.segments[n-1].size = info.Size()
		}
		// A rotation that failed half way leaves a segment that nobody entered.
		for i := s.segments[n-1].index + 1; i < s.wal.index; i++ {
			s.segments = append(s.segments, segment{index: i, base: base.clone(), size: fileSize(segmentPath(s.dir, i))})
		}
	}
	s.segments = append(s.segments, segment{index: s.wal.index, base: base, size: s.wal.size})
	for _, c := range s.cursors {
		c.rouse() // one may wait behind a damaged place
	}
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// abandon gives a log up after an error. What nobody was told to be in it is cut
// off: how it ends on disk is unknown, and the next run would find it there.
func (s *Spool) abandon(err error) {
	s.fault(&s.faults.Writes, err)
	if s.wal == nil {
		return
	}
	if n := len(s.unsynced); n > 0 && s.unsynced[n-1].header.seq >= s.ended().Frames {
		s.wal.forget()
	}
	s.abandoned = append(s.abandoned, s.wal)
	s.wal = nil
	s.closeAbandoned() //nolint:errcheck // tried again before another is opened
}

// closeAbandoned closes logs that were given up. While the disk is full they
// cannot be closed, and none must be opened beside them.
func (s *Spool) closeAbandoned() error {
	var failed error
	kept := s.abandoned[:0]
	for _, w := range s.abandoned {
		if err := w.close(); err != nil {
			kept, failed = append(kept, w), err
		}
		if err := w.cut(); err != nil {
			s.fault(&s.faults.Writes, err)
			s.log.Error("spool may give what it refused to the next run", "err", err)
		}
	}
	clear(s.abandoned[len(kept):])
	s.abandoned = kept
	if noRoom(failed) || len(kept) >= maxAbandoned {
		return s.roomError(fmt.Errorf("finish a segment that failed: %w", failed))
	}
	return nil
}

// roomError makes an error that says so, if the disk is full, an ErrNoRoom.
func (s *Spool) roomError(err error) error {
	if noRoom(err) && !errors.Is(err, ErrNoRoom) {
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	return err
}

// fault counts an error and keeps its text.
func (s *Spool) fault(counter *uint64, err error) {
	s.mu.Lock()
	*counter++
	s.faults.Last = err.Error()
	s.mu.Unlock()
}
