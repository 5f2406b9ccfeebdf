package testbroker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

func TestConsumeFields(t *testing.T) {
	k := broker.Get(t)
	ctx := bounded(t)
	topic := topicFor(t, k, 3)
	old := time.Date(2001, 9, 9, 1, 46, 40, 123e6, time.UTC)
	want := []Record{
		{Partition: 0, Offset: 0, Time: old, Key: []byte("key"), Value: []byte("value"), Headers: []kafka.Header{
			{Key: "content-type", Value: []byte("application/json")}, {Key: "empty", Value: []byte{}}, {Key: "content-type", Value: []byte("again")},
		}},
		{Partition: 0, Offset: 1, Time: old.Add(time.Millisecond), Key: nil, Value: []byte("no key")},
		{Partition: 2, Offset: 0, Time: old, Key: []byte{}, Value: []byte{}},
		{Partition: 2, Offset: 1, Time: old, Key: []byte("tombstone"), Value: nil},
	}
	client := newClient(t, k, Plaintext, "")
	for _, r := range want {
		answer, err := client.Produce(ctx, &kafka.ProduceRequest{
			Topic: topic, Partition: r.Partition, RequiredAcks: kafka.RequireAll,
			Records: kafka.NewRecordReader(kafka.Record{Time: r.Time, Key: kafka.NewBytes(r.Key), Value: kafka.NewBytes(r.Value), Headers: r.Headers}),
		})
		if err != nil || answer.Error != nil {
			t.Fatalf("produce: %v, %v", err, answer)
		}
	}
	got, err := k.Consume(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d: %v", len(got), len(want), got)
	}
	for i := range want {
		got[i].Time = got[i].Time.UTC()
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("record %d:\n got %#v\nwant %#v", i, got[i], want[i])
		}
	}
}

// Many batches of each compression, fetched in pieces that cut through them.
func TestConsumeInPieces(t *testing.T) {
	for _, codec := range []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
		t.Run("codec "+codec.String(), func(t *testing.T) {
			k := broker.Get(t)
			ctx := bounded(t)
			topic := strings.ReplaceAll(topicName(t), " ", ".")
			if err := k.CreateTopic(ctx, topic, 1, nil); err != nil {
				t.Fatal(err)
			}
			client := newClient(t, k, Plaintext, "")
			const batches, perBatch = 40, 50
			for b := range batches {
				produceCompressed(ctx, t, client, topic, codec, b*perBatch, perBatch)
			}
			span := kafka.PartitionOffsets{LastOffset: batches*perBatch - 7} // as if the last seven came later
			for _, maxBytes := range []int64{1, 3000, fetchBytes} {
				got, err := consumePartition(ctx, client, topic, span, maxBytes, nil)
				if err != nil {
					t.Fatalf("in pieces of %d: %v", maxBytes, err)
				}
				expectSequence(t, got, batches*perBatch-7)
			}
			got, err := k.Consume(ctx, topic)
			if err != nil {
				t.Fatal(err)
			}
			expectSequence(t, got, batches*perBatch)
		})
	}
}

func topicName(t *testing.T) string {
	return strings.NewReplacer("/", ".", "_", ".").Replace(t.Name())
}

func produceCompressed(ctx context.Context, t *testing.T, c *kafka.Client, topic string, codec kafka.Compression, first, n int) {
	t.Helper()
	var records []kafka.Record
	for i := first; i < first+n; i++ {
		records = append(records, kafka.Record{Value: kafka.NewBytes(fmt.Appendf(nil, "value %d", i))})
	}
	answer, err := c.Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, RequiredAcks: kafka.RequireAll, Compression: codec, Records: kafka.NewRecordReader(records...),
	})
	if err != nil || answer.Error != nil {
		t.Fatalf("produce: %v, %v", err, answer)
	}
}

func expectSequence(t *testing.T, got []Record, n int) {
	t.Helper()
	if len(got) != n {
		t.Errorf("%d records, want %d", len(got), n)
		return
	}
	for i, r := range got {
		if r.Offset != int64(i) || string(r.Value) != fmt.Sprintf("value %d", i) {
			t.Errorf("record %d: offset %d, %q", i, r.Offset, r.Value)
			return
		}
	}
}

func TestConsumeNothing(t *testing.T) {
	k := broker.Get(t)
	got, err := k.Consume(bounded(t), topicFor(t, k, 5))
	if err != nil || len(got) != 0 {
		t.Errorf("an empty topic: %v, %v", got, err)
	}
}

func TestConsumeEndsWithItsContext(t *testing.T) {
	k := broker.Get(t)
	topic := topicFor(t, k, 1)
	client := newClient(t, k, Plaintext, "")
	ctx, cancel := context.WithTimeout(bounded(t), 600*time.Millisecond)
	defer cancel()
	// Offsets that never come, as after a transaction's control record.
	_, err := consumePartition(ctx, client, topic, kafka.PartitionOffsets{LastOffset: 1}, fetchBytes, nil)
	// The connection has the context's deadline, and may be the first to see it.
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, want the context's end", err)
	}
}
