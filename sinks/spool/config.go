package spool

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// The bounds of a configuration and of what it leads to.
const (
	MinSegmentSize = 256 << 10 // bytes
	MaxSegmentSize = 1 << 30   // bytes
	minSegments    = 4         // that Max must have room for
	maxSync        = time.Minute

	// MaxPayload is the most bytes a frame may carry, also less than half a segment.
	MaxPayload = 8 << 20
	// MaxCursors is how many cursors there may be, and how many sinks a frame may name.
	MaxCursors = 256
	// MaxName is the longest name of a cursor, in bytes.
	MaxName = 64

	maxOutstanding = 4096    // frames a cursor gives without an acknowledgement
	maxUnsynced    = 4 << 20 // bytes that are kept in memory until they are synced
	saveEvery      = time.Second
)

// Sync says when what was appended is forced to the disk.
type Sync time.Duration

// The two policies that are no interval. Any positive value is one.
const (
	SyncAlways Sync = 0  // before Append returns
	SyncNone   Sync = -1 // never; the kernel writes when it likes, and a full segment is synced
)

// UnmarshalText reads always, none, or a duration such as 200ms.
func (s *Sync) UnmarshalText(text []byte) error {
	switch string(text) {
	case "always":
		*s = SyncAlways
		return nil
	case "none":
		*s = SyncNone
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d <= 0 || d > maxSync {
		return fmt.Errorf("%q: expected always, none, or a duration up to %v", text, maxSync)
	}
	*s = Sync(d)
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (s Sync) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String gives the policy as it is configured.
func (s Sync) String() string {
	switch {
	case s == SyncAlways:
		return "always"
	case s < 0:
		return "none"
	}
	return time.Duration(s).String()
}

// Compression says how a frame's payload is stored.
type Compression string

// The compressions. A spool reads all of them, whatever it writes.
const (
	CompressNone Compression = "none"
	CompressZstd Compression = "zstd" // at its fastest level
)

// Config says where a spool is and what it may use.
type Config struct {
	Dir         string      // absolute; made if it is not there, readable by its owner only
	Max         int64       // bytes that all segments together may take
	MinFree     int64       // bytes that must stay free on the file system
	SegmentSize int64       // bytes; also how much is dropped, or lost by damage, at once
	Sync        Sync        // what a power failure may cost
	Compress    Compression // of what is appended from now on
}

// DefaultConfig gives the defaults, all but the directory.
func DefaultConfig() Config {
	return Config{
		Max:         10 << 30,
		MinFree:     1 << 30,
		SegmentSize: 16 << 20,
		Sync:        Sync(200 * time.Millisecond),
		Compress:    CompressZstd,
	}
}

// Validate reports every fault, each named by its field.
func (c *Config) Validate() error {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	if !filepath.IsAbs(c.Dir) {
		fault("dir", "%q: expected an absolute path", c.Dir)
	}
	if c.SegmentSize < MinSegmentSize || c.SegmentSize > MaxSegmentSize {
		fault("segment_size", "%d is out of range: expected %d to %d bytes", c.SegmentSize, MinSegmentSize, MaxSegmentSize)
	}
	if c.Max < minSegments*c.SegmentSize {
		fault("max", "%d is too small: expected at least %d segments of %d bytes", c.Max, minSegments, c.SegmentSize)
	}
	if c.MinFree < 0 {
		fault("min_free", "%d is negative", c.MinFree)
	}
	if c.Sync > Sync(maxSync) {
		fault("sync", "%v is too long: expected up to %v", c.Sync, maxSync)
	}
	if c.Compress != CompressNone && c.Compress != CompressZstd {
		fault("compress", "%q is not known: expected none or zstd", c.Compress)
	}
	return errors.Join(faults...)
}
