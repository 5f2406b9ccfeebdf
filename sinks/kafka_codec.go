package sinks

import (
	"errors"

	"github.com/segmentio/kafka-go/compress"
)

// kafkaCodec is one way to compress a batch's records.
type kafkaCodec struct {
	name string
	code compress.Compression // as in a batch's attributes
}

// kafkaCompressions are the codecs' names in the order of their codes.
func kafkaCompressions() []string { return []string{"none", "gzip", "snappy", "lz4", "zstd"} }

func newKafkaCodec(name string) kafkaCodec {
	for code, n := range kafkaCompressions() {
		if n == name {
			return kafkaCodec{n, compress.Compression(code)}
		}
	}
	return kafkaCodec{name: "none"}
}

// compress appends the compressed src to dst. kafka-go's codecs keep their
// states in pools, and Java reads what they write.
func (c kafkaCodec) compress(dst, src []byte) ([]byte, error) {
	out := kafkaAppender{dst}
	w := c.code.Codec().NewWriter(&out)
	_, err := w.Write(src)
	if err = errors.Join(err, w.Close()); err != nil {
		return dst, err
	}
	return out.b, nil
}

// kafkaAppender is a writer that extends a slice.
type kafkaAppender struct{ b []byte }

func (a *kafkaAppender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
