package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"time"
)

// Frame is one batch of records with what must be known of it without reading
// them.
type Frame struct {
	Seq     uint64    // the frame's own number; Append assigns it
	Records uint32    // how many records Payload holds
	First   uint64    // the sequence number of the first record
	Last    uint64    // and of the last
	Written time.Time // Append sets it
	Counts  []Count   // how many of the records each sink wants; a sink that wants none need not be named
	Chosen  bool      // the frame is for the sinks in Counts alone: no other cursor gives it
	Payload []byte
}

// Count is how many of a frame's records a sink wants.
type Count struct {
	Sink string
	N    uint64
}

// Want gives the count of a sink. known is false if it stood in no Count, which
// is so for a sink that was added later.
func (f *Frame) Want(sink string) (n uint64, known bool) {
	for i := range f.Counts {
		if f.Counts[i].Sink == sink {
			return f.Counts[i].N, true
		}
	}
	return 0, false
}

// A stored frame, all numbers little endian:
//
//	 0  4  magic "ctf1"
//	 4  1  format version, 1
//	 5  1  kind: 1 batch, 2 checkpoint, 3 batch for those alone that the counts name
//	 6  1  codec of the payload: 0 none, 1 zstd
//	 7  1  number of counts less one, if any; else 0
//	 8  4  bytes of the header, counts included
//	12  4  CRC-32C of the header with this field as zero
//	16  4  CRC-32C of the payload before compression
//	20  4  bytes of the payload before compression
//	24  4  bytes of the payload as it stands here
//	28  4  records
//	32  8  frame number; a checkpoint's: of the next batch
//	40  8  first record; a checkpoint's: bytes of all stored batches before it
//	48  8  last record; a checkpoint's: records of all batches before it
//	56  8  written, ns since the epoch
//	64     counts: length of name (1), name, count (8), as often as there are
//	       the payload
//
// A checkpoint's counts are those of all batches before it, added up.
const (
	frameMagic   = "ctf1"
	frameVersion = 1
	fixedHeader  = 64

	kindBatch      = 1
	kindCheckpoint = 2
	kindChosen     = 3

	codecNone = 0
	codecZstd = 1
)

// header is a stored frame's header.
type header struct {
	kind    uint8
	codec   uint8
	records uint32
	seq     uint64
	first   uint64
	last    uint64
	written int64
	crc     uint32 // of the payload before compression
	raw     uint32 // the payload's length before compression
	stored  uint32 // and as it is stored
	counts  []Count
}

// batch reports whether it is a frame of records, and not a checkpoint.
func (h *header) batch() bool { return h.kind == kindBatch || h.kind == kindChosen }

// spares reports whether the frame is none of a sink's business.
func (h *header) spares(sink string) bool {
	return h.kind == kindChosen && !slices.ContainsFunc(h.counts, func(c Count) bool { return c.Sink == sink })
}

// castagnoli is the polynomial of CRC-32C, which processors compute themselves.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// appendHeader appends h to dst.
func appendHeader(dst []byte, h *header) []byte {
	start := len(dst)
	dst = append(dst, frameMagic...)
	dst = append(dst, frameVersion, h.kind, h.codec, uint8(max(len(h.counts), 1)-1))
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0) // length and CRC come when the rest is known
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, h.crc)
	dst = le.AppendUint32(dst, h.raw)
	dst = le.AppendUint32(dst, h.stored)
	dst = le.AppendUint32(dst, h.records)
	dst = le.AppendUint64(dst, h.seq)
	dst = le.AppendUint64(dst, h.first)
	dst = le.AppendUint64(dst, h.last)
	dst = le.AppendUint64(dst, uint64(h.written))
	for i := range h.counts {
		dst = append(dst, uint8(len(h.counts[i].Sink)))
		dst = append(dst, h.counts[i].Sink...)
		dst = le.AppendUint64(dst, h.counts[i].N)
	}
	le.PutUint32(dst[start+8:], uint32(len(dst)-start))
	le.PutUint32(dst[start+12:], crc32.Checksum(dst[start:], castagnoli()))
	return dst
}

