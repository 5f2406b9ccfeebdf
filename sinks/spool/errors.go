package spool

import (
	"errors"
	"fmt"
)

// The errors that a caller tells apart with errors.Is.
var (
	// ErrLocked: another process has the spool open.
	ErrLocked = errors.New("the spool is in use by another process")
	// ErrNoRoom: the disk is full, or less than Config.MinFree is free, and no
	// segment is left that could be dropped. The next Append tries again.
	ErrNoRoom = errors.New("no room on the disk")
	// ErrClosed: the spool has been closed.
	ErrClosed = errors.New("the spool is closed")
	// ErrRemoved: the cursor has been removed.
	ErrRemoved = errors.New("the cursor has been removed")
	// ErrUnacknowledged: a cursor was asked for more frames than may be out
	// without an acknowledgement (maxOutstanding).
	ErrUnacknowledged = errors.New("too many frames read and not acknowledged")
)

// FrameError is why a frame cannot be appended, whatever the disk's state.
type FrameError struct {
	Field string // the field of Frame that is wrong
	Text  string
}

func (e *FrameError) Error() string { return fmt.Sprintf("frame: %s: %s", e.Field, e.Text) }

// damage is why stored bytes are not what they should be.
type damage string

func (d damage) Error() string { return string(d) }
