package sinks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// testMessage is a message to build and to find again.
type testMessage struct {
	key, value []byte
	ms         int64
}

// buildBatch makes a batch of the messages and checks that sizeWith tells the truth.
func buildBatch(tb testing.TB, codec kafkaCodec, p kafkaProducer, headers []byte, ms []testMessage) []byte {
	tb.Helper()
	var b kafkaBatch
	b.reset()
	for _, m := range ms {
		want := b.sizeWith(m.key, m.value, headers, m.ms)
		b.add(m.key, m.value, headers, m.ms)
		if got := len(b.raw) - kafkaAtBaseOffset; got != want {
			tb.Fatalf("sizeWith said %d, it is %d", want, got)
		}
	}
	wire, err := b.seal(codec, p)
	if err != nil {
		tb.Fatal(err)
	}
	return wire
}

// checkWithKafkaGo reads the batch back with kafka-go, which checks the CRC.
func checkWithKafkaGo(tb testing.TB, wire []byte, p kafkaProducer, ms []testMessage) {
	tb.Helper()
	var set protocol.RecordSet
	if _, err := set.ReadFrom(bytes.NewReader(wire)); err != nil {
		tb.Fatalf("kafka-go: %v", err)
	}
	rb := set.Records.(*protocol.RecordStream).Records[0].(*protocol.RecordBatch)
	if rb.ProducerID != p.id || rb.ProducerEpoch != p.epoch || rb.BaseSequence != p.sequence {
		tb.Fatalf("producer %d %d %d, want %+v", rb.ProducerID, rb.ProducerEpoch, rb.BaseSequence, p)
	}
	for i, m := range ms {
		r, err := rb.ReadRecord()
		if err != nil {
			tb.Fatalf("kafka-go: record %d of %d: %v", i, len(ms), err)
		}
		if r.Offset != int64(i) || r.Time.UnixMilli() != m.ms {
			tb.Fatalf("record %d: offset %d, time %d, want %d", i, r.Offset, r.Time.UnixMilli(), m.ms)
		}
		mustEqualBytes(tb, i, "key", r.Key, m.key)
		value := m.value
		if value == nil {
			value = []byte{} // never null
		}
		mustEqualBytes(tb, i, "value", r.Value, value)
		if len(r.Headers) != 2 || r.Headers[0].Key != headerContentType || r.Headers[1].Key != headerSchema {
			tb.Fatalf("record %d: headers %v", i, r.Headers)
		}
	}
	if _, err := rb.ReadRecord(); !errors.Is(err, io.EOF) {
		tb.Fatalf("kafka-go: behind the last record: %v", err)
	}
}

func mustEqualBytes(tb testing.TB, i int, what string, r protocol.Bytes, want []byte) {
	tb.Helper()
	if (r == nil) != (want == nil) {
		tb.Fatalf("record %d: %s null: %v, want %v", i, what, r == nil, want == nil)
	}
	if r == nil {
		return
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		tb.Fatalf("record %d: %s %q, want %q (%v)", i, what, got, want, err)
	}
}

