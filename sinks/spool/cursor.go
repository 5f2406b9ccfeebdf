package spool

import (
	"fmt"
	"sort"
	"time"
)

// Start says where a cursor begins that is new.
type Start uint8

// The places to begin.
const (
	Now    Start = iota // with the next frame that is appended
	Oldest              // with the oldest frame that is still there
)

// Cursor is one sink's place in a spool. One goroutine reads; the other
// methods may be called from any.
type Cursor struct {
	s    *Spool
	name string
	wake chan struct{}
	in   reading // the reading goroutine's own

	// Guarded by the spool's mu.
	removed     bool
	jump        uint64 // grows whenever read moves without the reading goroutine
	reader      *segmentReader
	read        Tally // the place of the next frame to give
	next        uint64
	accounted   Tally // acknowledged or lost; see savedCursor
	outstanding []stretch
	given       int // frames among outstanding
	losses      Losses
	told        Told
	slot        int   // in the file of acknowledgements
	written     int64 // of the last frame that was acknowledged
}

// stretch is a frame that was given and not acknowledged, or a loss that
// stands behind such frames and counts when they are done.
type stretch struct {
	end     uint64 // the frame behind it
	tally   Tally
	written int64
	lost    bool
	quiet   bool // with lost: a correction, or a frame that is for others; nothing was lost
}

// Losses is what a cursor never gave, since there is this cursor.
type Losses struct {
	Dropped Tally `json:"dropped"` // by Max or MinFree
	Damaged Tally `json:"damaged"` // could not be read
	Refused Tally `json:"refused"` // Append could not store it; Bytes are before compression
}

// Told is how many of the lost records the sink has been told of.
type Told struct {
	Dropped uint64 `json:"dropped"`
	Damaged uint64 `json:"damaged"`
	Refused uint64 `json:"refused"`
}

// records is how many records were lost.
func (l *Losses) records() Told {
	return Told{l.Dropped.Records, l.Damaged.Records, l.Refused.Records}
}

// less gives t without o, never below zero.
func (t Told) less(o Told) Told {
	return Told{t.Dropped - min(t.Dropped, o.Dropped), t.Damaged - min(t.Damaged, o.Damaged), t.Refused - min(t.Refused, o.Refused)}
}

// plus gives both together.
func (t Told) plus(o Told) Told {
	return Told{t.Dropped + o.Dropped, t.Damaged + o.Damaged, t.Refused + o.Refused}
}

// IsZero reports whether nothing was counted.
func (t Told) IsZero() bool { return t == Told{} }

// Lag is how much a cursor has not acknowledged.
type Lag struct {
	Tally
	Oldest time.Time // when the oldest of it was written, or somewhat before; zero if there is none
}

func newCursor(s *Spool, name string) *Cursor {
	return &Cursor{s: s, name: name, wake: make(chan struct{}, 1)}
}

// Cursor gives the cursor of a sink, at the oldest frame that it has not
// acknowledged: also one that is known already, so that whoever takes over a
// cursor is given again what the one before was given in vain. A cursor that is
// new begins as start says, or with the oldest frame if the file of cursors was
// damaged, since nobody knows then who is new. Its first place is on disk when
// Cursor returns.
func (s *Spool) Cursor(name string, start Start) (*Cursor, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("spool: cursor: %w", err)
	}
	c, err := s.cursor(name, start)
	if err != nil {
		return nil, fmt.Errorf("spool: cursor %q: %w", name, err)
	}
	s.save() //nolint:errcheck // it counts and tells its errors; without a place it begins anew after a crash
	return c, nil
}

func (s *Spool) cursor(name string, start Start) (*Cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	s.dirty = true
	if c := s.cursors[name]; c != nil {
		c.restore(c.saved())
		return c, nil
	}
	if len(s.cursors) >= MaxCursors {
		return nil, fmt.Errorf("there are %d already, expected no more", len(s.cursors))
	}
	c := newCursor(s, name)
	c.slot = s.freeSlot()
	place := &s.end
	if (start == Oldest || s.forgot) && len(s.segments) > 0 {
		place = &s.segments[0].base
	} else {
		c.written = time.Now().UnixNano() // nothing that it will be given is older
	}
	c.read = place.of(name)
	c.next, c.accounted = c.read.Frames, c.read
	s.cursors[name] = c
	return c, nil
}

