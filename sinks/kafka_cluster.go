package sinks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
)

// kafkaUnknownGrace is how long a topic may be unknown before that counts as
// a fault of the configuration: brokers learn of a new topic one by one.
const kafkaUnknownGrace = 5 * time.Second

// kafkaTopic is a topic that records were placed in.
type kafkaTopic struct {
	name       string
	partitions []*kafkaPartition // by id; grows only
	limit      atomic.Int64      // bytes of a batch that the broker is known to refuse, or max_message_bytes + 1
	err        error             // why there are no partitions; under kafkaCluster.mu
	unknown    time.Time         // since when the brokers do not know it
	next       int               // for records without a key
}

// kafkaCluster knows topics, partitions and leaders. Its methods may be called
// by several goroutines.
type kafkaCluster struct {
	client    *kafka.Client
	transport *kafka.Transport
	seeds     []string
	limit     int64 // of new topics

	mu       sync.Mutex // held while metadata is fetched: others want the same answer
	topics   map[string]*kafkaTopic
	brokers  []string // as last told
	asked    time.Time
	round    uint64 // of refreshes, so that many failures of one moment ask once
	lastGood string
}

// topic finds or notes a topic. Its partitions come with the next refresh.
func (c *kafkaCluster) topic(name string) *kafkaTopic {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.topics[name]
	if t == nil {
		t = &kafkaTopic{name: name, err: kafka.LeaderNotAvailable}
		t.limit.Store(c.limit)
		c.topics[name] = t
	}
	return t
}

// leader tells where to send a partition's batches and the round in which that was learned.
func (c *kafkaCluster) leader(p *kafkaPartition) (net.Addr, uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.leader != nil {
		return p.leader, c.round, nil
	}
	if p.topic.err != nil {
		return nil, c.round, p.topic.err
	}
	return nil, c.round, kafka.LeaderNotAvailable
}

// current is the round of the last refresh.
func (c *kafkaCluster) current() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.round
}

// stale reports whether the metadata is older than maxAge or lacks a topic's partitions.
func (c *kafkaCluster) stale(maxAge time.Duration, topics []*kafkaTopic) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	lacks := func(t *kafkaTopic) bool { return len(t.partitions) == 0 }
	return time.Since(c.asked) > maxAge || slices.ContainsFunc(topics, lacks)
}

// refresh asks the brokers anew unless that was done since round.
func (c *kafkaCluster) refresh(ctx context.Context, round uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.round != round {
		return nil
	}
	names := []string{}
	for name := range c.topics {
		names = append(names, name)
	}
	m, err := c.ask(ctx, names)
	if err != nil {
		return err
	}
	c.round++
	c.asked = time.Now()
	c.learnBrokers(m)
	for _, t := range m.Topics {
		if known := c.topics[t.Name]; known != nil {
			known.learn(t)
		}
	}
	return nil
}

// ask fetches the topics' metadata. It is called under mu.
func (c *kafkaCluster) ask(ctx context.Context, names []string) (m *kafka.MetadataResponse, err error) {
	c.lastGood, err = tryBrokers(ctx, c.candidates(), func(addr net.Addr) (err error) {
		if m, err = c.client.Metadata(ctx, &kafka.MetadataRequest{Addr: addr, Topics: names}); err != nil {
			return kafkaCause(err)
		}
		return nil
	})
	return m, err
}

// initProducer asks any broker for a producer id that nobody has used.
func (c *kafkaCluster) initProducer(ctx context.Context) (kafkaProducer, error) {
	c.mu.Lock()
	candidates := c.candidates()
	c.mu.Unlock()
	var p kafkaProducer
	_, err := tryBrokers(ctx, candidates, func(addr net.Addr) error {
		res, err := c.client.InitProducerID(ctx, &kafka.InitProducerIDRequest{Addr: addr, TransactionTimeoutMs: kafkaTransactionTimeout})
		if err != nil {
			return kafkaCause(err)
		}
		p = kafkaProducer{id: int64(res.Producer.ProducerID), epoch: int16(res.Producer.ProducerEpoch)}
		return res.Error
	})
	return p, err
}

// kafkaTransactionTimeout must be positive, though there is no transaction (ms).
const kafkaTransactionTimeout = 60_000

// candidates are the broker that answered last, then all that are known.
func (c *kafkaCluster) candidates() []string {
	return slices.Concat([]string{c.lastGood}, c.brokers, c.seeds)
}

// tryBrokers asks one after the other and tells who answered.
func tryBrokers(ctx context.Context, candidates []string, ask func(net.Addr) error) (string, error) {
	var all error
	tried := map[string]bool{"": true}
	for _, addr := range candidates {
		if tried[addr] {
			continue
		}
		tried[addr] = true
		err := ask(kafka.TCP(addr))
		if err == nil {
			return addr, nil
		}
		all = kafkaJoin(all, fmt.Errorf("broker %s: %w", addr, err))
		if ctx.Err() != nil {
			break
		}
	}
	return "", all
}

// learnBrokers notes the brokers. When one left, all idle connections are
// closed: Transport keeps its pools by address and forgets none by itself.
func (c *kafkaCluster) learnBrokers(m *kafka.MetadataResponse) {
	brokers := make([]string, 0, len(m.Brokers))
	for _, b := range m.Brokers {
		brokers = append(brokers, kafkaAddr(b).String())
	}
	gone := func(addr string) bool { return !slices.Contains(brokers, addr) }
	if slices.ContainsFunc(c.brokers, gone) {
		c.transport.CloseIdleConnections()
	}
	c.brokers = brokers
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
	for _, mp := range m.Partitions {
		if mp.ID == len(t.partitions) {
			t.partitions = append(t.partitions, &kafkaPartition{topic: t, id: mp.ID})
		}
		if mp.ID < len(t.partitions) {
			t.partitions[mp.ID].leader = kafkaLeader(mp)
		}
	}
}

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

// forget drops all topics if there are more than most.
func (c *kafkaCluster) forget(most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.topics) <= most {
		return false
	}
	clear(c.topics)
	return true
}
