package spool

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// records makes n bytes that look like protobuf records of 150 bytes: a frame
// of runs, counters and addresses, of which about a third differs between two.
func records(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, n+150)
	for i := uint64(0); len(b) < n; i++ {
		rec := make([]byte, 150)
		copy(rec, "\x0a\x06edge-1\x12\x10\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f")
		binary.LittleEndian.PutUint64(rec[40:], seed<<20+i)
		binary.LittleEndian.PutUint64(rec[50:], 1_700_000_000_000_000_000+r.Uint64N(1e9))
		for off := 60; off < 108; off += 8 {
			binary.LittleEndian.PutUint64(rec[off:], r.Uint64())
		}
		b = append(b, rec...)
	}
	return b[:n]
}

const benchFrame = 64 << 10 / 150 * 150 // 64 KiB of whole records

func benchSpool(b *testing.B, sync Sync, compress Compression) *Spool {
	cfg := DefaultConfig()
	cfg.Dir, cfg.Max, cfg.MinFree, cfg.Sync, cfg.Compress = b.TempDir(), 2<<30, 0, sync, compress
	return mustOpen(b, cfg)
}

func benchFrames() []*Frame {
	frames := make([]*Frame, 16)
	for i := range frames {
		n := uint64(benchFrame / 150)
		frames[i] = &Frame{Records: uint32(n), Payload: records(uint64(i), benchFrame), Counts: []Count{{"archive", n}, {"siem", n / 2}, {"bus", n}}}
	}
	return frames
}

func perRecord(b *testing.B) {
	b.SetBytes(benchFrame)
	b.ReportMetric(float64(b.N)*(benchFrame/150)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkAppend(b *testing.B) {
	for _, compress := range []Compression{CompressNone, CompressZstd} {
		for _, sync := range []Sync{SyncNone, Sync(200 * time.Millisecond), SyncAlways} {
			b.Run(fmt.Sprint(compress, "/", sync), func(b *testing.B) {
				s, frames := benchSpool(b, sync, compress), benchFrames()
				go s.Run(b.Context()) //nolint:errcheck // it gives none
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if err := s.Append(frames[i%len(frames)]); err != nil {
						b.Fatal(err)
					}
				}
				perRecord(b)
			})
		}
	}
}

func BenchmarkNext(b *testing.B) {
	for _, compress := range []Compression{CompressNone, CompressZstd} {
		b.Run(string(compress), func(b *testing.B) {
			s, frames := benchSpool(b, SyncNone, compress), benchFrames()
			for i := range 2000 {
				if err := s.Append(frames[i%len(frames)]); err != nil {
					b.Fatal(err)
				}
			}
			c := mustCursor(b, s, "siem", Oldest)
			b.ReportAllocs()
			for b.Loop() {
				f, err := c.Poll()
				if err != nil {
					b.Fatal(err)
				}
				if f == nil {
					b.StopTimer()
					s.Remove("siem")
					c = mustCursor(b, s, "siem", Oldest)
					b.StartTimer()
					continue
				}
				c.Ack(f.Seq)
			}
			perRecord(b)
		})
	}
}