// Remove forgets a sink's cursor. What only this sink had not read will be
// deleted. A sink that is not known is no error.
func (s *Spool) Remove(name string) error {
	s.mu.Lock()
	if c := s.cursors[name]; c != nil {
		c.removed = true
		c.reposition()
		c.rouse()
		delete(s.cursors, name)
		s.dirty = true
	}
	s.mu.Unlock()
	if err := s.save(); err != nil {
		return fmt.Errorf("spool: remove cursor %q: %w", name, err)
	}
	return nil
}

// Has reports whether there is a cursor of a name.
func (s *Spool) Has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursors[name] != nil
}

// Name is the sink's name.
func (c *Cursor) Name() string { return c.name }

// Wake is sent to when there may be something to read, or the cursor's end.
// It is never closed.
func (c *Cursor) Wake() <-chan struct{} { return c.wake }

func (c *Cursor) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Ack says that every frame up to and with the one of the given number has
// reached its place. The death of the process no longer undoes it when Ack
// returns, and a power failure after saveEvery.
func (c *Cursor) Ack(seq uint64) {
	c.acknowledge(seq)
	c.note()
}

func (c *Cursor) acknowledge(seq uint64) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.removed {
		return
	}
	for len(c.outstanding) > 0 && !c.outstanding[0].lost && c.outstanding[0].end <= seq+1 {
		first := &c.outstanding[0]
		c.next, c.written = first.end, first.written
		c.accounted = c.accounted.plus(first.tally)
		c.given--
		c.pop()
		c.settle()
	}
	c.s.dirty = true
}

// Tell notes that the sink has been told of lost records, as many of them as
// Untold says at most; rest is what was more. It survives like Ack.
func (c *Cursor) Tell(n Told) (rest Told) {
	if n.IsZero() {
		return n
	}
	c.s.mu.Lock()
	before := c.told
	sum := before.plus(n)
	all := c.losses.records()
	c.told = Told{min(sum.Dropped, all.Dropped), min(sum.Damaged, all.Damaged), min(sum.Refused, all.Refused)}
	rest = n.less(c.told.less(before))
	c.s.dirty = true
	c.s.mu.Unlock()
	c.note()
	return rest
}

// Refuse counts records as refused that Append was not given, because it would
// have refused them. It survives like Ack, and takes no room on the disk.
func (c *Cursor) Refuse(records uint64) {
	c.s.mu.Lock()
	c.losses.Refused.Records += records
	c.s.dirty = true
	c.s.mu.Unlock()
	c.note()
}

// Untold is what was lost and the sink was not told of.
func (c *Cursor) Untold() Told {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.losses.records().less(c.told)
}

// Rewind goes back to the oldest frame that is not acknowledged and still there,
// and gives its number. What was given and is there no more counts as lost from
// now on; lost is how much of Losses that is.
func (c *Cursor) Rewind() (next uint64, lost Losses) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.removed || c.s.closed {
		return c.next, Losses{}
	}
	before := c.losses
	c.restore(c.saved())
	c.s.dirty = true
	return c.next, Losses{Dropped: c.losses.Dropped.less(before.Dropped), Damaged: c.losses.Damaged.less(before.Damaged)}
}

// settle enters the losses that no given frame stands before.
func (c *Cursor) settle() {
	for len(c.outstanding) > 0 && c.outstanding[0].lost {
		first := &c.outstanding[0]
		c.next = first.end
		c.accounted = c.accounted.plus(first.tally)
		if !first.quiet {
			c.losses.Damaged = c.losses.Damaged.plus(first.tally)
		}
		c.pop()
	}
	if len(c.outstanding) == 0 {
		c.next = c.read.Frames
	}
	c.s.dirty = true
}

// pop keeps the row in its place, so that it does not wander through memory.
func (c *Cursor) pop() {
	n := copy(c.outstanding, c.outstanding[1:])
	c.outstanding = c.outstanding[:n]
}

