package sinks

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
)

// Kafka writes to topics of one cluster. Each partition has at most one request
// in flight, so that its records keep their order over every retry; batches
// carry a producer id and a sequence, so that one whose answer was lost can be
// sent again, byte for byte, without standing twice.
type Kafka struct {
	o       KafkaOptions
	env     Env
	names   kafkaTopicTemplate
	codec   kafkaCodec
	headers []byte // as they stand at each record's end
	seed    maphash.Seed

	cluster    *kafkaCluster
	stop       context.CancelFunc // ends the client's goroutines; nil when closed
	idempotent bool
	session    kafkaSession
	chunks     kafkaChunks
	plan       kafkaPlan
	delivered  time.Time // when some topic last took something
	yielded    time.Time // when records were last given up though none had since the refusal
	counters   kafkaCounters
}

// KafkaCounters are what happened to records beside delivery, since the start.
type KafkaCounters struct {
	TimesRefused       uint64 // sent with the time of sending, because the broker refused their own
	PossibleDuplicates uint64 // sent again under a new producer id, so that they may stand twice
}

type kafkaCounters struct{ timesRefused, possibleDuplicates atomic.Uint64 }

// Counters may be called at any time.
func (k *Kafka) Counters() KafkaCounters {
	return KafkaCounters{k.counters.timesRefused.Load(), k.counters.possibleDuplicates.Load()}
}

// New makes the sink. It does no I/O.
func (o *KafkaOptions) New(env Env) (Sink, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	names, err := parseKafkaTopic(o.Topic)
	if err != nil {
		return nil, fmt.Errorf("topic: %w", err)
	}
	codec, err := newKafkaCodec(o.Compression)
	if err != nil {
		return nil, err
	}
	return &Kafka{
		o: *o, env: env, names: names, codec: codec,
		headers: appendKafkaHeaders(nil, groupContentType(env.Format, env.Group), o.Headers),
		seed:    maphash.MakeSeed(),
		cluster: &kafkaCluster{seeds: o.Brokers, limit: int64(o.MaxMessageBytes), topics: map[string]*kafkaTopic{}},
	}, nil
}

// Open connects, checks that a topic that does not depend on records exists,
// and gets a producer id. Partitions and what is unacknowledged outlive it.
func (k *Kafka) Open(ctx context.Context) error {
	k.hangUp()
	lasting, stop := context.WithCancel(context.WithoutCancel(ctx))
	client, transport, err := newKafkaClient(lasting, &k.o)
	if err != nil {
		stop()
		return &Error{Class: Configuration, Reopen: true, Err: err}
	}
	k.stop, k.cluster.client, k.cluster.transport = stop, client, transport
	if err := k.look(ctx); err != nil {
		return kafkaReopen(err)
	}
	return k.begin(ctx)
}

// look fetches the metadata.
func (k *Kafka) look(ctx context.Context) error {
	if !k.names.fixed() {
		return k.cluster.refresh(ctx, k.cluster.current())
	}
	t := k.cluster.topic(k.o.Topic)
	if err := k.cluster.refresh(ctx, k.cluster.current()); err != nil {
		return err
	}
	if len(t.partitions) == 0 {
		return kafkaTopicError(t.name, t.err)
	}
	return nil
}

// begin gets a producer id, or goes without one where that is allowed.
func (k *Kafka) begin(ctx context.Context) error {
	k.idempotent = k.o.Idempotent != KafkaIdempotentOff && k.o.Acks == kafkaAcksAll
	if !k.idempotent {
		return nil
	}
	_, err := k.session.get(ctx, k.cluster, false)
	if err == nil {
		return nil
	}
	if k.o.Idempotent == KafkaIdempotentAuto && kafkaRefusesProducers(err) {
		k.idempotent = false
		k.env.Log.Warn("kafka brokers refuse idempotence: a retry may leave duplicates", "sink", k.env.Name, "error", err)
		return nil
	}
	return kafkaReopen(fmt.Errorf("idempotent: %w", err))
}

func kafkaRefusesProducers(err error) bool {
	return errors.Is(err, kafka.ClusterAuthorizationFailed) || errors.Is(err, kafka.TransactionalIDAuthorizationFailed) ||
		errors.Is(err, kafka.UnsupportedVersion)
}

// Close ends all connections. What was not acknowledged stays the outlet's.
func (k *Kafka) Close(context.Context) error {
	k.hangUp()
	return nil
}

func (k *Kafka) hangUp() {
	if k.stop == nil {
		return
	}
	k.cluster.transport.CloseIdleConnections()
	k.stop()
	k.stop = nil
}

// kafkaSession is the producer id for partitions that have none yet.
type kafkaSession struct {
	mu      sync.Mutex
	valid   bool
	current kafkaProducer
}

// get gives the producer id, or, if fresh, one that no partition has used.
func (s *kafkaSession) get(ctx context.Context, c *kafkaCluster, fresh bool) (kafkaProducer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.valid && !fresh {
		return s.current, nil
	}
	// A broker that has just started has no ids to give for a moment.
	began := time.Now()
	p, err := c.initProducer(ctx)
	for pause := 10 * time.Millisecond; err != nil; pause *= 2 {
		if kafkaJudge(err).verdict != kafkaAgain || time.Since(began) > kafkaQuick || !kafkaSleep(ctx, pause) {
			return p, err
		}
		p, err = c.initProducer(ctx)
	}
	s.current, s.valid = p, true
	return p, nil
}

// forget makes the next get ask for a new id.
func (s *kafkaSession) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.valid = false
}
