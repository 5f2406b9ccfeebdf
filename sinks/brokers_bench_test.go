package sinks

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testbroker"
)

const (
	// brokerLoad is how many records a turn sends, half of them before the clock starts.
	brokerLoad = 200_000
	// brokerDistinct is how many of them differ.
	brokerDistinct = 20_000
)

// BenchmarkBrokers compares the sinks with what Kafka's and NATS's own people
// would use, against one real broker, in turn: see compareBrokers.
func BenchmarkBrokers(b *testing.B) {
	b.Run("kafka", benchKafkaPerf)
	b.Run("nats", func(b *testing.B) {
		b.Run("core", benchNATSCorePerf)
		b.Run("jetstream", benchNATSStreamPerf)
	})
}

// benchKafkaPerf has kafka-producer-perf-test send the same records, with the
// same compression, to a topic alike. "default" is the Java producer as it
// comes; "tuned" has its batches and its patience as large as ours.
func benchKafkaPerf(b *testing.B) {
	perf := testbroker.NeedPerfTest(b)
	broker := testbroker.Start(b, testbroker.Options{HeapMiB: 1024, JVM: []string{"-XX:TieredStopAtLevel=4"}})
	rs := brokerRecords(b, brokerDistinct)
	payload := brokerPayload(b, rs)
	warmKafka(b, broker, rs)
	tuned := map[string]string{"batch.size": "1000000", "linger.ms": "20", "max.request.size": "1100000"}
	for _, producer := range []struct {
		name         string
		config       map[string]string
		compressions []string
	}{{"default", nil, []string{"none", "lz4", "snappy", "zstd"}}, {"tuned", tuned, []string{"none", "zstd"}}} {
		for _, partitions := range []int{1, 6} {
			for _, compression := range producer.compressions {
				b.Run(fmt.Sprintf("%s/%d/%s", producer.name, partitions, compression), func(b *testing.B) {
					t := kafkaTurn{broker: broker, partitions: partitions, compression: compression}
					config := map[string]string{"acks": "all", "enable.idempotence": "true", "compression.type": compression}
					for key, value := range producer.config {
						config[key] = value
					}
					compareBrokers(b, func() float64 { return t.ours(b, rs) }, func() float64 { return t.theirs(b, perf, payload, config) })
				})
			}
		}
	}
}

// warmKafka has the broker's compiler see its work.
func warmKafka(b *testing.B, broker *testbroker.Kafka, rs []Record) {
	for _, compression := range []string{"none", "lz4"} {
		t := kafkaTurn{broker: broker, partitions: 6, compression: compression}
		t.ours(b, rs)
	}
}

// kafkaTurn sends to a new topic each time, and counts what the topic holds then.
type kafkaTurn struct {
	broker      *testbroker.Kafka
	partitions  int
	compression string
	turns       int
}

func (t *kafkaTurn) inTopic(b *testing.B, send func(topic string) float64) float64 {
	t.turns++
	topic := fmt.Sprintf("perf-%d-%s-%d", t.partitions, t.compression, time.Now().UnixNano())
	if err := t.broker.CreateTopic(b.Context(), topic, t.partitions, map[string]string{"file.delete.delay.ms": "100"}); err != nil {
		b.Fatal(err)
	}
	rate := send(topic)
	held, err := t.broker.Count(b.Context(), topic)
	if err != nil || held != brokerLoad {
		b.Fatalf("topic %s holds %d records (%v), expected %d", topic, held, err, brokerLoad)
	}
	if err := t.broker.DeleteTopic(b.Context(), topic); err != nil {
		b.Fatal(err)
	}
	return rate
}

func (t *kafkaTurn) ours(b *testing.B, rs []Record) float64 {
	return t.inTopic(b, func(topic string) float64 {
		k := openTestKafka(b, t.broker.Brokers(), func(o *KafkaOptions) { o.Compression, o.Topic = t.compression, topic }, nil)
		rate := pour(b, k, rs, brokerLoad)
		if n := k.Counters().PossibleDuplicates; n != 0 {
			b.Fatalf("%d possible duplicates", n)
		}
		return rate
	})
}

func (t *kafkaTurn) theirs(b *testing.B, perf *testbroker.PerfTest, payload string, config map[string]string) float64 {
	return t.inTopic(b, func(topic string) float64 {
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		rate, err := perf.Run(ctx, testbroker.Load{
			Brokers: t.broker.Brokers(), Topic: topic, Payload: payload, Records: brokerLoad, Warmup: brokerLoad / 2, Config: config,
		})
		if err != nil {
			b.Fatal(err)
		}
		return rate
	})
}

// pour writes load records and gives those a second behind the first half,
// with the allocations of each.
func pour(b *testing.B, s Sink, rs []Record, load int) float64 {
	batches := brokerBatches(b, rs)
	var began time.Time
	var before, after runtime.MemStats
	sent, from := 0, 0
	for i := 0; sent < load; i++ {
		batch := batches[i%len(batches)]
		batch.Records = batch.Records[:min(len(batch.Records), load-sent)]
		for j := range batch.Records {
			batch.Records[j].Seq += uint64(len(rs)) // no id is used twice
		}
		if began.IsZero() && sent >= load/2 {
			runtime.ReadMemStats(&before)
			began, from = time.Now(), sent
		}
		if err := s.Write(context.Background(), &batch); err != nil {
			b.Fatal(err)
		}
		sent += len(batch.Records)
	}
	rate := float64(sent-from) / time.Since(began).Seconds()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(sent-from), "allocs/record")
	return rate
}
