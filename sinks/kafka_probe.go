package sinks

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"github.com/ctferry/ctferry/source/flow"
)

// kafkaMayWrite is the bit of WRITE in a topic's authorised operations (KIP-430,
// org.apache.kafka.common.acl.AclOperation).
const kafkaMayWrite = 1 << 4

// Probe implements Prober: brokers, topic and producer id as Open has them, then
// what the user may do with the topic. A topic that depends on records cannot be
// asked about.
func (k *Kafka) Probe(ctx context.Context, _ flow.Types) error {
	defer k.hangUp()
	if err := k.Open(ctx); err != nil {
		return &ProbeError{kafkaProbeStep(err), k.o.Topic, err}
	}
	if !k.names.fixed() {
		return nil
	}
	res, err := k.cluster.client.Transport.RoundTrip(ctx, kafka.TCP(k.cluster.lastGood),
		&metadata.Request{TopicNames: []string{k.o.Topic}, IncludeTopicAuthorizedOperations: true})
	if err != nil {
		return &ProbeError{ProbeUnsure, k.o.Topic, err}
	}
	answer, ok := res.(*metadata.Response)
	if !ok || len(answer.Topics) != 1 {
		return &ProbeError{ProbeUnsure, k.o.Topic, fmt.Errorf("topic %s: the broker does not tell what this user may do", k.o.Topic)}
	}
	switch may := answer.Topics[0].TopicAuthorizedOperations; {
	case may <= 0: // a broker before 2.3, or one that does not tell
		return &ProbeError{ProbeUnsure, k.o.Topic, fmt.Errorf("topic %s: the broker does not tell what this user may do", k.o.Topic)}
	case may&kafkaMayWrite == 0:
		return &ProbeError{ProbeWrite, k.o.Topic, kafkaTopicError(k.o.Topic, kafka.TopicAuthorizationFailed)}
	}
	return nil
}

// kafkaProbeStep finds the step at which Open failed.
func kafkaProbeStep(err error) ProbeStep {
	switch {
	case errors.Is(err, kafka.UnknownTopicOrPartition), errors.Is(err, kafka.LeaderNotAvailable), errors.Is(err, kafka.InvalidTopic):
		return ProbePlace
	case errors.Is(err, kafka.TopicAuthorizationFailed), errors.Is(err, kafka.ClusterAuthorizationFailed),
		errors.Is(err, kafka.TransactionalIDAuthorizationFailed):
		return ProbeWrite
	}
	return ProbeReach
}
