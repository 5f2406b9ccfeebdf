package sinks

import (
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// With a topic template one topic may be refused for good while the others are
// not: it does not exist, or nobody may write to it. Its records then hold the
// whole sink up, for the outlet keeps the order. After topic_patience they are
// given up instead, as poison, which goes to the dead-letter file or is dropped
// and counted. Each Write still tries the topic, so that it comes back by
// itself. Where there is but one topic, nothing is given up: then it is the sink
// that does not work, and waiting loses nothing.
//
// So it is where no topic takes anything. But that cannot be known while nothing
// waits at the head but records of the topics that are refused. So as much as one
// Write has of them is given up once in topic_patience: the next has what waited
// behind it, and if one of its topics takes something, it is known.

// giveUp notes which topics are refused, and takes the records of those that
// have been for too long out of the Write. now is the same for all of it.
func (k *Kafka) giveUp(now time.Time) {
	for _, p := range k.plan.touched {
		if p.at > 0 {
			p.topic.refused, k.delivered = time.Time{}, now
		}
	}
	for _, p := range k.plan.touched {
		if p.err != nil && p.at == 0 && kafkaTopicFault(p.err) && k.outOfPatience(p.topic, now) {
			k.surrender(p)
		}
	}
}

// outOfPatience notes that a topic is refused and reports whether that has lasted,
// while another took something or for the first time in so long.
func (k *Kafka) outOfPatience(t *kafkaTopic, now time.Time) bool {
	if t.refused.IsZero() {
		t.refused = now
	}
	patience := k.o.TopicPatience
	if patience == 0 || k.names.fixed() || now.Sub(t.refused) < patience {
		return false
	}
	if !k.delivered.Before(t.refused) {
		return true
	}
	if now.Sub(k.yielded) >= patience {
		k.yielded = now
	}
	return k.yielded.Equal(now) // all of this Write
}

// surrender makes poison of what the partition has left.
func (k *Kafka) surrender(p *kafkaPartition) {
	if c := p.held; c != nil {
		p.held = nil
		k.release(p, c)
	}
	p.poison = append(p.poison, p.todo[p.at:]...)
	p.todo = p.todo[:p.at]
	p.cause, p.err = k.givenUp(p.err), nil
}

func (k *Kafka) givenUp(err error) error {
	return fmt.Errorf("given up after topic_patience of %s: %w", k.o.TopicPatience, err)
}

// strays tells the fate of the records whose topics have no partitions: those
// that are given up with their cause, and the error of the first of the others.
func (k *Kafka) strays(now time.Time) (given []int, cause, failed error) {
	for _, i := range k.plan.stray {
		t := k.plan.topics[i]
		err := kafkaTopicError(t.name, t.err)
		switch {
		case kafkaJudge(t.err).class == Configuration && kafkaTopicFault(t.err) && k.outOfPatience(t, now):
			given, cause = append(given, i), k.givenUp(err)
		case failed == nil:
			failed = err
		}
	}
	return given, cause, failed
}

// kafkaTopicFault reports whether an error is about a topic and not about the
// cluster or the user.
func kafkaTopicFault(err error) bool {
	for _, code := range []kafka.Error{
		kafka.TopicAuthorizationFailed, kafka.InvalidTopic, kafka.PolicyViolation, kafka.UnknownTopicOrPartition,
	} {
		if errors.Is(err, code) {
			return kafkaJudge(err).class == Configuration
		}
	}
	return false
}
