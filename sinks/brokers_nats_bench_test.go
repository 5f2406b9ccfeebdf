package sinks

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
)

// natsTurn sends the records to one broker.
type natsTurn struct {
	broker *natstest.Broker
	rs     []Record
}

// benchNATSCorePerf compares the sink, which flushes behind each batch and
// awaits the answer, with a loop of nats.go that publishes the same values,
// with the same headers or none, and flushes once at its end.
func benchNATSCorePerf(b *testing.B) {
	broker := natstest.Start(b, func(c *natsconn.ServerConfig) { c.StoreDir = "" })
	t := natsTurn{broker, brokerRecords(b, brokerDistinct)}
	for _, headers := range []bool{true, false} {
		name := map[bool]string{true: "none/same-headers", false: "none/bare-without-headers"}[headers]
		b.Run(name, func(b *testing.B) {
			compareBrokers(b, func() float64 { return t.ours(b, natsTestSubject, GroupNone, nil) },
				func() float64 { return t.bareCore(b, headers) })
		})
	}
	b.Run("ndjson", func(b *testing.B) {
		compareBrokers(b, func() float64 { return t.ours(b, natsTestSubject, GroupNDJSON, nil) },
			func() float64 { return t.bareCore(b, false) })
	})
}

// benchNATSStreamPerf compares the sink with a loop of nats.go that publishes
// the same values with as many messages in flight.
func benchNATSStreamPerf(b *testing.B) {
	broker := natstest.Start(b)
	stream := natsStream(b, broker.Dial(b), func(c *jetstream.StreamConfig) { c.MaxBytes = 256 << 20 })
	t := natsTurn{broker, brokerRecords(b, brokerDistinct)}
	for _, flight := range []int{1, 256} {
		b.Run(fmt.Sprintf("none/%d", flight), func(b *testing.B) {
			load := brokerLoad
			if flight == 1 {
				load /= 10
			}
			compareBrokers(b, func() float64 { return t.stored(b, stream, GroupNone, flight, load) },
				func() float64 { return t.bareStream(b, stream, flight, load) })
		})
	}
	b.Run("ndjson/1", func(b *testing.B) {
		compareBrokers(b, func() float64 { return t.stored(b, stream, GroupNDJSON, 1, brokerLoad) },
			func() float64 { return t.bareLarge(b, stream) })
	})
}

// ours counts what the server has read.
func (t natsTurn) ours(b *testing.B, subject string, group Group, change func(*NATSOptions)) float64 {
	n := openTestNATS(b, t.broker.ClientURL(), func(o *NATSOptions) {
		o.Subject = subject
		if change != nil {
			change(o)
		}
	}, func(e *Env) { e.Group = group })
	return pour(b, n, t.rs, brokerLoad)
}

// bareCore is the loop.
func (t natsTurn) bareCore(b *testing.B, headers bool) float64 {
	nc := t.broker.Dial(b)
	defer nc.Close()
	h := nats.Header{"Content-Type": {"application/json"}, "ctferry-schema": {"ctferry.v1"}}
	return bare(b, t.rs, brokerLoad, func(value []byte) error {
		if headers {
			return nc.PublishMsg(&nats.Msg{Subject: natsTestSubject, Header: h, Data: value})
		}
		return nc.Publish(natsTestSubject, value)
	}, func() error { return nc.FlushTimeout(natsPatience) })
}

// stored counts what the stream took; its sequence goes on from turn to turn.
func (t natsTurn) stored(b *testing.B, stream jetstream.Stream, group Group, flight, load int) float64 {
	n := openTestNATS(b, t.broker.ClientURL(), func(o *NATSOptions) {
		inStream(o)
		o.Subject, o.MaxInFlight = natsTestSubject, flight
	}, func(e *Env) {
		e.Group = group
		e.Name = fmt.Sprint("turn", time.Now().UnixNano()) // part of the ids: no message of an earlier turn is the same
	})
	before := lastSequence(b, stream)
	rate := pour(b, n, t.rs, load)
	if took := lastSequence(b, stream) - before; group == GroupNone && took != uint64(load) {
		b.Fatalf("the stream took %d messages, expected %d", took, load)
	}
	return rate
}

func (t natsTurn) bareStream(b *testing.B, stream jetstream.Stream, flight, load int) float64 {
	nc := t.broker.Dial(b)
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(flight))
	if err != nil {
		b.Fatal(err)
	}
	before := lastSequence(b, stream)
	rate := bare(b, t.rs, load, func(value []byte) error {
		_, err := js.PublishAsync(natsTestSubject, value, jetstream.WithStallWait(natsPatience))
		return err
	}, func() error {
		<-js.PublishAsyncComplete()
		return nil
	})
	if took := lastSequence(b, stream) - before; took != uint64(load) {
		b.Fatalf("the stream took %d messages, expected %d", took, load)
	}
	return rate
}

// bareLarge publishes messages as large as the sink's, one at a time.
func (t natsTurn) bareLarge(b *testing.B, stream jetstream.Stream) float64 {
	nc := t.broker.Dial(b)
	defer nc.Close()
	js := natsClient(nc)
	data := make([]byte, 0, 256<<10)
	n := 0
	send := func() error {
		if len(data) == 0 {
			return nil
		}
		_, err := js.Publish(context.Background(), natsTestSubject, data)
		data = data[:0]
		return err
	}
	return bare(b, t.rs, brokerLoad, func(value []byte) error {
		if len(data)+len(value)+1 > cap(data) {
			if err := send(); err != nil {
				return err
			}
		}
		data = append(append(data, value...), '\n')
		n++
		return nil
	}, send)
}

// bare publishes load values and gives those a second behind the warm-up.
func bare(b *testing.B, rs []Record, load int, publish func([]byte) error, complete func() error) float64 {
	began := time.Now()
	for i := range load {
		if i == load/2 {
			if err := complete(); err != nil {
				b.Fatal(err)
			}
			began = time.Now()
		}
		if err := publish(rs[i%len(rs)].Value); err != nil {
			b.Fatal(err)
		}
	}
	if err := complete(); err != nil {
		b.Fatal(err)
	}
	return float64(load-load/2) / time.Since(began).Seconds()
}

func lastSequence(b *testing.B, s jetstream.Stream) uint64 {
	info, err := s.Info(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return info.State.LastSeq
}
