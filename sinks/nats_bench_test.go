package sinks

import (
	"bytes"
	"context"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/source/flow"
)

const natsBenchRecords = 2500

// natsBenchBatch are records of 300 bytes of as many flows.
func natsBenchBatch() *Batch {
	rs := natsRecords(0, natsBenchRecords)
	for i := range rs {
		rs[i].FlowID = uint64(i/2) * 0x9e3779b97f4a7c15
		rs[i].Type = []flow.Type{flow.TypeNew, flow.TypeDestroy}[i%2]
		rs[i].Value = bytes.Repeat([]byte{'x'}, 300)
	}
	return &Batch{Records: rs}
}

func natsBenchReport(b *testing.B, rounds int) {
	b.ReportMetric(float64(rounds*natsBenchRecords)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkNATSCore compares the sink with nats.go alone, without subscribers.
func BenchmarkNATSCore(b *testing.B) {
	broker := natstest.Start(b, func(c *natsconn.ServerConfig) { c.StoreDir = "" })
	batch := natsBenchBatch()
	b.Run("bare", func(b *testing.B) {
		nc := broker.Dial(b)
		h := nats.Header{"Content-Type": {"application/json"}, "ctferry-schema": {"ctferry.v1"}}
		rounds := 0
		for b.Loop() {
			for i := range batch.Records {
				if err := nc.PublishMsg(&nats.Msg{Subject: natsTestSubject, Header: h, Data: batch.Records[i].Value}); err != nil {
					b.Fatal(err)
				}
			}
			if err := nc.FlushTimeout(natsPatience); err != nil {
				b.Fatal(err)
			}
			rounds++
		}
		natsBenchReport(b, rounds)
	})
	for _, group := range []Group{GroupNone, GroupNDJSON} {
		b.Run("sink/"+string(group), func(b *testing.B) {
			n := openTestNATS(b, broker.ClientURL(), func(o *NATSOptions) { o.Subject = natsDefaultSubject }, func(e *Env) { e.Group = group })
			natsBenchSink(b, n, batch)
		})
	}
}

// BenchmarkNATSJetStream compares the sink with nats.go alone, into a stream on disk.
func BenchmarkNATSJetStream(b *testing.B) {
	broker := natstest.Start(b)
	natsStream(b, broker.Dial(b), func(c *jetstream.StreamConfig) {
		c.Subjects, c.MaxBytes = []string{natsTestSubject, "ctferry.>"}, 256<<20
	})
	batch := natsBenchBatch()
	b.Run("bare/single/64", func(b *testing.B) { natsBenchBare(b, broker, batch, 64) })
	b.Run("bare/256KiB/1", func(b *testing.B) { natsBenchBareLarge(b, broker) })
	for _, tt := range []struct {
		name     string
		group    Group
		inFlight int
	}{{"sink/none/1", GroupNone, 1}, {"sink/none/64", GroupNone, 64}, {"sink/ndjson/1", GroupNDJSON, 1}, {"sink/ndjson/8", GroupNDJSON, 8}} {
		b.Run(tt.name, func(b *testing.B) {
			n := openTestNATS(b, broker.ClientURL(), func(o *NATSOptions) {
				inStream(o)
				o.Subject, o.MaxInFlight = natsDefaultSubject, tt.inFlight
			}, func(e *Env) { e.Group = tt.group })
			natsBenchSink(b, n, batch)
		})
	}
}

// natsBenchSink gives every round sequence numbers of its own, lest the stream
// drop it as a duplicate.
func natsBenchSink(b *testing.B, n *NATS, batch *Batch) {
	b.ReportAllocs()
	rounds := 0
	for b.Loop() {
		for i := range batch.Records {
			batch.Records[i].Seq += natsBenchRecords
		}
		if err := n.Write(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
		rounds++
	}
	natsBenchReport(b, rounds)
}

func natsBenchBare(b *testing.B, broker *natstest.Broker, batch *Batch, pending int) {
	js, err := jetstream.New(broker.Dial(b), jetstream.WithPublishAsyncMaxPending(pending))
	if err != nil {
		b.Fatal(err)
	}
	rounds := 0
	for b.Loop() {
		for i := range batch.Records {
			if _, err := js.PublishAsync(natsTestSubject, batch.Records[i].Value, jetstream.WithStallWait(natsPatience)); err != nil {
				b.Fatal(err)
			}
		}
		<-js.PublishAsyncComplete()
		rounds++
	}
	natsBenchReport(b, rounds)
}

// natsBenchBareLarge sends as many bytes as a batch in messages of 256 KiB.
func natsBenchBareLarge(b *testing.B, broker *natstest.Broker) {
	js := natsClient(broker.Dial(b))
	data := bytes.Repeat([]byte{'x'}, 256<<10)
	rounds := 0
	for b.Loop() {
		for left := natsBenchRecords * 301; left > 0; left -= len(data) {
			if _, err := js.Publish(context.Background(), natsTestSubject, data[:min(left, len(data))]); err != nil {
				b.Fatal(err)
			}
		}
		rounds++
	}
	natsBenchReport(b, rounds)
}

// BenchmarkNATSPlan is the sorting alone.
func BenchmarkNATSPlan(b *testing.B) {
	batch := natsBenchBatch()
	for _, template := range []string{"flows", natsDefaultSubject} {
		b.Run(template, func(b *testing.B) {
			subject, err := parseNATSSubject(template)
			if err != nil {
				b.Fatal(err)
			}
			p := newNATSPlan(subject, GroupNDJSON)
			b.ReportAllocs()
			rounds := 0
			for b.Loop() {
				p.arrange(batch.Records, 256<<10, 1<<20)
				rounds++
			}
			natsBenchReport(b, rounds)
		})
	}
}
