package sinks

import (
	"context"
	"slices"
	"time"

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
	stray   []int             // records whose topic has no partitions
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
	k.place(b)
	var g errgroup.Group
	g.SetLimit(kafkaParallel)
	for _, p := range k.plan.touched {
		g.Go(func() error {
			k.deliver(ctx, b, p)
			return nil
		})
	}
	_ = g.Wait() // each partition keeps its own error
	now := time.Now()
	k.giveUp(now)
	given, cause, failed := k.strays(now)
	k.keepHeld()
	return k.sum(b, given, cause, failed)
}

func (pl *kafkaPlan) begin(n int) {
	if pl.names == nil || len(pl.names) > kafkaMaxNames {
		pl.names = map[templateKey]*kafkaTopic{}
	}
	pl.topics = slices.Grow(pl.topics[:0], n)[:n]
	pl.bound = slices.Grow(pl.bound[:0], n)[:n]
	clear(pl.bound)
	pl.used, pl.touched, pl.stray = pl.used[:0], pl.touched[:0], pl.stray[:0]
	pl.sticky = nil
}

// touch puts a partition on the list, empty.
func (pl *kafkaPlan) touch(p *kafkaPartition) {
	p.begin()
	p.planned = true
	pl.touched = append(pl.touched, p)
}

// match finds the records of the chunks that were sent before. A chunk that
// has lost a record, or its partition, cannot be sent again as it is, and another
// must not bear its sequence: then the partition takes a new producer id.
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
		if len(p.todo) < len(p.held.held) || p.gone() {
			k.duplicates(p, len(p.todo), "answer lost, then the batch changed, or the partition was gone")
			p.renew, p.held, p.todo = true, nil, p.todo[:0]
			continue
		}
		for _, i := range p.todo {
			k.plan.bound[i] = true
		}
	}
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
// Given are records that were given up with no partition, for a cause.
func (k *Kafka) sum(b *Batch, given []int, cause, failed error) error {
	poison := given
	errs, class := []error{cause, failed}, Configuration
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
