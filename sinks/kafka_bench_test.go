package sinks

import (
	"testing"

	"github.com/ctferry/ctferry/internal/testbroker"
)

// BenchmarkKafka writes 2500 records of about 330 bytes at a time.
func BenchmarkKafka(b *testing.B) {
	for _, compression := range kafkaCompressions() {
		b.Run("fake/"+compression, func(b *testing.B) {
			c := startKfake(b, 3, 8)
			benchKafka(b, c.ListenAddrs(), compression)
		})
	}
	b.Run("real", func(b *testing.B) {
		broker := testbroker.Start(b, testbroker.Options{})
		if err := broker.CreateTopic(b.Context(), kafkaTestTopic, 8, nil); err != nil {
			b.Fatal(err)
		}
		for _, compression := range kafkaCompressions() {
			b.Run(compression, func(b *testing.B) { benchKafka(b, broker.Brokers(), compression) })
		}
	})
}

func benchKafka(b *testing.B, brokers []string, compression string) {
	k := openTestKafka(b, brokers, func(o *KafkaOptions) { o.Compression = compression }, nil)
	batch := &Batch{Records: benchRecords(2500)}
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for b.Loop() {
		if err := k.Write(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		n += len(batch.Records)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(0, "ns/op")
}

// benchRecords have flows enough for every partition.
func benchRecords(n int) []Record {
	rs := kafkaRecords(0, n)
	for i := range rs {
		rs[i].FlowID = uint64(i) * 0x9e3779b97f4a7c15
		rs[i].Value = append(rs[i].Value, make([]byte, 150)...)
	}
	return rs
}

// BenchmarkKafkaFill is the encoding alone: it must not allocate.
func BenchmarkKafkaFill(b *testing.B) {
	k := newTestKafka(b, []string{"127.0.0.1:1"}, func(o *KafkaOptions) { o.Compression = "none" }, nil)
	batch := &Batch{Records: benchRecords(2500)}
	p := &kafkaPartition{topic: k.cluster.topic(kafkaTestTopic), producer: kafkaNoProducer()}
	for i := range batch.Records {
		p.todo = append(p.todo, i)
	}
	b.ReportAllocs()
	for b.Loop() {
		for at := 0; at < len(p.todo); {
			c, err := k.fill(batch, p, at, p.producer, 0)
			if err != nil {
				b.Fatal(err)
			}
			at += c.n
			k.chunks.put(c)
		}
	}
}
