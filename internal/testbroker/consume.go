package testbroker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

// Record is what the broker holds at one offset. A nil Key or Value is Kafka's null, an empty one is not.
type Record struct {
	Partition int
	Offset    int64
	Time      time.Time // of the record as its producer wrote it, in milliseconds
	Key       []byte
	Value     []byte
	Headers   []kafka.Header
}

// fetchBytes is how much one fetch asks for; a larger batch still comes whole.
const fetchBytes = 4 << 20

// Consume reads all that the topic holds now: partition by partition, each from its first offset to the end that it had when asked.
// Only ctx bounds the whole; a request may take ten seconds.
// The caller owns the records. A transaction's control records would end the reading only with ctx: kafka-go hides them.
func (k *Kafka) Consume(ctx context.Context, topic string) ([]Record, error) {
	var all []Record
	err := k.with(ctx, Plaintext, "", func(ctx context.Context, c *kafka.Client) error {
		parts, err := spans(ctx, c, topic)
		if err != nil {
			return err
		}
		for _, s := range parts {
			if all, err = consumePartition(ctx, c, topic, s, fetchBytes, all); err != nil {
				return fmt.Errorf("partition %d: %w", s.Partition, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("kafka: consume topic %s: %w", topic, err)
	}
	return all, nil
}

// spans tells each partition's first and end offset, by partition. The client must be new, or it answers from its cache.
func spans(ctx context.Context, c *kafka.Client, topic string) ([]kafka.PartitionOffsets, error) {
	m, err := c.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return nil, err
	}
	var ask []kafka.OffsetRequest
	for _, t := range m.Topics {
		if t.Error != nil {
			return nil, t.Error
		}
		for _, p := range t.Partitions {
			ask = append(ask, kafka.FirstOffsetOf(p.ID), kafka.LastOffsetOf(p.ID))
		}
	}
	answer, err := c.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: ask}})
	if err != nil {
		return nil, err
	}
	found := answer.Topics[topic]
	slices.SortFunc(found, func(a, b kafka.PartitionOffsets) int { return a.Partition - b.Partition })
	for _, s := range found {
		if s.Error != nil {
			return nil, fmt.Errorf("partition %d: offsets: %w", s.Partition, s.Error)
		}
	}
	return found, nil
}

// consumePartition appends what lies between the span's offsets to all, in fetches of about maxBytes.
func consumePartition(ctx context.Context, c *kafka.Client, topic string, s kafka.PartitionOffsets, maxBytes int64, all []Record) ([]Record, error) {
	for next := s.FirstOffset; next < s.LastOffset; {
		answer, err := c.Fetch(ctx, &kafka.FetchRequest{
			Topic: topic, Partition: s.Partition, Offset: next, MinBytes: 1, MaxBytes: maxBytes, MaxWait: 250 * time.Millisecond,
		})
		if err == nil {
			err = answer.Error
		}
		if err = errors.Join(context.Cause(ctx), err); err != nil { // kafka-go tells a context's end as an i/o timeout
			return nil, fmt.Errorf("at offset %d of %d: %w", next, s.LastOffset, err)
		}
		if all, next, err = appendRecords(all, answer, next, s.LastOffset); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// appendRecords takes the records from offset next up to end, and tells the offset to go on with. The broker sends whole batches, so
// that some may lie before next; the last batch may be cut off, and kafka-go leaves it out.
func appendRecords(all []Record, answer *kafka.FetchResponse, next, end int64) ([]Record, int64, error) {
	for {
		r, err := answer.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return all, next, nil
		}
		if err != nil {
			return nil, next, fmt.Errorf("after offset %d: %w", next, err)
		}
		record, err := copyRecord(answer.Partition, r)
		if err != nil {
			return nil, next, err
		}
		if r.Offset < next || r.Offset >= end {
			continue
		}
		all, next = append(all, record), r.Offset+1
	}
}

// copyRecord reads the record's key and value, which both give their pages back to kafka-go.
func copyRecord(partition int, r *kafka.Record) (Record, error) {
	key, err := readBytes(r.Key)
	if err != nil {
		return Record{}, fmt.Errorf("offset %d: key: %w", r.Offset, err)
	}
	value, err := readBytes(r.Value)
	if err != nil {
		return Record{}, fmt.Errorf("offset %d: value: %w", r.Offset, err)
	}
	return Record{Partition: partition, Offset: r.Offset, Time: r.Time, Key: key, Value: value, Headers: slices.Clone(r.Headers)}, nil
}

func readBytes(b kafka.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	content, err := kafka.ReadAll(b)
	return content, errors.Join(err, b.Close())
}

// Count tells how many offsets the topic holds now: as many as records where neither compaction nor a transaction wrote to it.
func (k *Kafka) Count(ctx context.Context, topic string) (n int64, err error) {
	err = k.with(ctx, Plaintext, "", func(ctx context.Context, c *kafka.Client) error {
		parts, err := spans(ctx, c, topic)
		for _, s := range parts {
			n += s.LastOffset - s.FirstOffset
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("kafka: count topic %s: %w", topic, err)
	}
	return n, nil
}