// checkWithKmsg reads an uncompressed batch back with franz-go's kmsg.
func checkWithKmsg(tb testing.TB, wire []byte, ms []testMessage) {
	tb.Helper()
	if got := binary.BigEndian.Uint32(wire); int(got) != len(wire)-4 {
		tb.Fatalf("size %d of %d", got, len(wire))
	}
	var rb kmsg.RecordBatch
	if err := rb.ReadFrom(wire[4:]); err != nil {
		tb.Fatalf("kmsg: %v", err)
	}
	if crc := crc32.Checksum(wire[kafkaAtAttributes:], crc32.MakeTable(crc32.Castagnoli)); rb.CRC != int32(crc) || rb.Magic != 2 {
		tb.Fatalf("crc %x, want %x; magic %d", uint32(rb.CRC), crc, rb.Magic)
	}
	if int(rb.NumRecords) != len(ms) || int(rb.LastOffsetDelta) != len(ms)-1 || int(rb.Length) != len(wire)-16 {
		tb.Fatalf("%d records, last %d, length %d", rb.NumRecords, rb.LastOffsetDelta, rb.Length)
	}
	last := ms[0].ms
	rest := rb.Records
	for i, m := range ms {
		last = max(last, m.ms)
		n, w := binary.Varint(rest)
		var r kmsg.Record
		if err := r.ReadFrom(rest[:w+int(n)]); err != nil {
			tb.Fatalf("kmsg: record %d: %v", i, err)
		}
		if !bytes.Equal(r.Key, m.key) || !bytes.Equal(r.Value, m.value) || r.TimestampDelta64 != m.ms-ms[0].ms || len(r.Headers) != 2 {
			tb.Fatalf("kmsg: record %d is %+v", i, r)
		}
		rest = rest[w+int(n):]
	}
	if len(rest) != 0 || rb.MaxTimestamp != last {
		tb.Fatalf("%d bytes left; max time %d, want %d", len(rest), rb.MaxTimestamp, last)
	}
}

func TestKafkaBatchReadsBack(t *testing.T) {
	headers := appendKafkaHeaders(nil, "application/json", nil)
	messages := []testMessage{
		{[]byte("0000000000000001"), []byte(`{"a":1}`), 1_700_000_000_000},
		{nil, []byte(`{"a":2}`), 1_699_999_000_000},
		{[]byte{}, nil, 1_700_000_000_001},
		{[]byte("k"), bytes.Repeat([]byte("v"), 100_000), 1_800_000_000_000},
	}
	for i := range 300 {
		messages = append(messages, testMessage{fmt.Appendf(nil, "%016x", i), fmt.Appendf(nil, "value %d", i), 1_700_000_000_000 + int64(i*i)})
	}
	for _, name := range kafkaCompressions() {
		for _, p := range []kafkaProducer{kafkaNoProducer(), {12345, 3, 1<<31 - 2}} {
			wire := buildBatch(t, testKafkaCodec(t, name), p, headers, messages)
			checkWithKafkaGo(t, wire, p, messages)
			if name == "none" {
				checkWithKmsg(t, wire, messages)
			}
		}
	}
}

func TestKafkaSequenceGoesRound(t *testing.T) {
	for _, tt := range []struct {
		sequence int32
		count    int
		want     int32
	}{{0, 5, 5}, {1<<31 - 3, 2, 1<<31 - 1}, {1<<31 - 2, 2, 0}, {1<<31 - 1, 10, 9}} {
		c := kafkaChunk{producer: kafkaProducer{sequence: tt.sequence}}
		c.count = tt.count
		if got := c.next(); got != tt.want {
			t.Errorf("%d + %d: %d, want %d", tt.sequence, tt.count, got, tt.want)
		}
	}
}

// FuzzKafkaBatch builds batches of what the fuzzer gives and reads them back twice.
func FuzzKafkaBatch(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), int64(1_700_000_000_000), int64(-5), uint8(3), uint8(0))
	f.Add([]byte{}, []byte{}, int64(0), int64(1<<40), uint8(200), uint8(4))
	f.Fuzz(func(t *testing.T, key, value []byte, ms, step int64, count, codec uint8) {
		names := kafkaCompressions()
		ms, step = ms%(1<<42), step%(1<<32)
		if ms < 0 {
			ms = -ms
		}
		var messages []testMessage
		for i := range int64(count%64) + 1 {
			m := testMessage{key, value, ms + i*step}
			switch i % 3 {
			case 1:
				m.key = nil
			case 2:
				m.value = nil
			}
			messages = append(messages, m)
		}
		p := kafkaProducer{int64(count), 1, int32(ms % (1 << 31))}
		headers := appendKafkaHeaders(nil, "application/json", nil)
		checkWithKafkaGo(t, buildBatch(t, testKafkaCodec(t, names[int(codec)%len(names)]), p, headers, messages), p, messages)
		checkWithKmsg(t, buildBatch(t, testKafkaCodec(t, "none"), p, headers, messages), messages)
	})
}
