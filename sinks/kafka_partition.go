package sinks

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// kafkaQuick is how long one Write tries again by itself: long enough for a
// leader to move, short enough that the outlet's own pauses rule. A request
// that was slow to fail is not repeated.
const kafkaQuick = time.Second

// kafkaPartition is a partition's state. But for leader it belongs to Write and,
// while that runs, to the partition's one worker.
type kafkaPartition struct {
	topic  *kafkaTopic
	id     int
	leader net.Addr // under kafkaCluster.mu; nil when there is none

	producer kafkaProducer // with the next sequence
	known    bool          // producer is set
	renew    bool          // take a producer id that this partition has not used
	held     *kafkaChunk   // sent, and neither acknowledged nor refused

	// Of one Write.
	planned  bool
	todo     []int // places of the records, those that can never be accepted taken out
	at       int   // the first that is not delivered
	poison   []int
	cause    error // of the last poison
	atMost   int   // records in a batch, to find the one that is refused; 0 is any number
	sendTime bool  // the next batch bears the time of sending
	renewed  bool
	ahead    *kafkaChunk // encoded while the one before it was under way
	err      error
	fault    kafkaFault
}

// begin makes the partition ready for a Write.
func (p *kafkaPartition) begin() {
	p.todo, p.at, p.poison = p.todo[:0], 0, nil
	p.atMost, p.sendTime, p.renewed = 0, false, false
	p.err, p.cause, p.fault = nil, nil, kafkaFault{}
}

// deliver sends the partition's records, one batch after the other, and stops
// at the first that cannot be delivered now.
func (k *Kafka) deliver(ctx context.Context, b *Batch, p *kafkaPartition) {
	for p.err == nil && p.at < len(p.todo) {
		c, err := k.chunk(ctx, b, p)
		if err != nil {
			p.fail(kafkaJudge(err), err)
			break
		}
		if k.tooLarge(c) {
			err := fmt.Errorf("a record of %d bytes is larger than max_message_bytes", len(b.Records[p.todo[p.at]].Value))
			p.drop(err, 0)
			k.chunks.put(c)
			continue
		}
		res, err := k.sendAndPrepare(ctx, b, p, c)
		k.settle(b, p, c, res, err)
	}
	k.dropAhead(p)
}

// sendAndPrepare sends the chunk and meanwhile encodes the next, as it is to
// be if this one is delivered.
func (k *Kafka) sendAndPrepare(ctx context.Context, b *Batch, p *kafkaPartition, c *kafkaChunk) (*kafka.ProduceResponse, error) {
	var beside sync.WaitGroup
	// With the time of sending goes only what was refused, so nothing is encoded beside that.
	if next := p.at + c.n; next < len(p.todo) && !p.sendTime {
		producer := c.producer
		producer.sequence = c.next()
		beside.Go(func() {
			if ahead, err := k.fill(b, p, next, producer, time.Now().UnixMilli()); err == nil {
				p.ahead = ahead
			} // if not, the error is for the one who needs the chunk
		})
	}
	res, err := k.send(ctx, p, c)
	beside.Wait()
	return res, err
}

// chunk gives what was sent before, unchanged, or the next batch.
func (k *Kafka) chunk(ctx context.Context, b *Batch, p *kafkaPartition) (*kafkaChunk, error) {
	if c := p.held; c != nil {
		p.held, c.held = nil, nil
		return c, nil
	}
	if err := k.identify(ctx, p); err != nil {
		return nil, err
	}
	if c := p.ahead; c != nil && c.at == p.at && c.producer == p.producer && p.atMost == 0 && !p.sendTime {
		p.ahead = nil
		return c, nil
	}
	k.dropAhead(p)
	return k.fill(b, p, p.at, p.producer, time.Now().UnixMilli())
}

// dropAhead gives up what was encoded for a course that things did not take.
func (k *Kafka) dropAhead(p *kafkaPartition) {
	if p.ahead != nil {
		k.chunks.put(p.ahead)
		p.ahead = nil
	}
}

// identify gives the partition its producer id.
func (k *Kafka) identify(ctx context.Context, p *kafkaPartition) error {
	if !k.idempotent {
		p.producer, p.known = kafkaNoProducer(), false
		return nil
	}
	if p.known && !p.renew {
		return nil
	}
	producer, err := k.session.get(ctx, k.cluster, p.renew)
	if err != nil {
		return fmt.Errorf("producer id: %w", err)
	}
	p.producer, p.known, p.renew = producer, true, false
	return nil
}

func (k *Kafka) tooLarge(c *kafkaChunk) bool {
	return c.n == 1 && !c.maybe && len(c.wire)-kafkaAtBaseOffset > int(k.o.MaxMessageBytes)
}

// send sends the chunk to the partition's leader, whoever that turns out to be.
func (k *Kafka) send(ctx context.Context, p *kafkaPartition, c *kafkaChunk) (*kafka.ProduceResponse, error) {
	began := time.Now()
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		addr, round, err := k.cluster.leader(p)
		var res *kafka.ProduceResponse
		if err == nil {
			if res, err = k.produce(ctx, addr, p, c); err == nil {
				return res, nil
			}
			c.maybe = c.maybe || !kafkaJudge(err).refused
		}
		if kafkaJudge(err).verdict != kafkaAgain || time.Since(began) > kafkaQuick {
			return res, err
		}
		if !kafkaSleep(ctx, pause) {
			return res, err
		}
		// If nobody answers, the next attempt says so.
		_ = k.cluster.refresh(ctx, round)
	}
}

// produce is one attempt.
func (k *Kafka) produce(ctx context.Context, addr net.Addr, p *kafkaPartition, c *kafkaChunk) (*kafka.ProduceResponse, error) {
	acks := kafka.RequireAll
	if k.o.Acks == kafkaAcksLeader {
		acks = kafka.RequireOne
	}
	res, err := k.cluster.client.RawProduce(ctx, &kafka.RawProduceRequest{
		Addr: addr, Topic: p.topic.name, Partition: p.id, RequiredAcks: acks,
		RawRecords: kafkaRaw(bytes.NewReader(c.wire)),
	})
	if err != nil {
		c.tainted = true
		return nil, fmt.Errorf("broker %s: %w", addr, kafkaCause(err))
	}
	return res, res.Error
}

// kafkaSleep waits, and tells whether it could to the end.
func kafkaSleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
