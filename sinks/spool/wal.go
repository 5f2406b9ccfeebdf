package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
)

// This file is all that knows the write-ahead log library,
// Prometheus' tsdb/wlog. What it does: files, their names, pages of 32 KiB with
// a CRC for each piece of a record, and reading behind a live writer. What it
// is not used for: compression (a header must be readable without it), Repair
// (it deletes every segment behind a damaged place), and syncing (the error of
// the sync at a rotation only goes to its log).

const (
	walPage   = 32 << 10 // segments are a multiple of it
	walPerHit = 14       // bytes that a page costs at most: a piece's header, and a rest too short for one
)

// wal writes one segment after the other. It is not safe for concurrent use,
// but sync of its syncer may overlap with write.
type wal struct {
	log   *wlog.WL
	dir   string
	index int   // of the segment that is written
	size  int64 // bytes it has at most
	limit int64 // bytes a segment may have
	end   int64 // bytes up to the end of the record that was written last
	last  int64 // and up to its beginning
	sync  syncer
	files fileOpener
}

// syncer is the open segment as something to sync: a descriptor of our own,
// so that an error is told to us, and the library's writes need no lock.
type syncer interface {
	Sync() error
	Stat() (os.FileInfo, error)
	Close() error
}

// fileOpener opens a segment for syncing. Tests give one that fails.
type fileOpener func(path string) (syncer, error)

func openSyncer(path string) (syncer, error) { return os.OpenFile(path, os.O_WRONLY, 0) }

// openWAL begins a new segment behind those that are there.
func openWAL(dir string, limit int64, files fileOpener, log *slog.Logger) (*wal, error) {
	size := (limit + walPage - 1) / walPage * walPage
	w, err := wlog.NewSize(log, nil, dir, int(size), compression.None)
	if err != nil {
		return nil, fmt.Errorf("begin a segment: %w", err)
	}
	l := &wal{log: w, dir: dir, limit: size, files: files}
	if err := l.begun(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return l, nil
}

// begun takes over the segment that the library has just made.
func (l *wal) begun() error {
	_, last, err := wlog.Segments(l.dir)
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	l.index, l.size, l.end, l.last = last, 0, 0, 0
	if l.sync, err = l.files(segmentPath(l.dir, last)); err != nil {
		return fmt.Errorf("open segment to sync: %w", err)
	}
	// A name that is not in its directory yet would not survive a power failure.
	if err := syncDir(l.dir); err != nil {
		return errors.Join(err, l.sync.Close())
	}
	return nil
}

// taken is how many bytes of a segment n bytes take at most.
func taken(n int) int64 { return int64(n) + walPerHit*(int64(n)/(walPage-walPerHit)+2) }

// fits reports whether n bytes have room in the segment. Only then may they be
// written: the library must not begin a segment by itself.
func (l *wal) fits(n int) bool { return l.size+taken(n) <= l.limit }

// write appends one record and hands it to the kernel. After an error the
// log's end is undefined: it must be closed, and nothing written to it.
func (l *wal) write(record []byte) error {
	l.size += taken(len(record))
	if err := l.log.Log(record); err != nil {
		return err
	}
	info, err := l.sync.Stat()
	if err != nil {
		return err
	}
	l.last, l.end = l.end, info.Size()
	return nil
}

// forget says that the record written last does not count: cut takes it too.
func (l *wal) forget() { l.end = l.last }

// cut takes from the segment what stands behind the last record that counts: part
// of one, or all of it, which the library may have written as late as at its close.
func (l *wal) cut() error {
	path := segmentPath(l.dir, l.index)
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() <= l.end {
		return nil
	}
	if err := os.Truncate(path, l.end); err != nil {
		return fmt.Errorf("cut off what was refused: %w", err)
	}
	return nil
}

// rotate begins the next segment. After an error the wal must be closed.
func (l *wal) rotate() error {
	if _, err := l.log.NextSegment(); err != nil {
		return fmt.Errorf("begin a segment: %w", err)
	}
	return errors.Join(l.sync.Close(), l.begun())
}

// close fails while the disk is full and something is left to write; it can be
// called again. The library syncs once more then, which is of no consequence.
func (l *wal) close() error {
	if l.sync != nil {
		l.sync.Close() //nolint:errcheck // nothing was written through it
		l.sync = nil
	}
	return l.log.Close()
}

// segmentPath names the file of a segment.
func segmentPath(dir string, index int) string { return wlog.SegmentName(dir, index) }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// segmentReader reads the frames of one segment, also while it is written.
type segmentReader struct {
	file   *os.File
	live   *wlog.LiveReader
	header header // of the frame that next gave
}

// openSegment opens a segment at its beginning.
func openSegment(path string) (*segmentReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	quiet := slog.New(slog.DiscardHandler) // it would tell of every damaged length
	return &segmentReader{file: f, live: wlog.NewLiveReader(quiet, wlog.NewLiveReaderMetrics(nil), f)}, nil
}

// next gives the next frame's stored payload, valid until the next call, and
// sets header. A frame whose own header is damaged is passed over. io.EOF means
// that no further frame is there now; any other error that none can be read.
func (r *segmentReader) next() (payload []byte, size int, err error) {
	for r.live.Next() {
		record := r.live.Record()
		if payload, err := decodeHeader(record, &r.header); err == nil {
			return payload, len(record), nil
		}
	}
	if err := r.live.Err(); err != nil {
		return nil, 0, err
	}
	return nil, 0, io.EOF
}

func (r *segmentReader) close() error { return r.file.Close() }
