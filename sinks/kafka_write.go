package sinks

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
)

const (
	// kafkaParallel is how many partitions of one Write are sent to at a time.
	kafkaParallel = 32
	// kafkaMaxTopics and kafkaMaxNames bound what is remembered; beyond them all is forgotten and learned again.
	kafkaMaxTopics = 1024
	kafkaMaxNames  = 4096
)

// kafkaPlan is what one Write does. Its slices are used again.
type kafkaPlan struct {
	names   map[templateKey]*kafkaTopic
	topics  []*kafkaTopic     // of each record
	used    []*kafkaTopic     // each once
	bound   []bool            // records that are in a held chunk
	touched []*kafkaPartition // with something to do
	held    []*kafkaPartition // with a chunk from the last Write
	key     []byte
	bytes   int // in the sticky partition
	sticky  *kafkaPartition
}

// Write implements Sink.
func (k *Kafka) Write(ctx context.Context, b *Batch) error {
	if len(b.Records) == 0 {
		return nil
	}
	k.plan.begin(len(b.Records))
	k.match(b)
	if err := k.findTopics(ctx, b); err != nil {
		k.keepHeld()
		return kafkaFail(err)
	}
	failed := k.place(b)
	var g errgroup.Group
	g.SetLimit(kafkaParallel)
	for _, p := range k.plan.touched {
		g.Go(func() error {
			k.deliver(ctx, b, p)
			return nil
		})
	}
	_ = g.Wait() // each partition keeps its own error
	k.keepHeld()
	return k.sum(b, failed)
}

func (pl *kafkaPlan) begin(n int) {
	if pl.names == nil || len(pl.names) > kafkaMaxNames {
		pl.names = map[templateKey]*kafkaTopic{}
	}
	pl.topics = slices.Grow(pl.topics[:0], n)[:n]
	pl.bound = slices.Grow(pl.bound[:0], n)[:n]
	clear(pl.bound)
	pl.used, pl.touched = pl.used[:0], pl.touched[:0]
	pl.sticky = nil
}

// touch puts a partition on the list, empty.
func (pl *kafkaPlan) touch(p *kafkaPartition) {
	p.begin()
	p.planned = true
	pl.touched = append(pl.touched, p)
}

// match finds the records of the chunks that were sent before. A chunk that
// has lost a record cannot be sent again as it is, and another must not bear
// its sequence: then the partition takes a new producer id.
func (k *Kafka) match(b *Batch) {
	if len(k.plan.held) == 0 {
		return
	}
	places := make(map[kafkaRecordID]int, len(b.Records))
	for i := range b.Records {
		places[kafkaRecordIDOf(k.seed, &b.Records[i])] = i
	}
	for _, p := range k.plan.held {
		k.plan.touch(p)
		for _, id := range p.held.held {
			if i, ok := places[id]; ok {
				p.todo = append(p.todo, i)
			}
		}
		if len(p.todo) < len(p.held.held) {
			k.duplicates(p, len(p.todo), "answer lost, then the batch changed")
			p.renew, p.held, p.todo = true, nil, p.todo[:0]
			continue
		}
		for _, i := range p.todo {
			k.plan.bound[i] = true
		}
	}
}

// findTopics names each record's topic and learns the partitions of those that are new.
func (k *Kafka) findTopics(ctx context.Context, b *Batch) error {
	k.forget()
	for i := range b.Records {
		t := k.topicOf(&b.Records[i])
		k.plan.topics[i] = t
		if i == 0 || k.plan.topics[i-1] != t {
			if !slices.Contains(k.plan.used, t) {
				k.plan.used = append(k.plan.used, t)
			}
		}
	}
	if !k.cluster.stale(k.o.MetadataMaxAge, k.plan.used) {
		return nil
	}
	err := k.cluster.refresh(ctx, k.cluster.current())
	if lacks := slices.ContainsFunc(k.plan.used, func(t *kafkaTopic) bool { return len(t.partitions) == 0 }); err != nil && lacks {
		return err
	}
	return nil // what is known is still good to try
}

// forget starts anew when there are too many topics, unless a chunk is held:
// then no record has come in that is not in the last Write, and so no topic.
func (k *Kafka) forget() {
	if len(k.plan.held) > 0 || !k.cluster.forget(kafkaMaxTopics) {
		return
	}
	clear(k.plan.names)
	k.session.forget() // partitions have forgotten their sequences
}

func (k *Kafka) topicOf(r *Record) *kafkaTopic {
	var key templateKey
	if !k.names.fixed() {
		key = templateKeyOf(r)
	}
	t := k.plan.names[key]
	if t == nil {
		t = k.cluster.topic(k.names.expand(key))
		k.plan.names[key] = t
	}
	return t
}

// place gives each record to a partition. It returns the error of those that have none.
func (k *Kafka) place(b *Batch) error {
	var failed error
	for i := range b.Records {
		if k.plan.bound[i] {
			continue
		}
		t := k.plan.topics[i]
		if len(t.partitions) == 0 {
			if failed == nil {
				failed = kafkaTopicError(t.name, t.err)
			}
			continue
		}
		p := k.partitionOf(t, &b.Records[i])
		if !p.planned {
			k.plan.touch(p)
		}
		p.todo = append(p.todo, i)
	}
	return failed
}

// partitionOf chooses by key, or for what has none the next with a leader:
// round_robin moves on with each record, sticky when a batch is full.
func (k *Kafka) partitionOf(t *kafkaTopic, r *Record) *kafkaPartition {
	pl := &k.plan
	if k.o.keyed() {
		pl.key = appendKafkaKey(pl.key[:0], k.o.Key, r)
		return t.partitions[kafkaPartitionOf(k.o.Partitioner, pl.key, len(t.partitions))]
	}
	if k.o.Partitioner != kafkaRoundRobin && pl.sticky != nil && pl.sticky.topic == t && pl.bytes < int(t.limit.Load()) {
		pl.bytes += len(r.Value)
		return pl.sticky
	}
	pl.sticky, pl.bytes = t.turn(), len(r.Value)
	return pl.sticky
}

// turn gives the next partition that has a leader, if any has.
func (t *kafkaTopic) turn() *kafkaPartition {
	for range t.partitions {
		t.next = (t.next + 1) % len(t.partitions)
		if t.partitions[t.next].leader != nil {
			break
		}
	}
	return t.partitions[t.next]
}

// keepHeld notes which partitions hold a chunk for the next Write.
func (k *Kafka) keepHeld() {
	held := k.plan.held[:0]
	for _, p := range k.plan.touched {
		p.planned = false
		if p.held != nil {
			held = append(held, p)
		}
	}
	k.plan.held = held
}

// sum marks what was delivered and makes one error of all: poison first, for
// the outlet can go on without those records; then what time may mend.
func (k *Kafka) sum(b *Batch, failed error) error {
	var poison []int
	errs, class := []error{failed}, Configuration
	if failed != nil {
		class = kafkaJudge(failed).class
	}
	for _, p := range k.plan.touched {
		poison = append(poison, p.poison...)
		errs = append(errs, p.cause, p.err)
		if p.err != nil && p.fault.class != Configuration {
			class = Retry
		}
	}
	err := kafkaJoin(errs...)
	if err == nil {
		return nil
	}
	for _, p := range k.plan.touched {
		for _, i := range p.todo[:p.at] {
			b.Done(i)
		}
	}
	if len(poison) > 0 {
		slices.Sort(poison)
		return &Error{Class: Poison, Poison: poison, Err: err}
	}
	return &Error{Class: class, Reopen: class == Configuration, Err: err}
}
