package spool

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// FuzzHeader decodes what may be a frame. What is accepted encodes to the same bytes.
func FuzzHeader(f *testing.F) {
	c, err := newCompressor(CompressZstd)
	if err != nil {
		f.Fatal(err)
	}
	for i, counts := range [][]Count{nil, {{"a", 1}}, {{"archive", 1 << 40}, {"b", 0}, {"b", 7}}} {
		h := header{kind: uint8(1 + i%2), seq: 5, records: 3, first: 1, last: 9, written: 77, counts: counts}
		frame, _ := c.appendFrame(nil, nil, &h, bytes.Repeat([]byte("record"), 100*i))
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		was := bytes.Clone(b)
		// The fuzzer cannot guess a CRC; the frame with a right one must be safe as well.
		if len(b) >= fixedHeader && len(b) > int(b[8]) && b[9]|b[10]|b[11] == 0 && b[8] >= fixedHeader {
			sum := headerSum(b[:b[8]])
			b[12], b[13], b[14], b[15] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
			checkHeader(t, b)
		}
		checkHeader(t, was)
	})
}

func checkHeader(t *testing.T, b []byte) {
	h := header{counts: make([]Count, 0, 2)}
	stored, err := decodeHeader(b, &h)
	if err != nil {
		return
	}
	if again := append(appendHeader(nil, &h), stored...); !bytes.Equal(again, b) {
		t.Fatalf("%x\nencodes to\n%x", b, again)
	}
	var d decompressor
	defer d.close()
	if payload, err := d.payload(&h, stored); err == nil && len(payload) != int(h.raw) {
		t.Fatalf("%d bytes of %d", len(payload), h.raw)
	}
	if h.kind == kindCheckpoint {
		total := totalsOf(&h)
		total.checkpoint()
	}
}

// FuzzCursors decodes what may be a file of cursors. What is accepted encodes
// to something that decodes to the same.
func FuzzCursors(f *testing.F) {
	state := &savedState{Version: 1, End: totals{Frames: 7, Counts: map[string]uint64{"a": 3}},
		Cursors: map[string]savedCursor{"a": {Next: 3, Accounted: Tally{3, 2, 1}, Losses: Losses{Dropped: Tally{1, 1, 1}}, Written: 5}}}
	b, err := encodeState(state)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, true)
	f.Add([]byte("{}\n00000000\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if i := bytes.IndexByte(b, '\n'); mend && i > 0 {
			b = withSum(b[:i+1])
		}
		s, err := decodeState(b)
		if err != nil {
			return
		}
		again, err := encodeState(s)
		if err != nil {
			t.Fatal(err)
		}
		s2, err := decodeState(again)
		if err != nil || !reflect.DeepEqual(s, s2) && len(s.Cursors) > 0 {
			t.Fatalf("%+v\n%+v\n%v", s, s2, err)
		}
	})
}

// FuzzSegment reads a segment of any content. What it gives is whole, and its
// checkpoint and end are found without an endless loop or an error.
func FuzzSegment(f *testing.F) {
	cfg := small(f.TempDir())
	s := mustOpen(f, cfg)
	mustCursor(f, s, "a", Now)
	mustAppend(f, s, 0, 5, 40)
	s.Close()
	f.Add(bytes.TrimRight(mustRead(f, segmentsOf(f, cfg.Dir)[0]), "\x00"))
	dir := f.TempDir()
	if err := os.Mkdir(filepath.Join(dir, segmentsDir), 0o700); err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, segmentsDir, "00000007")
	f.Fuzz(func(t *testing.T, b []byte) {
		mustWrite(t, path, b)
		found, err := survey(dir, nil)
		if err != nil || len(found.segments) != 1 {
			t.Fatal(found, err)
		}
		r, err := openSegment(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.close()
		var d decompressor
		defer d.close()
		for {
			stored, size, err := r.next()
			if err != nil {
				return
			}
			if size > len(b) || len(stored) > size {
				t.Fatalf("a frame of %d bytes in %d", size, len(b))
			}
			if payload, err := d.payload(&r.header, stored); err == nil && r.header.kind == kindBatch && len(payload) == 40 {
				if want := frameOf(r.header.seq, 40); !bytes.Equal(payload, want.Payload) {
					t.Fatalf("frame %d is not what was appended", r.header.seq)
				}
			}
		}
	})
}
