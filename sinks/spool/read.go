package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"sync"
	"time"
)

// reading is what only the goroutine that reads uses.
type reading struct {
	sync.Mutex // a second one waits, rather than spoil the first one's bytes
	frame      Frame
	unpack     decompressor
	segment    int  // that the reader has open
	skipped    bool // frames of the segment were passed over without knowing their counts
	reports    []report
}

// report is something damaged that the reader came upon.
type report struct {
	what    string
	err     error
	lost    Tally
	segment int
}

// place is what is to be read next.
type place struct {
	at      Tally
	jump    uint64
	segment int // index on disk
	reader  *segmentReader
	limit   uint64 // frames from here on stand in the next segment, or are not there yet
	last    bool   // there is no next segment
	base    Tally  // of the next segment
}

// Next gives the next frame and waits for one if there is none yet. The frame
// is the caller's until the next call. It fails when ctx ends, and as Poll does.
func (c *Cursor) Next(ctx context.Context) (*Frame, error) {
	for {
		f, err := c.Poll()
		if f != nil || err != nil {
			return f, err
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			return nil, fmt.Errorf("spool: cursor %q: %w", c.name, ctx.Err())
		}
	}
}

// Poll gives the next frame, or nil if there is none yet; it may read from the
// disk, but waits for nobody. The frame is the caller's until the next call.
// What cannot be read is passed over and counted in Losses. It fails with
// ErrClosed, ErrRemoved, ErrUnacknowledged, or when a segment cannot be opened
// although it is there; the last two pass.
func (c *Cursor) Poll() (*Frame, error) {
	c.in.Lock()
	defer c.in.Unlock()
	defer c.tell()
	for {
		p, err := c.where()
		if err == nil && p == nil {
			return nil, nil
		}
		if err == nil {
			err = c.open(p)
		}
		if err != nil {
			return nil, fmt.Errorf("spool: cursor %q: %w", c.name, err)
		}
		if f := c.step(p); f != nil {
			return f, nil
		}
	}
}

// where finds the place to read, nil if nothing is there.
func (c *Cursor) where() (*place, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	switch {
	case c.s.closed:
		c.in.unpack.close()
		return nil, ErrClosed
	case c.removed:
		c.in.unpack.close()
		return nil, ErrRemoved
	case c.given >= maxOutstanding:
		return nil, ErrUnacknowledged
	case c.read.Frames >= c.s.end.Frames:
		return nil, nil
	}
	if len(c.s.segments) == 0 {
		return nil, nil // what there was is gone, and nothing could be written since
	}
	i := find(c.s.segments, c.read.Frames)
	if i < 0 {
		i = 0
		c.leap(c.s.segments[0].base.of(c.name))
	}
	seg := &c.s.segments[i]
	p := &place{at: c.read, jump: c.jump, segment: seg.index, reader: c.reader, limit: c.s.end.Frames, last: i == len(c.s.segments)-1}
	if !p.last {
		p.base = c.s.segments[i+1].base.of(c.name)
		p.limit = p.base.Frames
	} else if seg.spent {
		return nil, nil // until there is a next one
	}
	return p, nil
}

// find gives the place of the segment that holds a frame: the last one that
// begins at or before it, because a later one has again what an earlier one
// might have lost. It answers -1 if the frame is older than all.
func find(segments []segment, frame uint64) int {
	return sort.Search(len(segments), func(i int) bool { return segments[i].base.Frames > frame }) - 1
}

// open makes sure that p.reader reads p.segment. A file that is gone, or not
// to be opened for a reason of its own, counts as damaged.
func (c *Cursor) open(p *place) error {
	if p.reader != nil && c.in.segment == p.segment {
		return nil
	}
	r, err := openSegment(segmentPath(c.s.dir, p.segment))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.jump != p.jump {
		if r != nil {
			r.close() //nolint:errcheck // it was only read
		}
		p.reader = nil
		return nil // step finds out the same
	}
	if c.reader != nil {
		c.reader.close() //nolint:errcheck // it was only read
	}
	c.reader, p.reader = r, r
	c.in.segment, c.in.skipped = p.segment, false
	return nil
}

