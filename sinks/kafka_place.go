package sinks

import (
	"context"
	"slices"
)

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

// place gives each record to a partition, and notes those whose topic has none.
func (k *Kafka) place(b *Batch) {
	for i := range b.Records {
		if k.plan.bound[i] {
			continue
		}
		t := k.plan.topics[i]
		if len(t.partitions) == 0 {
			k.plan.stray = append(k.plan.stray, i)
			continue
		}
		p := k.partitionOf(t, &b.Records[i])
		if !p.planned {
			k.plan.touch(p)
		}
		p.todo = append(p.todo, i)
	}
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
