package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

const (
	segmentsDir = "segments"
	maxHole     = 1000 // segments that may be missing in a row
)

// surveyed is what a spool's directory says, as far as it can be read.
type surveyed struct {
	segments []segment
	end      totals
	cursors  map[string]savedCursor
	acks     map[string]slot
	forgot   bool   // the file of cursors is damaged
	rev      uint64 // the highest revision of that file and of the acknowledgements
}

// survey reads the checkpoint of each segment and all headers of the last one.
// It changes nothing but the name of a damaged file of cursors, if log is given.
func survey(dir string, log *slog.Logger) (*surveyed, error) {
	found := &surveyed{}
	saved, err := readState(dir)
	if err != nil {
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			return nil, err
		}
		found.forgot = true
		if log != nil {
			log.Error("spool's cursors are damaged", "err", err)
			path := filepath.Join(dir, cursorsFile)
			if err := os.Rename(path, path+".damaged"); err != nil {
				return nil, err
			}
		}
	}
	if found.acks, found.rev, err = readAcks(dir); err != nil {
		return nil, err
	}
	if found.segments, err = listSegments(filepath.Join(dir, segmentsDir)); err != nil {
		return nil, err
	}
	found.end = totals{Counts: map[string]uint64{}}
	if saved != nil {
		saved.renew(found.acks)
		found.rev = max(found.rev, saved.Rev)
		found.cursors = saved.Cursors
		found.end = saved.End.clone()
	}
	found.measure(filepath.Join(dir, segmentsDir))
	stored := found.end.Frames
	for name, c := range found.cursors {
		if c.Next > stored {
			found.end.cover(name, &c)
		}
	}
	return found, nil
}

// listSegments gives the segments with their sizes, and nothing else yet.
func listSegments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	var segments []segment
	for _, e := range entries {
		index, err := strconv.Atoi(e.Name())
		if err != nil || filepath.Base(segmentPath(dir, index)) != e.Name() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // whoever writes has deleted it meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("list segments: %w", err)
		}
		segments = append(segments, segment{index: index, size: info.Size()})
	}
	slices.SortFunc(segments, func(a, b segment) int { return a.index - b.index })
	return segments, nil
}

// measure finds every segment's base and the end. A segment whose checkpoint
// cannot be read counts as empty: what it held is then missing between its
// neighbours, and counted.
func (found *surveyed) measure(dir string) {
	readable := make([]bool, len(found.segments))
	last := -1
	for i := range found.segments {
		base, ok := readBase(segmentPath(dir, found.segments[i].index))
		if ok {
			found.segments[i].base, readable[i], last = base, true, i
		}
	}
	if last >= 0 {
		if end := readEnd(segmentPath(dir, found.segments[last].index), found.segments[last].base); end.Frames >= found.end.Frames {
			found.end = end
		}
	}
	next := found.end
	for i := len(found.segments) - 1; i >= 0; i-- {
		if !readable[i] {
			found.segments[i].base, found.segments[i].unreadable = next.clone(), true
		}
		next = found.segments[i].base
	}
}

// readBase reads a segment's checkpoint, which is its first frame.
func readBase(path string) (totals, bool) {
	r, err := openSegment(path)
	if err != nil {
		return totals{}, false
	}
	defer r.close()
	if _, _, err := r.next(); err != nil || r.header.kind != kindCheckpoint {
		return totals{}, false
	}
	return totalsOf(&r.header), true
}

// readEnd adds up a segment's frames until the first that cannot be read.
func readEnd(path string, base totals) totals {
	end := base.clone()
	r, err := openSegment(path)
	if err != nil {
		return end
	}
	defer r.close()
	for {
		_, size, err := r.next()
		if err != nil {
			return end
		}
		if r.header.batch() && r.header.seq >= end.Frames {
			end.add(&r.header, size)
		}
	}
}

// fill puts empty segments where some are missing, because the log library
// wants an unbroken row. What was in them is counted like damage.
func (found *surveyed) fill(dir string) error {
	for i := 1; i < len(found.segments); i++ {
		before, after := found.segments[i-1], found.segments[i]
		missing := after.index - before.index - 1
		if missing > maxHole {
			return fmt.Errorf("%s: %d segments are missing before %s: one that does not belong here?",
				dir, missing, segmentPath(dir, after.index))
		}
		for n := range missing {
			if err := writeSynced(segmentPath(dir, before.index+1+n), nil); err != nil {
				return fmt.Errorf("replace a missing segment: %w", err)
			}
			hole := segment{index: before.index + 1 + n, base: after.base.clone()}
			found.segments = slices.Insert(found.segments, i+n, hole)
		}
		i += missing
	}
	return nil
}
