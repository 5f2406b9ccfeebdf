package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Spool is an open spool. One goroutine appends, each Cursor has one that
// reads; Run and everything else may be called from any.
//
// Locks, in the order in which they are taken: appending, syncing, writing,
// saving, noting, mu. mu is never held over I/O but the closing or deleting of a file.
type Spool struct {
	cfg   Config
	log   *slog.Logger
	dir   string // of the segments
	lock  *os.File
	files fileOpener

	appending sync.Mutex // one Append at a time; guards what encodes
	compress  compressor
	record    []byte // the stored frame
	scratch   []byte // of the compressor

	syncing sync.Mutex // one sync at a time

	writing   sync.Mutex // guards what writes
	wal       *wal       // nil after an error, until one can be opened again
	abandoned []*wal     // after an error, and not closed yet
	unsynced  []pending  // what must be written again if a sync fails
	waiting   int64      // bytes of unsynced
	spare     [][]byte   // buffers of what was
	synced    totals     // all that is in no need of it

	saving sync.Mutex // one writer of the file of cursors

	noting sync.Mutex // one acknowledgement is written at a time
	slot   []byte     // what is written

	mu       sync.Mutex
	rev      uint64   // of the newest slot or file of cursors
	acks     *os.File // nil if it could not be opened
	closed   bool
	gone     bool   // closed, and nothing may be written any more
	dirty    bool   // the file of cursors is behind
	end      totals // all that may be read
	segments []segment
	cursors  map[string]*Cursor
	forgot   bool // the file of cursors was damaged
	faults   Faults
}

// segment is a segment on disk. The last one may be under way.
type segment struct {
	index      int
	base       totals // what stands before it
	size       int64  // bytes
	unreadable bool   // it was there at the start, without a checkpoint; base is that of the next
	doomed     bool   // counted as dropped: to be deleted
	spent      bool   // can be read no further, although it is the last
}

// pending is a frame that was written and not synced.
type pending struct {
	frame  []byte
	header header
}

// Faults counts what went wrong, since the spool was opened.
type Faults struct {
	Refused  Tally  `json:"refused"` // frames that Append did not take, with all their records
	Writes   uint64 `json:"writes"`  // writes that failed, disk full among them
	Syncs    uint64 `json:"syncs"`   // syncs that failed
	Saves    uint64 `json:"saves"`   // times the cursors could not be written
	Segments uint64 `json:"damaged"` // damaged places that a cursor came upon
	Last     string `json:"last,omitempty"`
}

// Open opens the spool in cfg.Dir, or makes one. It recovers what a crash has
// left and begins a new segment; nothing that can be read is deleted. It fails
// with ErrLocked if another process has the spool open.
func Open(cfg Config, log *slog.Logger) (*Spool, error) { return open(cfg, log, openSyncer) }

func open(cfg Config, log *slog.Logger, files fileOpener) (*Spool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	s := &Spool{cfg: cfg, log: log, dir: filepath.Join(cfg.Dir, segmentsDir), files: files, cursors: map[string]*Cursor{}}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("spool %s: %w", cfg.Dir, err)
	}
	return s, nil
}

func (s *Spool) open() (err error) {
	if s.compress, err = newCompressor(s.cfg.Compress); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if s.lock, err = lockDir(s.cfg.Dir); err != nil {
		return err
	}
	if err := s.recover(); err != nil {
		s.lock.Close() //nolint:errcheck // nothing was written that counts
		return err
	}
	return nil
}

// recover finds out what is there and where everybody stands.
func (s *Spool) recover() error {
	found, err := survey(s.cfg.Dir, s.log)
	if err != nil {
		return err
	}
	if err := found.fill(s.dir); err != nil {
		return err
	}
	s.end, s.segments, s.forgot, s.rev = found.end, found.segments, found.forgot, found.rev
	s.synced = s.end.clone()
	s.adopt(found)
	if found.forgot {
		s.log.Error("the spool's cursors are unreadable, every sink begins with the oldest frame again", "kept", cursorsFile+".damaged")
	}
	s.dirty = true
	if err := s.save(); err != nil {
		// A full disk at the start is like one later on: appending tries again.
		s.log.Error("spool cannot write its cursors", "err", err)
	}
	if s.acks, err = openAcks(s.cfg.Dir); err != nil {
		s.fault(&s.faults.Saves, err)
		s.log.Error("spool cannot note acknowledgements at once, a crash repeats up to a second", "err", err)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.syncLast()
	if err := s.reopen(); err != nil {
		s.log.Error("spool cannot begin a segment, will try again", "err", err)
	}
	return nil
}

// syncLast syncs what the run before wrote last: if it died, that may be with
// the kernel only, and nobody else would ever sync it.
func (s *Spool) syncLast() {
	if len(s.segments) == 0 || s.cfg.Sync < 0 {
		return
	}
	f, err := s.files(segmentPath(s.dir, s.segments[len(s.segments)-1].index))
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		s.fault(&s.faults.Syncs, err)
		s.log.Error("spool could not sync what the last run left", "err", err)
	}
}

// adopt makes the cursors that were found. Each keeps the slot that it has in
// the file of acknowledgements: until a file of cursors is written, which a full
// disk may put off, what others have in theirs is all that tells their place.
func (s *Spool) adopt(found *surveyed) {
	for _, hasSlot := range []bool{true, false} {
		for name, saved := range found.cursors {
			a, ok := found.acks[name]
			if ok != hasSlot {
				continue
			}
			if !ok {
				a.at = s.freeSlot()
			}
			c := newCursor(s, name)
			c.slot = a.at
			c.restore(saved)
			s.cursors[name] = c
		}
	}
}

// Run syncs and saves until ctx ends. It returns nil then; Close does the rest.
func (s *Spool) Run(ctx context.Context) error {
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	every := time.Duration(s.cfg.Sync)
	if every <= 0 {
		every = saveEvery // nothing waits then, but for what a failure has left
	}
	sync := time.NewTicker(every)
	defer sync.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sync.C:
			s.commit() //nolint:errcheck // it counts and tells its errors, and is tried again
		case <-save.C:
			s.save() //nolint:errcheck // the same
		}
	}
}

// Close syncs, writes the cursors and gives everything back. Cursors answer
// ErrClosed from then on. What Close could not do is in its error.
func (s *Spool) Close() error {
	s.appending.Lock()
	defer s.appending.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.dirty = true
	for _, c := range s.cursors {
		c.rouse()
		c.reposition()
	}
	s.mu.Unlock()
	err := s.closing()
	if err != nil {
		return fmt.Errorf("spool %s: close: %w", s.cfg.Dir, err)
	}
	return nil
}
