package sinks

import (
	"bytes"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
)

func testKafkaCodec(tb testing.TB, name string) kafkaCodec {
	tb.Helper()
	c, err := newKafkaCodec(name)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// decompressKafka reads with kafka-go's codecs what ours wrote.
func decompressKafka(tb testing.TB, c kafkaCodec, packed []byte) []byte {
	tb.Helper()
	r := c.code.Codec().NewReader(bytes.NewReader(packed))
	defer r.Close() //nolint:errcheck // it has been read to the end
	content, err := io.ReadAll(r)
	if err != nil {
		tb.Fatalf("%s: %v", c.name, err)
	}
	return content
}

func TestKafkaCodecs(t *testing.T) {
	noise := make([]byte, 3*kafkaBlock+1)
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	text := bytes.Repeat([]byte(`{"schema":"ctferry.v1","event_type":"destroy"}`), 10_000)
	contents := map[string][]byte{
		"one byte": {7}, "a block": text[:kafkaBlock], "a block and one": text[:kafkaBlock+1], "blocks": text,
		"noise": noise, "noise within": append(append(append([]byte{}, text[:kafkaBlock]...), noise...), text...),
	}
	for _, name := range kafkaCompressions()[1:] {
		c := testKafkaCodec(t, name)
		for what, content := range contents {
			packed, err := c.compress([]byte("before"), content)
			if err != nil || !bytes.HasPrefix(packed, []byte("before")) {
				t.Fatalf("%s: %s: %v", name, what, err)
			}
			if got := decompressKafka(t, c, packed[len("before"):]); !bytes.Equal(got, content) {
				t.Errorf("%s: %s: %d bytes came back as %d others", name, what, len(content), len(got))
			}
			if len(packed) > len(content)+len(content)/20+100 {
				t.Errorf("%s: %s: %d bytes became %d", name, what, len(content), len(packed))
			}
		}
	}
}

// TestKafkaCodecsShared has goroutines, as partitions are, use one codec.
func TestKafkaCodecsShared(t *testing.T) {
	for _, name := range kafkaCompressions()[1:] {
		c := testKafkaCodec(t, name)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				content := bytes.Repeat([]byte{byte(i), 1, 2, 3}, 50_000)
				for range 5 {
					packed, err := c.compress(nil, content)
					if err != nil || !bytes.Equal(decompressKafka(t, c, packed), content) {
						t.Errorf("%s: %d: %v", name, i, err)
					}
				}
			})
		}
		all.Wait()
	}
}

// TestKafkaCodecsAllocateNothing holds the steady state.
func TestKafkaCodecsAllocateNothing(t *testing.T) {
	content := bytes.Repeat([]byte(`{"schema":"ctferry.v1","event_type":"destroy"}`), 10_000)
	for _, name := range []string{"snappy", "lz4", "zstd"} {
		c := testKafkaCodec(t, name)
		packed, err := c.compress(nil, content)
		if err != nil {
			t.Fatal(err)
		}
		n := testing.AllocsPerRun(20, func() {
			if packed, err = c.compress(packed[:0], content); err != nil {
				t.Error(err)
			}
		})
		if n > 4 { // a collection empties the pool, and the race detector takes from it at random
			t.Errorf("%s: %v allocations a batch", name, n)
		}
	}
}

func FuzzKafkaCodecs(f *testing.F) {
	f.Add([]byte("abc"), uint8(1))
	f.Add(bytes.Repeat([]byte("abcd"), 20_000), uint8(3))
	var codecs []kafkaCodec
	for _, name := range kafkaCompressions()[1:] {
		codecs = append(codecs, testKafkaCodec(f, name))
	}
	f.Fuzz(func(t *testing.T, content []byte, which uint8) {
		c := codecs[int(which)%len(codecs)]
		packed, err := c.compress(nil, content)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) > 0 && !bytes.Equal(decompressKafka(t, c, packed), content) {
			t.Errorf("%s: not the same", c.name)
		}
	})
}
