package sinks

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
)

// kafkaUnknownGrace is how long a topic may be unknown before that counts as
// a fault of the configuration, and a partition before it is gone: brokers learn
// of new ones one by one.
const kafkaUnknownGrace = 5 * time.Second

// kafkaTopic is a topic that records were placed in.
type kafkaTopic struct {
	name       string
	partitions []*kafkaPartition // by id
	known      []*kafkaPartition // the same, and behind them those that are gone: their sequences must not begin again
	fewer      time.Time         // since when there are fewer than partitions
	limit      atomic.Int64      // bytes of a batch that the broker is known to refuse, or max_message_bytes + 1
	err        error             // why there are no partitions; under kafkaCluster.mu
	unknown    time.Time         // since when the brokers do not know it
	refused    time.Time         // since when it is refused for good; Write alone looks
	next       int               // for records without a key
}

// learn takes a topic's partitions and leaders.
func (t *kafkaTopic) learn(m kafka.Topic) {
	t.err = m.Error
	if errors.Is(m.Error, kafka.UnknownTopicOrPartition) {
		if t.unknown.IsZero() {
			t.unknown = time.Now()
		}
		t.err = &kafkaUnknownTopic{persists: time.Since(t.unknown) > kafkaUnknownGrace}
		for _, p := range t.partitions {
			p.leader = nil
		}
	}
	if m.Error != nil {
		return
	}
	t.unknown = time.Time{}
	slices.SortFunc(m.Partitions, func(a, b kafka.Partition) int { return a.ID - b.ID })
	n := 0
	for _, mp := range m.Partitions {
		if mp.ID == len(t.known) {
			t.known = append(t.known, &kafkaPartition{topic: t, id: mp.ID})
		}
		if mp.ID < len(t.known) {
			t.known[mp.ID].leader = kafkaLeader(mp)
		}
		if mp.ID == n {
			n++
		}
	}
	t.use(n)
}

// use makes n the number of partitions. Fewer than before are there when a topic
// was made again, or for a moment when a broker has not learned of new ones.
func (t *kafkaTopic) use(n int) {
	switch {
	case n >= len(t.partitions):
	case t.fewer.IsZero():
		t.fewer = time.Now()
		return
	case n == 0 || time.Since(t.fewer) <= kafkaUnknownGrace:
		return
	}
	t.partitions, t.fewer = t.known[:n:n], time.Time{}
}

// gone reports whether the topic was made again with fewer partitions.
func (p *kafkaPartition) gone() bool { return p.id >= len(p.topic.partitions) }

func kafkaLeader(p kafka.Partition) net.Addr {
	if p.Leader.Host == "" {
		return nil
	}
	return kafkaAddr(p.Leader)
}

func kafkaAddr(b kafka.Broker) net.Addr {
	return kafka.TCP(net.JoinHostPort(b.Host, fmt.Sprint(b.Port)))
}

// kafkaUnknownTopic says that the brokers do not know a topic.
type kafkaUnknownTopic struct{ persists bool }

func (*kafkaUnknownTopic) Error() string { return "does not exist on these brokers" }

// Unwrap gives the broker's code.
func (*kafkaUnknownTopic) Unwrap() error { return kafka.UnknownTopicOrPartition }
