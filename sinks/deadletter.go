package sinks

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ctferry/ctferry/encode"
	"golang.org/x/sys/unix"
)

// deadLetters is the bounded file of records that can never be delivered, one
// JSON object a line (see deadLetter). It is opened when the first comes, and
// again when somebody has moved it away. One goroutine uses it.
type deadLetters struct {
	path        string
	max         int64
	sink        string
	contentType string
	file        *os.File
	torn        bool // it may end in the midst of a line, which could not be cut off
}

// deadLetter is one line of the file.
type deadLetter struct {
	Time        time.Time `json:"time"` // when it was given up
	Sink        string    `json:"sink"`
	Reason      string    `json:"reason"` // what the sink said
	EventType   string    `json:"event_type"`
	Run         string    `json:"run,omitempty"` // with seq the record's identity
	Seq         uint64    `json:"seq"`
	ContentType string    `json:"content_type"` // of value
	Value       []byte    `json:"value"`        // the record, unframed, in base64
}

func newDeadLetters(cfg DeadLetter, sink, contentType string) deadLetters {
	return deadLetters{path: cfg.Path, max: int64(cfg.Max), sink: sink, contentType: contentType}
}

// add writes a record. It answers why the record had to be dropped instead, or
// reasons if it was not; an error says what is wrong with the file.
func (d *deadLetters) add(rec *Record, cause error) (reason, error) {
	if d.path == "" {
		return dropPoison, nil
	}
	line, err := d.line(rec, cause)
	if err != nil {
		return dropDeadLetter, err
	}
	size, err := d.open()
	if err != nil {
		return dropDeadLetter, fmt.Errorf("dead letters: %w", err)
	}
	if d.torn {
		line = append([]byte{'\n'}, line...)
	}
	if size+int64(len(line)) > d.max {
		return dropDeadLetterFull, nil
	}
	if err := d.write(line, size); err != nil {
		return dropDeadLetter, fmt.Errorf("dead letters: %w", err)
	}
	return reasons, nil
}

// write appends to a file of the given size. Half a line must not stay, for what
// comes next would be joined to it; if it must, that gets a line of its own.
func (d *deadLetters) write(line []byte, size int64) error {
	n, err := d.file.Write(line)
	if err == nil {
		d.torn = false
		return nil
	}
	if n > 0 {
		undo := d.file.Truncate(size)
		d.torn = d.torn || undo != nil
		err = errors.Join(err, undo)
	}
	return err
}

func (d *deadLetters) line(rec *Record, cause error) ([]byte, error) {
	l := deadLetter{
		Time:        time.Now().UTC(),
		Sink:        d.sink,
		Reason:      cause.Error(),
		EventType:   rec.Type.String(),
		Seq:         rec.Seq,
		ContentType: d.contentType,
		Value:       rec.Value,
	}
	if rec.Origin != nil {
		l.Run = fmt.Sprintf("%x", rec.Origin.Run)
	}
	line, err := json.Marshal(l)
	return append(line, '\n'), err
}

// open makes sure that the file at the path is the open one, and tells its size.
func (d *deadLetters) open() (size int64, err error) {
	if d.file != nil {
		open, err := d.file.Stat()
		if err != nil {
			return 0, err
		}
		if there, err := os.Lstat(d.path); err == nil && os.SameFile(open, there) {
			return open.Size(), nil
		}
		if err := d.close(); err != nil {
			return 0, err
		}
	}
	f, err := os.OpenFile(d.path, os.O_CREATE|os.O_RDWR|os.O_APPEND|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return 0, err
	}
	// Others may add lines of theirs, but a file sink may not have it: see claim.
	if err := lock(f, d.path, unix.LOCK_SH); err != nil {
		return 0, errors.Join(err, f.Close())
	}
	size, err = heal(f, encode.Lines)
	if d.torn = err != nil; d.torn {
		// A file that may only be appended to (chattr +a), say: it is of use as it is.
		info, err := f.Stat()
		if err != nil {
			return 0, errors.Join(err, f.Close())
		}
		size = info.Size()
	}
	d.file = f
	return size, nil
}

func (d *deadLetters) close() error {
	if d.file == nil {
		return nil
	}
	f := d.file
	d.file = nil
	return f.Close()
}
