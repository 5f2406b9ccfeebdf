package sinks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/segmentio/kafka-go/compress"
)

// kafkaBlock is how much lz4 and snappy compress at a time, as Java's producer
// does for lz4. Their tables then stay in the processor's cache, which makes
// them in two thirds of the time of one block of the whole batch, for 5 % more bytes.
const kafkaBlock = 64 << 10

// kafkaCodec is one way to compress a batch's records. Several goroutines may use it.
type kafkaCodec struct {
	name string
	code compress.Compression // as in a batch's attributes
	zstd *zstd.Encoder
	lz4  *sync.Pool // of *lz4.Compressor
}

// kafkaCompressions are the codecs' names in the order of their codes.
func kafkaCompressions() []string { return []string{"none", "gzip", "snappy", "lz4", "zstd"} }

func newKafkaCodec(name string) (kafkaCodec, error) {
	c := kafkaCodec{name: name, code: compress.Compression(slices.Index(kafkaCompressions(), name))}
	var err error
	switch c.code {
	case compress.Lz4:
		c.lz4 = &sync.Pool{New: func() any { return new(lz4.Compressor) }}
	case compress.Zstd:
		// The fastest level makes records of flows smaller than the default does, in half the time.
		c.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20))
	}
	if err != nil {
		return c, fmt.Errorf("compression: %w", err)
	}
	return c, nil
}

// compress appends the compressed src to dst.
func (c kafkaCodec) compress(dst, src []byte) ([]byte, error) {
	switch c.code {
	case compress.Lz4:
		return c.appendLZ4(dst, src)
	case compress.Snappy:
		return appendKafkaSnappy(dst, src), nil
	case compress.Zstd:
		return c.zstd.EncodeAll(src, dst), nil
	}
	out := kafkaAppender{dst}
	w := c.code.Codec().NewWriter(&out)
	_, err := w.Write(src)
	if err = errors.Join(err, w.Close()); err != nil {
		return dst, err
	}
	return out.b, nil
}

// appendLZ4 appends an LZ4 frame (version 1.6.x of the format): blocks that do
// not depend on each other, without checksums, for the batch has one.
func (c kafkaCodec) appendLZ4(dst, src []byte) ([]byte, error) {
	const plain = 1 << 31 // in a block's length: it is not compressed
	compressor := c.lz4.Get().(*lz4.Compressor)
	defer c.lz4.Put(compressor)
	dst = append(dst, 0x04, 0x22, 0x4d, 0x18, // magic
		0x60, // version 1, independent blocks
		0x40, // of at most 64 KiB
		0x82) // second byte of the xxHash-32 of those two
	for len(src) > 0 {
		block := src[:min(len(src), kafkaBlock)]
		src = src[len(block):]
		at := len(dst) + 4
		dst = slices.Grow(dst, 4+lz4.CompressBlockBound(len(block)))[:at]
		n, err := compressor.CompressBlock(block, dst[at:cap(dst)])
		if err != nil {
			return dst, err
		}
		length := uint32(n)
		if n == 0 || n >= len(block) {
			n, length = copy(dst[at:cap(dst)], block), uint32(len(block))|plain
		}
		binary.LittleEndian.PutUint32(dst[at-4:], length)
		dst = dst[:at+n]
	}
	return append(dst, 0, 0, 0, 0), nil // a block of no length ends the frame
}

// appendKafkaSnappy appends blocks of snappy in the frame of xerial's
// snappy-java, which is what Kafka means by snappy. Integers are big endian.
func appendKafkaSnappy(dst, src []byte) []byte {
	dst = append(dst, 0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
		0, 0, 0, 1, // version
		0, 0, 0, 1) // the oldest reader's version
	for len(src) > 0 {
		block := src[:min(len(src), kafkaBlock)]
		src = src[len(block):]
		at := len(dst) + 4
		dst = slices.Grow(dst, 4+s2.MaxEncodedLen(len(block)))[:at]
		n := len(s2.EncodeSnappy(dst[at:cap(dst)], block))
		binary.BigEndian.PutUint32(dst[at-4:], uint32(n))
		dst = dst[:at+n]
	}
	return dst
}

// kafkaAppender is a writer that extends a slice.
type kafkaAppender struct{ b []byte }

func (a *kafkaAppender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