// step reads one frame, or goes on to the next segment, or passes something
// over; in the latter cases it gives nil.
func (c *Cursor) step(p *place) *Frame {
	size, payload, err := c.fetch(p)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.jump != p.jump {
		return nil // what was read has been counted as dropped meanwhile
	}
	if size == 0 {
		c.leave(p)
		return nil
	}
	h := &p.reader.header
	c.pass(h.seq)
	if h.spares(c.name) {
		other := Tally{1, 0, uint64(size)}
		c.read = c.read.plus(other)
		c.lose(h.seq+1, other, true)
		return nil
	}
	f := c.take(h, payload)
	n, _ := f.Want(c.name) // a frame written before the sink was known counts nothing
	tally := Tally{1, n, uint64(size)}
	c.read = c.read.plus(tally)
	if err != nil {
		c.damaged("a frame", err, tally)
		c.lose(h.seq+1, tally, false)
		return nil
	}
	c.outstanding = append(c.outstanding, stretch{end: h.seq + 1, tally: tally, written: h.written})
	c.given++
	return f
}

// fetch reads on to the place. A size of zero means that the segment has
// nothing more; an error with a size that this frame's payload is damaged.
func (c *Cursor) fetch(p *place) (size int, payload []byte, err error) {
	if p.reader == nil {
		return 0, nil, nil
	}
	for {
		stored, size, err := p.reader.next()
		if err != nil {
			return 0, nil, err
		}
		h := &p.reader.header
		switch {
		case !h.batch() || h.seq < p.at.Frames:
		case h.seq >= p.limit:
			return 0, nil, nil
		case h.spares(c.name):
			return size, nil, nil
		default:
			payload, err = c.in.unpack.payload(h, stored)
			return size, payload, err
		}
	}
}

// take makes the frame that the caller is given.
func (c *Cursor) take(h *header, payload []byte) *Frame {
	f := &c.in.frame
	f.Seq, f.Records, f.First, f.Last = h.seq, h.records, h.first, h.last
	f.Written, f.Payload = time.Unix(0, h.written), payload
	f.Counts, f.Chosen = append(f.Counts[:0], h.counts...), h.kind == kindChosen
	return f
}

// pass counts frames that are missing before one in the same segment. How
// many records they had is known at the segment's end.
func (c *Cursor) pass(seq uint64) {
	if seq == c.read.Frames {
		return
	}
	missing := Tally{Frames: seq - c.read.Frames}
	c.in.skipped = true
	c.read.Frames = seq
	c.damaged("frames between others", nil, missing)
	c.lose(seq, missing, false)
}

// leave goes from a segment that has nothing more to the next one, and counts
// what lies between.
func (c *Cursor) leave(p *place) {
	if p.last {
		// Frames were promised here. Only a next segment can tell what is lost.
		c.s.segments[len(c.s.segments)-1].spent = true
		c.damaged("the segment under way, reading goes on with the next", nil, Tally{})
		return
	}
	c.leap(p.base)
}

// leap goes to the base of a segment, and counts what lies between.
func (c *Cursor) leap(base Tally) {
	missing := base.less(c.read)
	whole := missing.Frames == 0 && !c.in.skipped
	if !whole {
		c.damaged("a segment's end", nil, missing)
	}
	c.read = base
	c.in.skipped = false
	c.lose(base.Frames, missing, whole)
}

// damaged counts a damaged place, to be told when no lock is held.
func (c *Cursor) damaged(what string, err error, lost Tally) {
	c.s.faults.Segments++
	c.in.reports = append(c.in.reports, report{what, err, lost, c.in.segment})
}

// tell logs what was found damaged.
func (c *Cursor) tell() {
	for _, r := range c.in.reports {
		c.s.log.Error("spool: damaged on disk", "what", r.what, "sink", c.name,
			"segment", segmentPath(c.s.dir, r.segment), "frames", r.lost.Frames, "records", r.lost.Records, "err", r.err)
	}
	c.in.reports = c.in.reports[:0]
}
