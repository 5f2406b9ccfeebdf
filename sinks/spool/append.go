package spool

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Append stores a frame and gives it its number and time. It returns when the
// frame is as safe as Config.Sync says; the frame's bytes are the caller's
// again then. An error means that no cursor will give the frame, in this run or
// the next (but one may, if the process dies in Append, or the disk does not
// even let it be cut off): ErrNoRoom, a *FrameError, ErrClosed, or what the disk
// said. It is counted, for each sink that is named in the frame; the next Append
// tries anew. It waits for the disk, so no reader of events may call it.
func (s *Spool) Append(f *Frame) error {
	s.appending.Lock()
	defer s.appending.Unlock()
	err := s.admit(f)
	if err == nil {
		err = s.append(f)
	}
	if err != nil {
		s.refuse(f, err)
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// admit checks the frame and gives its sinks a place in the totals.
func (s *Spool) admit(f *Frame) error {
	if err := f.check(s.cfg.SegmentSize); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	oldest := &s.end
	if len(s.segments) > 0 {
		oldest = &s.segments[0].base
	}
	for i := range f.Counts {
		if err := s.end.admit(f.Counts[i].Sink, s.cursors, oldest); err != nil {
			return err
		}
	}
	return nil
}

func (s *Spool) append(f *Frame) error {
	s.mu.Lock()
	f.Seq, f.Written = s.end.Frames, time.Now()
	s.mu.Unlock()
	h := header{
		kind: f.kind(), seq: f.Seq, records: f.Records, first: f.First, last: f.Last,
		written: f.Written.UnixNano(), counts: f.Counts,
	}
	s.record, s.scratch = s.compress.appendFrame(s.record[:0], s.scratch, &h, f.Payload)
	if err := s.prepare(len(s.record)); err != nil {
		return err
	}
	if s.cfg.Sync != SyncAlways {
		return s.write(&h, true)
	}
	if err := s.write(&h, false); err != nil {
		return err
	}
	if err := s.commit(); err != nil {
		s.takeBack()
		return err
	}
	s.publish(&h)
	return nil
}

// prepare syncs what would otherwise be too much unsynced, or be left in a
// segment that is given up for the next one.
func (s *Spool) prepare(n int) error {
	s.writing.Lock()
	full := s.wal != nil && s.full(n)
	due := len(s.unsynced) > 0 && (full || s.waiting >= min(maxUnsynced, s.cfg.SegmentSize/4))
	s.writing.Unlock()
	if !due {
		return nil
	}
	return s.commit()
}

// write brings the encoded frame into the log.
func (s *Spool) write(h *header, publish bool) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.store(s.record)
	if noRoom(err) && s.dropOldest() {
		err = s.store(s.record)
	}
	if err != nil {
		return s.roomError(err)
	}
	if s.cfg.Sync >= 0 {
		kept := *h
		kept.counts = slices.Clone(h.counts)
		s.unsynced = append(s.unsynced, pending{append(s.spareBytes(), s.record...), kept})
		s.waiting += int64(len(s.record))
	}
	s.mu.Lock()
	s.segments[len(s.segments)-1].size = s.wal.size
	s.mu.Unlock()
	if publish {
		s.publish(h)
	}
	return nil
}

// spareBytes gives a buffer of a frame that has been synced, if there is one.
func (s *Spool) spareBytes() []byte {
	n := len(s.spare)
	if n == 0 {
		return nil
	}
	b := s.spare[n-1]
	s.spare = s.spare[:n-1]
	return b[:0]
}

// publish enters what has been written into the totals and lets the cursors read it.
func (s *Spool) publish(h *header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end.add(h, len(s.record))
	s.dirty = true
	for _, c := range s.cursors {
		c.rouse()
	}
}

// store writes one encoded frame, in a new segment if it has to be.
func (s *Spool) store(frame []byte) error {
	if err := s.makeRoom(taken(len(frame))); err != nil {
		return err
	}
	if s.wal == nil {
		if err := s.reopen(); err != nil {
			return err
		}
	}
	if s.full(len(frame)) {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	if err := s.wal.write(frame); err != nil {
		s.abandon(err)
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// full reports whether n bytes more belong into the next segment: because they
// have no room, or because the one under way can be read no further.
func (s *Spool) full(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.wal.fits(n) || s.segments[len(s.segments)-1].spent
}

// noRoom reports whether err says that the disk, or a quota, is full.
func noRoom(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, ErrNoRoom)
}

// refuse counts a frame that was not taken.
func (s *Spool) refuse(f *Frame, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.Refused = s.faults.Refused.plus(Tally{1, uint64(f.Records), uint64(len(f.Payload))})
	s.faults.Last = err.Error()
	for i := range f.Counts {
		if c := s.cursors[f.Counts[i].Sink]; c != nil {
			c.losses.Refused = c.losses.Refused.plus(Tally{1, f.Counts[i].N, uint64(len(f.Payload))})
			s.dirty = true
		}
	}
}