// decodeHeader reads the header at the start of b into h, whose counts are used
// again, and gives what follows it: exactly the stored payload. b is not changed.
func decodeHeader(b []byte, h *header) (payload []byte, err error) {
	le := binary.LittleEndian
	if len(b) < fixedHeader || string(b[:4]) != frameMagic {
		return nil, damage("no frame")
	}
	if b[4] != frameVersion {
		return nil, damage(fmt.Sprintf("frame of version %d: this program reads %d", b[4], frameVersion))
	}
	size := int64(le.Uint32(b[8:]))
	if size < fixedHeader || size > int64(len(b)) {
		return nil, damage("frame header of a wrong length")
	}
	if headerSum(b[:size]) != le.Uint32(b[12:]) {
		return nil, damage("frame header fails its CRC")
	}
	*h = header{
		kind: b[5], codec: b[6],
		crc: le.Uint32(b[16:]), raw: le.Uint32(b[20:]), stored: le.Uint32(b[24:]), records: le.Uint32(b[28:]),
		seq: le.Uint64(b[32:]), first: le.Uint64(b[40:]), last: le.Uint64(b[48:]), written: int64(le.Uint64(b[56:])),
		counts: h.counts[:0],
	}
	if err := h.decodeCounts(b[fixedHeader:size], b[7]); err != nil {
		return nil, err
	}
	if !h.batch() && h.kind != kindCheckpoint || h.codec > codecZstd || h.raw > MaxPayload || int64(h.stored) != int64(len(b))-size {
		return nil, damage("frame header with values that cannot be")
	}
	return b[size:], nil
}

// headerSum is the CRC of a header with its own CRC field as zero.
func headerSum(b []byte) uint32 {
	sum := crc32.Update(0, castagnoli(), b[:12])
	sum = crc32.Update(sum, castagnoli(), []byte{0, 0, 0, 0})
	return crc32.Update(sum, castagnoli(), b[16:])
}

// decodeCounts reads the counts, which are all of b; less is their number less one.
func (h *header) decodeCounts(b []byte, less uint8) error {
	for len(b) > 0 {
		n := 1 + int(b[0])
		if n < 2 || n > 1+MaxName || len(b) < n+8 {
			return damage("frame header with a count cut short")
		}
		var c Count
		if k := len(h.counts); k < cap(h.counts) {
			c.Sink = h.counts[:k+1][k].Sink // most frames name the same sinks
		}
		if c.Sink != string(b[1:n]) {
			c.Sink = string(b[1:n])
		}
		c.N = binary.LittleEndian.Uint64(b[n:])
		h.counts = append(h.counts, c)
		b = b[n+8:]
	}
	if max(len(h.counts), 1)-1 != int(less) {
		return damage("frame header with a wrong number of counts")
	}
	return nil
}

func (f *Frame) kind() uint8 {
	if f.Chosen {
		return kindChosen
	}
	return kindBatch
}

// check reports why f cannot be stored in a segment of the given size.
func (f *Frame) check(segment int64) error {
	if limit := min(MaxPayload, segment/2); int64(len(f.Payload)) > limit {
		return &FrameError{"Payload", fmt.Sprintf("%d bytes: expected at most %d", len(f.Payload), limit)}
	}
	if len(f.Counts) > MaxCursors {
		return &FrameError{"Counts", fmt.Sprintf("%d sinks: expected at most %d", len(f.Counts), MaxCursors)}
	}
	for i := range f.Counts {
		if err := checkName(f.Counts[i].Sink); err != nil {
			return &FrameError{"Counts", err.Error()}
		}
		if n := f.Counts[i].N; n > uint64(f.Records) {
			return &FrameError{"Counts", fmt.Sprintf("%q wants %d of %d records", f.Counts[i].Sink, n, f.Records)}
		}
	}
	return nil
}

// checkName reports why a cursor cannot have this name.
func checkName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("the name %q has %d bytes: expected 1 to %d", name, len(name), MaxName)
	}
	return nil
}
