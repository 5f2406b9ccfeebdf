package sinks

import (
	"fmt"
	"io"
	"slices"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

func kafkaRaw(r io.Reader) protocol.RawRecordSet { return protocol.RawRecordSet{Reader: r} }

// settle draws the consequences of a chunk's last attempt. Afterwards either
// the partition has moved on, or the next chunk is another one, or p.err is set.
func (k *Kafka) settle(b *Batch, p *kafkaPartition, c *kafkaChunk, res *kafka.ProduceResponse, err error) {
	fault := kafkaJudge(err)
	if err == nil || fault.verdict == kafkaDelivered {
		p.at += c.n
		p.producer.sequence = c.next()
		p.atMost, p.sendTime = 0, false
		k.chunks.put(c)
		return
	}
	switch fault.verdict {
	case kafkaSmaller:
		k.shrink(p, c, err)
	case kafkaBadRecord:
		k.sift(p, c, res, err)
	case kafkaSendTime:
		k.retime(p, c, fault, err)
	case kafkaNewSession:
		k.renew(p, c, fault, err)
	default:
		p.fail(fault, err)
		if c.maybe && k.idempotent {
			k.hold(b, p, c)
			return
		}
	}
	k.release(p, c)
}

// release gives a chunk up that will not be sent again as it is. If an earlier
// attempt may have been written, its sequence must not be used for other bytes:
// the broker would take them for the same batch and drop them.
func (k *Kafka) release(p *kafkaPartition, c *kafkaChunk) {
	switch {
	case c.maybe && k.idempotent:
		k.duplicates(p, c.n, "answer lost, then refused")
		p.renew = true
	case c.maybe:
		k.counters.possibleDuplicates.Add(uint64(c.n))
	}
	k.chunks.put(c)
}

// hold keeps the chunk for the next Write.
func (k *Kafka) hold(b *Batch, p *kafkaPartition, c *kafkaChunk) {
	c.held = make([]kafkaRecordID, c.n)
	for i, place := range p.todo[p.at : p.at+c.n] {
		c.held[i] = kafkaRecordIDOf(k.seed, &b.Records[place])
	}
	p.held = c
}

// shrink makes all later batches to the topic smaller. The limit is the
// broker's on what it gets, ours is on what stands in it before compression,
// so half of what was refused is a bound that is found by trying.
func (k *Kafka) shrink(p *kafkaPartition, c *kafkaChunk, err error) {
	if c.n == 1 {
		p.drop(err, 0)
		return
	}
	for smaller := int64(c.size / 2); ; {
		old := p.topic.limit.Load()
		if old <= smaller {
			return
		}
		if p.topic.limit.CompareAndSwap(old, smaller) {
			k.env.Log.Warn("kafka topic refuses batches of this size: smaller ones from now on",
				"sink", k.env.Name, "topic", p.topic.name, "refused", len(c.wire)-kafkaAtBaseOffset, "limit", smaller)
			return
		}
	}
}

// sift takes out the records that the broker names; if it names none, halves
// the batch until the one is alone.
func (k *Kafka) sift(p *kafkaPartition, c *kafkaChunk, res *kafka.ProduceResponse, err error) {
	var bad []int
	if res != nil && !k.grouped() {
		for i := range res.RecordErrors {
			if i >= 0 && i < c.n {
				bad = append(bad, i)
			}
		}
	}
	if c.n == 1 {
		bad = []int{0}
	}
	if len(bad) == 0 {
		p.atMost = c.n / 2
		return
	}
	slices.Sort(bad)
	for _, i := range slices.Backward(bad) {
		cause := err
		if res != nil && res.RecordErrors[i] != nil {
			cause = fmt.Errorf("%w: %w", err, res.RecordErrors[i])
		}
		p.drop(cause, i)
	}
	p.atMost = 0
}

// retime sends the batch again with the time of sending.
func (k *Kafka) retime(p *kafkaPartition, c *kafkaChunk, fault kafkaFault, err error) {
	if c.atSendTime {
		fault.class = Configuration
		p.fail(fault, fmt.Errorf("even the time of sending: %w", err))
		return
	}
	if k.counters.timesRefused.Add(uint64(c.n)) == uint64(c.n) {
		k.env.Log.Warn("kafka topic refuses event times: such records bear the time of sending, and are counted",
			"sink", k.env.Name, "topic", p.topic.name, "error", err)
	}
	p.sendTime, p.atMost = true, c.n // these records, although more would go in with one time for all
}

// renew takes a new producer id, once a Write.
func (k *Kafka) renew(p *kafkaPartition, c *kafkaChunk, fault kafkaFault, err error) {
	if p.renewed {
		p.fail(fault, err)
	}
	if !c.maybe {
		k.env.Log.Warn("kafka producer id refused: taking a new one", "sink", k.env.Name, "topic", p.topic.name, "partition", p.id, "error", err)
	}
	p.renew, p.renewed = true, true
}

// duplicates tells that records may stand twice.
func (k *Kafka) duplicates(p *kafkaPartition, n int, reason string) {
	k.counters.possibleDuplicates.Add(uint64(n))
	k.env.Log.Warn("kafka records may stand twice", "sink", k.env.Name, "topic", p.topic.name, "partition", p.id, "records", n, "reason", reason)
}

// fail ends the partition's Write.
func (p *kafkaPartition) fail(fault kafkaFault, err error) {
	p.fault, p.err = fault, kafkaTopicError(p.topic.name, err)
}

// drop takes the record out that stands i behind the first undelivered one. The Write goes on.
func (p *kafkaPartition) drop(err error, i int) {
	p.poison = append(p.poison, p.todo[p.at+i])
	p.todo = slices.Delete(p.todo, p.at+i, p.at+i+1)
	p.cause = kafkaTopicError(p.topic.name, err)
}

// kafkaTopicError puts the topic before the error, in our words where we have some.
func kafkaTopicError(topic string, err error) error {
	return fmt.Errorf("topic %s: %w", topic, kafkaSay(kafkaJudge(err), err))
}
