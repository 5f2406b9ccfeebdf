package spool

import (
	"maps"
	"slices"
)

// Tally counts frames, the records in them that one sink wants, and the bytes
// of the frames as they are stored. Frames are numbered from 0, so the number
// of a frame is also the tally of frames before it.
type Tally struct {
	Frames  uint64 `json:"frames"`
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`
}

// less gives t without o, never below zero: totals come from a disk.
func (t Tally) less(o Tally) Tally {
	return Tally{t.Frames - min(t.Frames, o.Frames), t.Records - min(t.Records, o.Records), t.Bytes - min(t.Bytes, o.Bytes)}
}

// plus gives both together.
func (t Tally) plus(o Tally) Tally {
	return Tally{t.Frames + o.Frames, t.Records + o.Records, t.Bytes + o.Bytes}
}

// IsZero reports whether nothing was counted.
func (t Tally) IsZero() bool { return t == Tally{} }

// totals are what has been appended up to some place, for all sinks.
type totals struct {
	Frames  uint64            `json:"frames"`
	Records uint64            `json:"records"`
	Bytes   uint64            `json:"bytes"`
	Counts  map[string]uint64 `json:"counts"`  // records each sink wanted
	Written int64             `json:"written"` // when the last of it was appended, ns since the epoch
}

func (t *totals) clone() totals {
	c := *t
	c.Counts = maps.Clone(t.Counts)
	if c.Counts == nil {
		c.Counts = map[string]uint64{}
	}
	return c
}

// of gives the totals as one sink sees them.
func (t *totals) of(sink string) Tally {
	return Tally{Frames: t.Frames, Records: t.Counts[sink], Bytes: t.Bytes}
}

// add enters a batch whose stored size is given.
func (t *totals) add(h *header, size int) {
	t.Frames = h.seq + 1
	t.Records += uint64(h.records)
	t.Bytes += uint64(size)
	t.Written = h.written
	for i := range h.counts {
		t.Counts[h.counts[i].Sink] += h.counts[i].N
	}
}

// cover raises the totals to what a sink has acknowledged: a power failure may
// take the frames and leave that. No number may be used twice, nor may a sink
// have had more than there was, or what comes next would not count as waiting.
func (t *totals) cover(sink string, c *savedCursor) {
	t.Frames, t.Bytes = max(t.Frames, c.Next), max(t.Bytes, c.Accounted.Bytes)
	if _, ok := t.Counts[sink]; ok || len(t.Counts) < MaxCursors {
		t.Counts[sink] = max(t.Counts[sink], c.Accounted.Records)
	}
}

// admit makes sure that a sink has a place among the totals. If there are as
// many as may be, one without a cursor gives way of which the oldest segment
// says that no frame on disk counts it.
func (t *totals) admit(sink string, cursors map[string]*Cursor, oldest *totals) error {
	if _, ok := t.Counts[sink]; ok {
		return nil
	}
	if len(t.Counts) >= MaxCursors {
		maps.DeleteFunc(t.Counts, func(name string, n uint64) bool {
			return cursors[name] == nil && oldest.Counts[name] == n
		})
	}
	if len(t.Counts) >= MaxCursors {
		return &FrameError{"Counts", "more sinks have been named than a spool can tell apart"}
	}
	t.Counts[sink] = 0
	return nil
}

// checkpoint gives the totals as a header.
func (t *totals) checkpoint() header {
	h := header{kind: kindCheckpoint, seq: t.Frames, first: t.Bytes, last: t.Records, written: t.Written}
	for _, sink := range slices.Sorted(maps.Keys(t.Counts)) {
		h.counts = append(h.counts, Count{Sink: sink, N: t.Counts[sink]})
	}
	return h
}

// totalsOf is the inverse of checkpoint.
func totalsOf(h *header) totals {
	t := totals{Frames: h.seq, Bytes: h.first, Records: h.last, Written: h.written, Counts: make(map[string]uint64, len(h.counts))}
	for i := range h.counts {
		t.Counts[h.counts[i].Sink] = h.counts[i].N
	}
	return t
}
