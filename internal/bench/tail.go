package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// tailEvery is how often the reader looks for more; a latency is at most so much too long.
const tailEvery = 200 * time.Microsecond

// tail reads a file that grows and notes how old each record of an event is when it can be
// read. It is to be read only after stop.
type tail struct {
	latencies []time.Duration
	cancel    context.CancelFunc
	done      chan struct{}
	err       error
}

// startTail begins to read; the file need not exist yet.
func startTail(ctx context.Context, path string, events int) *tail {
	ctx, cancel := context.WithCancel(ctx)
	t := &tail{latencies: make([]time.Duration, 0, events), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		t.err = t.follow(ctx, path)
	}()
	return t
}

// stop ends it, when what is there by now has been read.
func (t *tail) stop() error {
	t.cancel()
	<-t.done
	return t.err
}

// follow reads to the end, again and again, until ctx is done, and then once more. Its
// thread goes before all others on its CPU, or the generator would delay what is measured;
// where that is refused it goes without.
func (t *tail) follow(ctx context.Context, path string) error {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0)
	var f *os.File
	defer func() { f.Close() }()
	buf, kept := make([]byte, 1<<20), 0
	for {
		last := ctx.Err() != nil
		if f == nil {
			var err error
			if f, err = os.Open(path); err != nil && (last || !errors.Is(err, fs.ErrNotExist)) {
				return err
			}
		}
		n, err := f.Read(buf[kept:])
		now := time.Now()
		if n > 0 {
			rest, err := t.note(buf[:kept+n], now)
			if err != nil {
				return err
			}
			kept = copy(buf, rest)
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) && f != nil {
			return err
		}
		if last {
			return nil
		}
		time.Sleep(tailEvery)
	}
}

// note takes the whole lines of text, read at a time, and gives what is left.
func (t *tail) note(text []byte, now time.Time) (rest []byte, err error) {
	for {
		line, after, whole := bytes.Cut(text, []byte{'\n'})
		if !whole {
			return text, nil
		}
		text = after
		at, kernel, err := kernelTime(line)
		if err != nil {
			return nil, err
		}
		if kernel {
			t.latencies = append(t.latencies, now.Sub(at))
		}
	}
}

// kernelTime finds the time in a line of JSON, and whether the kernel set it.
func kernelTime(line []byte) (at time.Time, kernel bool, err error) {
	if !bytes.Contains(line, []byte(`"time_source":"kernel"`)) {
		return at, false, nil
	}
	_, rest, found := bytes.Cut(line, []byte(`"time":"`))
	text, _, closed := bytes.Cut(rest, []byte{'"'})
	if !found || !closed {
		return at, false, fmt.Errorf("record without a time: %.120q", line)
	}
	at, err = time.Parse(time.RFC3339Nano, string(text))
	return at, true, err
}
