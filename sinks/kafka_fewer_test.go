package sinks

import (
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// remakeTopic deletes the topic and makes it again with other partitions.
func remakeTopic(t *testing.T, brokers []string, partitions int) {
	t.Helper()
	admin := &kafka.Client{Addr: kafka.TCP(brokers...)}
	if _, err := admin.DeleteTopics(t.Context(), &kafka.DeleteTopicsRequest{Topics: []string{kafkaTestTopic}}); err != nil {
		t.Fatal(err)
	}
	config := kafka.TopicConfig{Topic: kafkaTestTopic, NumPartitions: partitions, ReplicationFactor: 1}
	res, err := admin.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}})
	if err != nil || res.Errors[kafkaTestTopic] != nil {
		t.Fatal(err, res)
	}
}

// A topic that is made again with fewer partitions gets all records, also those
// whose answers were lost when the partition was still there.
func TestKafkaFewerPartitions(t *testing.T) {
	for _, lost := range []int32{0, 1000} {
		c := startKfake(t, 1, 6)
		front := newKafkaDropper(t, c.ListenAddrs())
		k := openTestKafka(t, front.addrs, nil, nil)
		rs := kafkaRecords(0, 600)
		ferryKafka(t, k, rs[:200])
		// kfake remembers the sequences of partitions that are made again, so none of theirs.
		stays := func(r Record) bool {
			return kafkaPartitionOf(kafkaMurmur2, appendKafkaKey(nil, kafkaKeyFlow, &r), 6) < 2
		}
		rs = slices.DeleteFunc(rs[200:], stays)
		half := len(rs) / 2
		front.dropNext.Store(lost)
		if lost > 0 {
			if err := k.Write(t.Context(), &Batch{Records: rs[:half]}); mustClass(t, err) != Retry {
				t.Fatal(err)
			}
			front.dropNext.Store(0)
		}
		remakeTopic(t, c.ListenAddrs(), 2)
		b := &Batch{Records: rs[:half]}
		if err := k.Write(t.Context(), b); mustClass(t, err) != Retry {
			t.Fatal(err)
		}
		topic := k.cluster.topics[kafkaTestTopic]
		if len(topic.partitions) != 6 {
			t.Fatalf("at once %d partitions: a broker may not know them yet", len(topic.partitions))
		}
		topic.fewer = time.Now().Add(-2 * kafkaUnknownGrace)
		ferryKafka(t, k, b.Records)
		ferryKafka(t, k, rs[half:])
		mustHold(t, readTopic(t, c.ListenAddrs()[0], kafkaTestTopic), rs, false)
		if n := k.Counters().PossibleDuplicates; (n > 0) != (lost > 0) {
			t.Errorf("%d possible duplicates", n)
		}
	}
}

// Partitions that are not listed for a moment keep their sequences.
func TestKafkaPartitionsComeBack(t *testing.T) {
	c := startKfake(t, 1, 3)
	k := openTestKafka(t, c.ListenAddrs(), nil, nil)
	rs := kafkaRecords(0, 300)
	ferryKafka(t, k, rs[:100])
	topic := k.cluster.topics[kafkaTestTopic]
	for range 2 {
		topic.use(1)
		topic.fewer = topic.fewer.Add(-2 * kafkaUnknownGrace)
	}
	if len(topic.partitions) != 1 {
		t.Fatalf("%d partitions", len(topic.partitions))
	}
	if err := k.cluster.refresh(t.Context(), k.cluster.current()); err != nil || len(topic.partitions) != 3 {
		t.Fatal(err, len(topic.partitions))
	}
	ferryKafka(t, k, rs[100:])
	mustHold(t, readTopic(t, c.ListenAddrs()[0], kafkaTestTopic), rs, false)
}
