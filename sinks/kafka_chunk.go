package sinks

import (
	"hash/maphash"
	"math"
	"sync"
)

// kafkaPiece is where a batch of one record a message ends, if not sooner. A
// Write to few partitions then goes in several, the next of which is encoded
// and compressed while the broker works on the one before; larger batches
// would save it next to nothing.
const kafkaPiece = 256 << 10

// kafkaChunk is one record batch on its way: some of a Write's records, in
// their order, encoded once.
type kafkaChunk struct {
	kafkaBatch
	key, joined []byte
	wire        []byte // of the batch's buffers
	at, n       int    // its first place among the partition's, and how many records of the Write are in it
	size        int    // before compression
	producer    kafkaProducer
	atSendTime  bool
	maybe       bool // an attempt had no answer: the broker may have it
	tainted     bool // an abandoned request may still read wire: never to be overwritten

	held []kafkaRecordID // set when it is kept for the next Write
}

// kafkaRecordID recognises a record in the next Write.
type kafkaRecordID struct {
	seq  uint64
	time int64
	hash uint64
}

func kafkaRecordIDOf(seed maphash.Seed, r *Record) kafkaRecordID {
	return kafkaRecordID{r.Seq, r.Time, maphash.Bytes(seed, r.Value)}
}

// next is the sequence that follows the chunk's; it goes round to 0 after
// 2^31-1. Without a producer there is none.
func (c *kafkaChunk) next() int32 {
	if c.producer.id < 0 {
		return c.producer.sequence
	}
	return int32((int64(c.producer.sequence) + int64(c.count)) & math.MaxInt32)
}

// kafkaChunks keeps a few chunks for their buffers.
type kafkaChunks struct {
	mu   sync.Mutex
	free []*kafkaChunk
}

func (cs *kafkaChunks) get() *kafkaChunk {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if n := len(cs.free); n > 0 {
		c := cs.free[n-1]
		cs.free = cs.free[:n-1]
		return c
	}
	return new(kafkaChunk)
}

func (cs *kafkaChunks) put(c *kafkaChunk) {
	if c.tainted {
		return
	}
	*c = kafkaChunk{kafkaBatch: c.kafkaBatch, key: c.key, joined: c.joined}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if len(cs.free) < 2*kafkaParallel {
		cs.free = append(cs.free, c)
	}
}

// fill encodes as many of the partition's records from place at on as go into one batch.
func (k *Kafka) fill(b *Batch, p *kafkaPartition, at int, producer kafkaProducer, nowMS int64) (*kafkaChunk, error) {
	c := k.chunks.get()
	c.reset()
	c.at, c.producer = at, producer
	c.atSendTime = p.sendTime || k.o.Timestamp == kafkaTimeSend
	places := p.todo[at:]
	if p.atMost > 0 {
		places = places[:min(len(places), p.atMost)]
	}
	limit := p.topic.limit.Load()
	if k.grouped() {
		k.join(c, b, places, limit, nowMS)
	} else {
		k.line(c, b, places, min(limit, kafkaPiece), nowMS)
	}
	c.size = len(c.raw) - kafkaAtBaseOffset
	var err error
	c.wire, err = c.seal(k.codec, c.producer)
	return c, err
}

func (k *Kafka) grouped() bool { return k.env.Group == GroupNDJSON || k.env.Group == GroupRecordBatch }

// line makes a message of each record.
func (k *Kafka) line(c *kafkaChunk, b *Batch, places []int, limit, nowMS int64) {
	for _, i := range places {
		r, ms := &b.Records[i], nowMS
		if !c.atSendTime {
			ms = kafkaMS(r.Time)
		}
		var key []byte
		if k.o.Key != kafkaKeyNone {
			c.key = appendKafkaKey(c.key[:0], k.o.Key, r)
			key = c.key
		}
		if c.n > 0 && int64(c.sizeWith(key, r.Value, k.headers, ms)) > limit {
			return
		}
		c.add(key, r.Value, k.headers, ms)
		c.n++
	}
}

// join makes one message of many records. It has no key: its records have
// many, and their partition was chosen by those. Its time is the first's.
func (k *Kafka) join(c *kafkaChunk, b *Batch, places []int, limit, nowMS int64) {
	c.joined = c.joined[:0]
	room := limit - kafkaBatchHeader - int64(len(k.headers)) - 32
	for _, i := range places {
		value := b.Records[i].Value
		if c.n > 0 && int64(len(c.joined)+kafkaJoinedLen(value)) > room {
			break
		}
		c.joined = appendKafkaJoined(c.joined, k.env.Group, value)
		c.n++
	}
	ms := nowMS
	if !c.atSendTime {
		ms = kafkaMS(b.Records[places[0]].Time)
	}
	c.add(nil, c.joined, k.headers, ms)
}

// kafkaMS turns ns into ms, both since the epoch.
func kafkaMS(ns int64) int64 { return ns / 1e6 }
