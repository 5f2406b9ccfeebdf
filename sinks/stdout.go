package sinks

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// StdoutOptions are the keys of a sink of type stdout: it has none. Standard
// output gets the same frames as a file.
type StdoutOptions struct{}

// NewStdoutOptions gives the options.
func NewStdoutOptions() Options { return &StdoutOptions{} }

// Validate finds nothing: there is nothing to set.
func (o *StdoutOptions) Validate() error { return nil }

// Groups tells that there are no messages to group.
func (o *StdoutOptions) Groups() []Group { return []Group{GroupNone} }

// Unordered is "": a stream keeps every flow's order.
func (o *StdoutOptions) Unordered() string { return "" }

// New makes the sink. It does no I/O.
func (o *StdoutOptions) New(env Env) (Sink, error) {
	return &stdoutSink{env: env, fd: unix.Stdout}, nil
}

// stdoutSink writes frames to a descriptor that it does not own. A stream takes
// nothing back, so a frame that was cut short is finished by the next Write.
type stdoutSink struct {
	env  Env
	fd   int
	file *os.File
	buf  []byte
	cut  int // bytes of the next record's frame that are out already
}

// Open duplicates the descriptor: on 1 itself the Go runtime would end the
// process at the first write that nobody reads, before the books are told.
func (s *stdoutSink) Open(context.Context) error {
	if s.file != nil {
		return nil
	}
	fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return &Error{Class: Configuration, Err: fmt.Errorf("standard output: %w", err)}
	}
	s.file = os.NewFile(uintptr(fd), "standard output")
	return nil
}

// Write writes the batch. ErrReaderGone says that there is no use in any other.
func (s *stdoutSink) Write(_ context.Context, b *Batch) error {
	s.buf = s.buf[:0]
	for i := range b.Records {
		s.buf = appendFrame(s.buf, s.env.Format.Framing, b.Records[i].Value)
	}
	n, err := s.file.Write(s.buf[s.cut:])
	if err == nil {
		s.cut = 0
		return nil
	}
	out := int64(s.cut + n)
	for i := range b.Records {
		size := framedLen(s.env.Format.Framing, b.Records[i].Value)
		if out < size {
			break
		}
		out -= size
		b.Done(i)
	}
	s.cut = int(out)
	if errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("%w: %w", ErrReaderGone, err)
	}
	return err
}

// Close gives the duplicate back.
func (s *stdoutSink) Close(context.Context) error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.Close()
}