// lose enters a loss that the reader came upon, behind what has been given.
func (c *Cursor) lose(end uint64, lost Tally, quiet bool) {
	if n := len(c.outstanding); quiet && n > 0 && c.outstanding[n-1].quiet {
		last := &c.outstanding[n-1] // one entry, however much others have behind a frame that waits
		last.end, last.tally = end, last.tally.plus(lost)
	} else if !lost.IsZero() {
		c.outstanding = append(c.outstanding, stretch{end: end, tally: lost, lost: true, quiet: quiet})
	}
	c.settle()
}

// drop moves the cursor to the base of the segment behind the one that goes,
// and counts what it has not read. What was given and not acknowledged is with
// the sink; should that be lost too, the next start counts it.
func (c *Cursor) drop(next *totals) (lost Tally) {
	to := next.of(c.name)
	if c.read.Frames >= to.Frames {
		return Tally{}
	}
	lost = to.less(c.read)
	c.losses.Dropped = c.losses.Dropped.plus(lost)
	c.accounted = c.accounted.plus(lost)
	c.read = to
	c.settle()
	c.reposition()
	c.rouse()
	return lost
}

// reposition has the reading goroutine look anew where it stands. Its file is
// closed at once: a deleted segment gives its room back only then.
func (c *Cursor) reposition() {
	c.jump++
	if c.reader != nil {
		c.reader.close() //nolint:errcheck // it was only read
		c.reader = nil
	}
}

// saved is what must survive of the cursor.
func (c *Cursor) saved() savedCursor {
	return savedCursor{Next: c.next, Accounted: c.accounted, Losses: c.losses, Told: c.told, Written: c.written}
}

// restore puts the cursor where saved says. What is no longer there is lost
// with the segments that the cap took, if it was not counted then.
func (c *Cursor) restore(saved savedCursor) {
	c.outstanding, c.given = c.outstanding[:0], 0
	c.next, c.accounted, c.losses, c.told, c.written = saved.Next, saved.Accounted, saved.Losses, saved.Told, saved.Written
	c.read = Tally{saved.Next, saved.Accounted.Records, saved.Accounted.Bytes}
	if i := saved.passedBy(c.s.segments); i >= 0 {
		base := c.s.segments[i].base.of(c.name)
		lost := base.less(c.accounted)
		if i == 0 && c.s.segments[0].unreadable {
			c.losses.Damaged = c.losses.Damaged.plus(lost)
		} else {
			c.losses.Dropped = c.losses.Dropped.plus(lost)
		}
		c.read, c.next, c.accounted = base, base.Frames, base
	}
	c.reposition()
	c.rouse()
}

// passedBy gives the segment that a cursor must begin with because the cap has
// taken those before it, or -1 if it stands where it says. More accounted than
// lies below Next means that the cap took frames behind some that were in
// flight. Their segment may still be there, or again after a power failure,
// which undoes a deletion: what was counted as dropped must not be given then.
func (saved *savedCursor) passedBy(segments []segment) int {
	if saved.Accounted.Frames > saved.Next {
		i := sort.Search(len(segments), func(i int) bool { return segments[i].base.Frames >= saved.Accounted.Frames })
		if i < len(segments) {
			return i
		}
	}
	if len(segments) > 0 && saved.Next < segments[0].base.Frames {
		return 0
	}
	return -1
}

// Losses is what the cursor never gave.
func (c *Cursor) Losses() Losses {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.losses
}

// Lag is what the cursor has not acknowledged.
func (c *Cursor) Lag() Lag {
	l, _ := c.State()
	return l
}

// State is Lag and Losses of the same moment.
func (c *Cursor) State() (Lag, Losses) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	saved := c.saved()
	return saved.lag(c.name, &c.s.end, c.s.segments, c.outstanding), c.losses
}

// lag is what stands between a cursor and the end.
func (saved *savedCursor) lag(name string, end *totals, segments []segment, outstanding []stretch) Lag {
	l := Lag{Tally: end.of(name).less(saved.Accounted)}
	if l.Frames == 0 {
		return l
	}
	oldest := saved.Written
	if i := find(segments, saved.Next); i >= 0 {
		oldest = max(oldest, segments[i].base.Written)
	}
	for i := range outstanding {
		if !outstanding[i].lost {
			oldest = outstanding[i].written
			break
		}
	}
	if oldest > 0 {
		l.Oldest = time.Unix(0, oldest)
	}
	return l
}
