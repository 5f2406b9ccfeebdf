package sinks

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
)

// The places in a record batch, format version 2 (DefaultRecordBatch of
// org.apache.kafka.common.record), behind the int32 length that a produce
// request puts before it and that kafka-go's RawProduce leaves to the caller.
// All integers are big endian.
const (
	kafkaAtSize        = 0  // int32, of all that follows
	kafkaAtBaseOffset  = 4  // int64, 0
	kafkaAtBatchLength = 12 // int32, of all behind it
	kafkaAtLeaderEpoch = 16 // int32, the broker's
	kafkaAtMagic       = 20 // int8, 2
	kafkaAtCRC         = 21 // uint32, CRC-32C of all behind it
	kafkaAtAttributes  = 25 // int16, the codec in bits 0 to 2
	kafkaAtLastDelta   = 27 // int32
	kafkaAtFirstTime   = 31 // int64, ms since the epoch
	kafkaAtMaxTime     = 39 // int64
	kafkaAtProducerID  = 47 // int64
	kafkaAtEpoch       = 55 // int16
	kafkaAtSequence    = 57 // int32
	kafkaAtCount       = 61 // int32
	kafkaBatchHeader   = 65
)

// kafkaBatch builds record batches in buffers that it uses again. Its bytes are
// valid until the next reset.
type kafkaBatch struct {
	raw             []byte // header's room and the records
	packed          []byte // header's room and the compressed records
	count           int
	firstMS, lastMS int64
}

// kafkaProducer is what makes a batch recognisable: the broker drops a batch
// whose producer and sequence it has already seen. ID -1 means none.
type kafkaProducer struct {
	id       int64
	epoch    int16
	sequence int32
}

// kafkaNoProducer stands in batches that are not idempotent.
func kafkaNoProducer() kafkaProducer { return kafkaProducer{-1, -1, -1} }

func (b *kafkaBatch) reset() {
	if cap(b.raw) < kafkaBatchHeader {
		b.raw = make([]byte, 0, 64<<10)
	}
	b.raw = b.raw[:kafkaBatchHeader]
	b.count, b.firstMS, b.lastMS = 0, 0, 0
}

// kafkaVarintLen is the length of a zigzag varint.
func kafkaVarintLen(v int64) int {
	return (bits.Len64(uint64(v<<1)^uint64(v>>63)|1) + 6) / 7
}

// bodyLen is a record's length without its own length field. A nil key is null.
func (b *kafkaBatch) bodyLen(key, value, headers []byte, ms int64) int {
	delta := ms - b.firstMS
	if b.count == 0 {
		delta = 0
	}
	n := 1 + kafkaVarintLen(delta) + kafkaVarintLen(int64(b.count)) + 1
	if key != nil {
		n += kafkaVarintLen(int64(len(key))) - 1 + len(key)
	}
	return n + kafkaVarintLen(int64(len(value))) + len(value) + len(headers)
}

// sizeWith is the batch's length before compression if the record were added.
func (b *kafkaBatch) sizeWith(key, value, headers []byte, ms int64) int {
	n := b.bodyLen(key, value, headers, ms)
	return len(b.raw) - kafkaAtBaseOffset + kafkaVarintLen(int64(n)) + n
}

// add appends a record. Headers are as appendKafkaHeaders made them.
func (b *kafkaBatch) add(key, value, headers []byte, ms int64) {
	n := b.bodyLen(key, value, headers, ms)
	if b.count == 0 {
		b.firstMS, b.lastMS = ms, ms
	}
	b.lastMS = max(b.lastMS, ms)
	b.raw = binary.AppendVarint(b.raw, int64(n))
	b.raw = append(b.raw, 0) // attributes: none are defined
	b.raw = binary.AppendVarint(b.raw, ms-b.firstMS)
	b.raw = binary.AppendVarint(b.raw, int64(b.count))
	if key == nil {
		b.raw = binary.AppendVarint(b.raw, -1)
	} else {
		b.raw = binary.AppendVarint(b.raw, int64(len(key)))
		b.raw = append(b.raw, key...)
	}
	b.raw = binary.AppendVarint(b.raw, int64(len(value)))
	b.raw = append(b.raw, value...)
	b.raw = append(b.raw, headers...)
	b.count++
}

// seal compresses the records and fills the header in. The bytes are what
// RawProduce wants.
func (b *kafkaBatch) seal(codec kafkaCodec, p kafkaProducer) ([]byte, error) {
	wire := b.raw
	if codec.code != 0 {
		var err error
		if b.packed, err = codec.compress(append(b.packed[:0], b.raw[:kafkaBatchHeader]...), b.raw[kafkaBatchHeader:]); err != nil {
			return nil, fmt.Errorf("compress with %s: %w", codec.name, err)
		}
		wire = b.packed
	}
	be := binary.BigEndian
	be.PutUint32(wire[kafkaAtSize:], uint32(len(wire)-kafkaAtBaseOffset))
	be.PutUint64(wire[kafkaAtBaseOffset:], 0)
	be.PutUint32(wire[kafkaAtBatchLength:], uint32(len(wire)-kafkaAtLeaderEpoch))
	be.PutUint32(wire[kafkaAtLeaderEpoch:], 1<<32-1)
	wire[kafkaAtMagic] = 2
	be.PutUint16(wire[kafkaAtAttributes:], uint16(codec.code))
	be.PutUint32(wire[kafkaAtLastDelta:], uint32(b.count-1))
	be.PutUint64(wire[kafkaAtFirstTime:], uint64(b.firstMS))
	be.PutUint64(wire[kafkaAtMaxTime:], uint64(b.lastMS))
	be.PutUint64(wire[kafkaAtProducerID:], uint64(p.id))
	be.PutUint16(wire[kafkaAtEpoch:], uint16(p.epoch))
	be.PutUint32(wire[kafkaAtSequence:], uint32(p.sequence))
	be.PutUint32(wire[kafkaAtCount:], uint32(b.count))
	be.PutUint32(wire[kafkaAtCRC:], crc32.Checksum(wire[kafkaAtAttributes:], crc32.MakeTable(crc32.Castagnoli)))
	return wire, nil
}
