package sinks

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The bounds of direct writing. Below the least it costs more than it saves.
// While a direct write waits for the disk, what comes behind it waits too; where
// that takes too long the page cache does the waiting, for a while.
const (
	directLeast    = 256 << 10
	directPatience = 10 * time.Millisecond  // with a write, on average over some eight
	directStall    = 100 * time.Millisecond // with any
	directRest     = time.Second            // the first time, then twice that, and so on
	directRestMax  = time.Minute
)

// direct writes whole pages past the page cache (O_DIRECT), for the live file. A
// page that goes through the cache costs more than a record's encoding where it
// is fresh, and pushes out what somebody may want to read; but only at a high
// rate are there enough of them at once. Pages are only ever appended, between
// plain writes that fill the file up to a page and go on behind them, so nothing
// is written twice and the file always ends where it was written last.
type direct struct {
	file    *os.File      // nil until the first direct write
	refused bool          // the live file's file system takes none
	average time.Duration // of the last writes' times
	rest    time.Duration
	until   time.Time // of the rest
}

// wanted reports whether so much is to be written directly now.
func (d *direct) wanted(bytes int, now time.Time) bool {
	return bytes >= directLeast && !d.refused && !now.Before(d.until)
}

// write appends pages and tells how many bytes of them are in the file. The file
// must end on a page. errRefused says that the rest may be written plainly.
func (d *direct) write(pages []byte) (n int, err error) {
	begun := time.Now()
	n, err = d.file.Write(pages)
	if n < len(pages) && refuses(err) {
		d.refuse()
		return n, errRefused
	}
	d.judge(time.Since(begun))
	return n, err
}

// judge rests for a while where the disk is slow, longer each time; a disk that
// is well within the patience is trusted anew.
func (d *direct) judge(took time.Duration) {
	d.average += (took - d.average) / 8
	switch {
	case took > directStall || d.average > directPatience:
		d.average = 0
		d.rest = min(max(2*d.rest, directRest), directRestMax)
		d.until = time.Now().Add(d.rest)
	case took <= directPatience/2 && d.average <= directPatience/2 && time.Since(d.until) > d.rest:
		d.rest = 0
	}
}

// errRefused says that a file cannot be written directly, or not there.
var errRefused = errors.New("no direct writes")

// refuses reports whether an error says that direct writes are not for this
// file, or not at this place: other errors would befall a plain write too.
func refuses(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}

// refuse gives direct writes up until the next file.
func (d *direct) refuse() {
	d.close()
	d.refused = true
}

// close forgets the file. Whether the disk is slow is not forgotten.
func (d *direct) close() {
	if d.file != nil {
		d.file.Close() // nothing is kept back that an error could tell of
		d.file = nil
	}
	d.refused = false
}

// openDirect opens the live file once more, for direct writes, if that is wanted
// and can be.
func (s *fileSink) openDirect(bytes int) bool {
	d := &s.direct
	if s.opt.Direct != DirectAuto || !d.wanted(bytes, time.Now()) {
		return false
	}
	if d.file != nil {
		return true
	}
	f, err := s.root.OpenFile(s.current(), os.O_WRONLY|os.O_APPEND|unix.O_DIRECT|unix.O_NONBLOCK, 0)
	if err != nil {
		d.refuse()
		return false
	}
	d.file = f
	if info, err := f.Stat(); err != nil || !os.SameFile(info, s.info) {
		d.refuse()
		return false
	}
	return true
}

// put appends what is staged to the live file and tells how much of it is there.
func (s *fileSink) put() (n int, err error) {
	head, pages, tail := s.stage.parts()
	s.ahead.want(s.file, s.size, s.stage.size(), int64(s.opt.Rotate.Size))
	if !s.openDirect(len(pages)) {
		return s.file.Write(s.stage.bytes())
	}
	if len(head) > 0 {
		if n, err = s.file.Write(head); err != nil {
			return n, err
		}
	}
	m, err := s.direct.write(pages)
	n += m
	switch {
	case errors.Is(err, errRefused):
		tail = s.stage.bytes()[n:]
	case err != nil:
		return n, err
	}
	if len(tail) == 0 {
		return n, nil
	}
	m, err = s.file.Write(tail)
	return n + m, err
}
