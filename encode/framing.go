package encode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
)

// AppendFramed appends one record with its framing to dst.
func AppendFramed(dst []byte, f Framing, value []byte) []byte {
	if f == Lines {
		return append(append(dst, value...), '\n')
	}
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}

// AppendGroup appends one message that holds all of values: lines parted by a
// newline, or a ctferry.v1.RecordBatch.
func AppendGroup(dst []byte, f Framing, values iter.Seq[[]byte]) []byte {
	first := true
	for value := range values {
		switch {
		case f == Delimited:
			dst = binary.AppendUvarint(append(dst, recordsTag), uint64(len(value)))
		case !first:
			dst = append(dst, '\n')
		}
		dst = append(dst, value...)
		first = false
	}
	return dst
}

// recordsTag is the tag of RecordBatch.records: field 1, length-delimited.
const recordsTag = 1<<3 | 2

// SplitGroup gives the records of a message that AppendGroup made. They are
// parts of message. After an error, which names the offset, nothing follows.
func SplitGroup(f Framing, message []byte) iter.Seq2[[]byte, error] {
	if f == Lines {
		return func(yield func([]byte, error) bool) {
			for line := range bytes.Lines(message) {
				if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 && !yield(line, nil) {
					return
				}
			}
		}
	}
	return func(yield func([]byte, error) bool) {
		for at := 0; at < len(message); {
			value, n, err := cutField(message[at:])
			if err != nil {
				yield(nil, fmt.Errorf("record batch: offset %d: %w", at, err))
				return
			}
			if !yield(value, nil) {
				return
			}
			at += n
		}
	}
}

// cutField reads one record of a RecordBatch and tells where it ends.
func cutField(b []byte) (value []byte, n int, err error) {
	if b[0] != recordsTag {
		return nil, 0, fmt.Errorf("tag is %#x, want %#x", b[0], recordsTag)
	}
	size, m := binary.Uvarint(b[1:])
	switch {
	case m <= 0:
		return nil, 0, errors.New("the length is no varint")
	case size > uint64(len(b)-1-m):
		return nil, 0, fmt.Errorf("the record has %d bytes and %d are left", size, len(b)-1-m)
	}
	end := 1 + m + int(size)
	return b[1+m : end], end, nil
}

// TornError tells that a file ends within a record: its writer died, or is
// still writing.
type TornError struct {
	Offset int64 // where the record begins, in bytes from where the reader began
	Bytes  int   // how much of it is there
}

func (e *TornError) Error() string {
	return fmt.Sprintf("offset %d: the last record is torn, %d bytes of it are there", e.Offset, e.Bytes)
}

// RecordReader reads framed records from a file, one after the other.
type RecordReader struct {
	r       io.Reader
	framing Framing
	buf     []byte // buf[at:end] is read and not yet given out
	at, end int
	seen    int   // bytes behind at that are known to hold no newline
	offset  int64 // of buf[at]
	pending error // came with the last bytes read
	err     error // final
}

// Records makes a reader of the records in r. It holds at most one record,
// MaxRecord bytes, and what r gave beyond it.
func Records(r io.Reader, f Framing) *RecordReader {
	return &RecordReader{r: r, framing: f, buf: make([]byte, 64<<10)}
}

// Offset is where the next record begins, in bytes from where the reader began.
func (r *RecordReader) Offset() int64 { return r.offset }

// Next gives the next record without its framing; it is valid until the next
// call. Empty lines are passed over. At the end it returns io.EOF, or a
// *TornError where that stands within a record; a further call then goes on
// where the file ended, should it have grown. Every other error is final and
// names the offset.
func (r *RecordReader) Next() ([]byte, error) {
	for r.err == nil {
		value, n, err := r.cut(r.buf[r.at:r.end])
		if err != nil {
			r.err = fmt.Errorf("offset %d: %w", r.offset, err)
			break
		}
		if n > 0 {
			r.at += n
			r.offset += int64(n)
			r.seen = 0
			if len(value) > 0 || r.framing == Delimited {
				return value, nil
			}
			continue
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	return nil, r.err
}

// cut takes one framed record from b; n is 0 when it is not all there.
func (r *RecordReader) cut(b []byte) (value []byte, n int, err error) {
	if r.framing == Lines {
		i := bytes.IndexByte(b[r.seen:], '\n')
		switch {
		case i >= 0 && r.seen+i <= MaxRecord:
			n = r.seen + i
			return bytes.TrimSuffix(b[:n], []byte{'\r'}), n + 1, nil
		case i >= 0 || len(b) > MaxRecord:
			return nil, 0, fmt.Errorf("the line is longer than %d bytes", MaxRecord)
		}
		r.seen = len(b)
		return nil, 0, nil
	}
	size, m := binary.Uvarint(b)
	switch {
	case m < 0:
		return nil, 0, errors.New("the length is no varint")
	case m == 0:
		return nil, 0, nil
	case size > MaxRecord:
		return nil, 0, fmt.Errorf("the record has %d bytes, at most %d are read", size, MaxRecord)
	case size > uint64(len(b)-m):
		return nil, 0, nil
	}
	n = m + int(size)
	return b[m:n], n, nil
}

// fill reads more; it makes room first, which invalidates what Next gave.
func (r *RecordReader) fill() error {
	if r.at > 0 {
		copy(r.buf, r.buf[r.at:r.end])
		r.at, r.end = 0, r.end-r.at
	}
	if r.end == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	const tries = 100 // as bufio: a reader that gives nothing and no error is broken
	for range tries {
		n, err := 0, r.pending
		if err == nil {
			n, err = r.r.Read(r.buf[r.end:])
		}
		r.pending = nil
		r.end += n
		switch {
		case n > 0:
			r.pending = err
			return nil
		case err == io.EOF && r.end > 0:
			return &TornError{Offset: r.offset, Bytes: r.end}
		case err != nil:
			if err != io.EOF {
				err = fmt.Errorf("offset %d: %w", r.offset, err)
			}
			return err
		}
	}
	return fmt.Errorf("offset %d: %w", r.offset, io.ErrNoProgress)
}
