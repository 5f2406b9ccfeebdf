package spool

import (
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
)

// compressor writes payloads. One goroutine uses it.
type compressor struct {
	zstd *zstd.Encoder // nil for none
}

func newCompressor(c Compression) (compressor, error) {
	if c == CompressNone {
		return compressor{}, nil
	}
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false)) // the frame has its own
	if err != nil {
		return compressor{}, fmt.Errorf("zstd: %w", err)
	}
	return compressor{zstd: e}, nil
}

// appendFrame appends a whole frame to dst. h says all but what follows from
// the payload, which is set in it. scratch is used for compression; the
// possibly grown scratch is given back.
func (c *compressor) appendFrame(dst, scratch []byte, h *header, payload []byte) (frame, grown []byte) {
	h.crc = crc32.Checksum(payload, castagnoli())
	h.raw = uint32(len(payload))
	h.codec = codecNone
	stored := payload
	if c.zstd != nil {
		scratch = c.zstd.EncodeAll(payload, scratch[:0])
		if len(scratch) < len(payload) {
			h.codec, stored = codecZstd, scratch
		}
	}
	h.stored = uint32(len(stored))
	return append(appendHeader(dst, h), stored...), scratch
}

// decompressor reads payloads, whatever their codec. One goroutine uses it.
type decompressor struct {
	zstd *zstd.Decoder
	buf  []byte
}

// payload gives h's payload as it was appended, valid until the next call.
func (d *decompressor) payload(h *header, stored []byte) ([]byte, error) {
	d.buf = d.buf[:0]
	switch h.codec {
	case codecNone:
		d.buf = append(d.buf, stored...)
	case codecZstd:
		if err := d.unzstd(stored); err != nil {
			return nil, damage(fmt.Sprintf("frame %d: zstd: %v", h.seq, err))
		}
	}
	if len(d.buf) != int(h.raw) || crc32.Checksum(d.buf, castagnoli()) != h.crc {
		return nil, damage(fmt.Sprintf("frame %d fails its CRC", h.seq))
	}
	return d.buf, nil
}

func (d *decompressor) unzstd(stored []byte) (err error) {
	if d.zstd == nil {
		d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxPayload))
		if err != nil {
			return err
		}
	}
	d.buf, err = d.zstd.DecodeAll(stored, d.buf)
	return err
}

func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
		d.zstd = nil
	}
}
