package sinks

import (
	"math/rand/v2"
	"testing"

	"github.com/segmentio/kafka-go"

	"github.com/ctferry/ctferry/source/flow"
)

// javaMurmur2 is what org.apache.kafka.common.utils.Utils of kafka-clients
// 4.4.0 answers: murmur2(key), and toPositive of it modulo 7.
func javaMurmur2() []struct {
	key       string
	hash      int32
	partition int
} {
	return []struct {
		key       string
		hash      int32
		partition int
	}{
		{"", 275646681, 2},
		{"a", -1563381124, 5},
		{"ab", 316155434, 0},
		{"abc", 479470107, 4},
		{"21", -973932308, 3},
		{"foobar", -790332482, 0},
		{"a-little-bit-long-string", -985981536, 1},
		{"a-little-bit-longer-string", -1486304829, 0},
		{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971, 3},
		{"0000000000000001", 1817528266, 1},
		{"1111222233334444", -1108769145, 1},
		{"deadbeefcafef00d", 1287241622, 2},
		{"ffffffffffffffff", -544144902, 2},
		{"edge-1", -1892435619, 5},
		{"héte", -936996733, 1},
	}
}

func TestKafkaMurmur2IsJavas(t *testing.T) {
	for _, tt := range javaMurmur2() {
		if got := int32(murmur2Java([]byte(tt.key))); got != tt.hash {
			t.Errorf("%q: %d, want %d", tt.key, got, tt.hash)
		}
		if got := kafkaPartitionOf(kafkaMurmur2, []byte(tt.key), 7); got != tt.partition {
			t.Errorf("%q: partition %d, want %d", tt.key, got, tt.partition)
		}
	}
}

func TestKafkaPartitionersAgreeWithKafkaGo(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		key := make([]byte, 1+random.IntN(40))
		for i := range key {
			key[i] = byte(random.Uint32())
		}
		partitions := make([]int, 1+random.IntN(100))
		for i := range partitions {
			partitions[i] = i
		}
		m := kafka.Message{Key: key}
		if got, want := kafkaPartitionOf(kafkaMurmur2, key, len(partitions)), (kafka.Murmur2Balancer{}).Balance(m, partitions...); got != want {
			t.Fatalf("murmur2 of %x: %d, want %d", key, got, want)
		}
		if got, want := kafkaPartitionOf(kafkaCRC32, key, len(partitions)), (kafka.CRC32Balancer{}).Balance(m, partitions...); got != want {
			t.Fatalf("crc32 of %x: %d, want %d", key, got, want)
		}
	}
}

func TestKafkaKey(t *testing.T) {
	origin := &flow.Origin{Node: "edge-1"}
	for _, tt := range []struct {
		kind string
		r    Record
		want string
	}{
		{kafkaKeyFlow, Record{FlowID: 0xab, Origin: origin}, "00000000000000ab"},
		{kafkaKeyFlow, Record{FlowID: 0xfedcba9876543210, Origin: origin}, "fedcba9876543210"},
		{kafkaKeyFlow, Record{Origin: origin}, "edge-1"},
		{kafkaKeyNode, Record{FlowID: 7, Origin: origin}, "edge-1"},
		{kafkaKeyNode, Record{FlowID: 7}, ""},
	} {
		if got := string(appendKafkaKey(nil, tt.kind, &tt.r)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.kind, got, tt.want)
		}
	}
}
