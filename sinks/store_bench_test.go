package sinks

import (
	"context"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks/spool"
	"github.com/ctferry/ctferry/source/flow"
)

// BenchmarkStoreTake is what a batch of 256 events costs the reader.
func BenchmarkStoreTake(b *testing.B) {
	h, batch := benchHouse(b)
	h.write()
	b.ReportAllocs()
	for b.Loop() {
		for h.fanout.Take(batch) > 0.5 {
			time.Sleep(100 * time.Microsecond) // the disk is slower than a loop
		}
	}
	b.ReportMetric(256*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	h.end()
	h.store.Close()
}

// BenchmarkStoreThrough is the whole way: two sinks take everything from the disk.
func BenchmarkStoreThrough(b *testing.B) {
	h, batch := benchHouse(b)
	h.write().read()
	b.ReportAllocs()
	for b.Loop() {
		for h.fanout.Take(batch) > 0.5 {
			time.Sleep(100 * time.Microsecond)
		}
	}
	for _, o := range h.outlets {
		for o.Books().Held > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	b.ReportMetric(256*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	h.close()
}

func benchHouse(b *testing.B) (*house, *flow.Batch) {
	cfg := storeConfig(b)
	cfg.Max, cfg.Segment, cfg.Memory = 4*option.GiB, 16*option.MiB, 32*option.MiB
	cfg.Sync, cfg.Compress = spool.Sync(200*time.Millisecond), spool.CompressZstd
	h := build(b, cfg, nil, func(c *Config) { c.Encoding = "protobuf" })
	for i := range h.sinks {
		h.outlets[i].sink = nowhere{}
	}
	types := make([]flow.Type, 256)
	for i := range types {
		types[i] = flow.TypeNew
	}
	return h, batchOf(1, types...)
}

// nowhere is a sink that takes all.
type nowhere struct{}

func (nowhere) Open(context.Context) error          { return nil }
func (nowhere) Write(context.Context, *Batch) error { return nil }
func (nowhere) Close(context.Context) error         { return nil }
