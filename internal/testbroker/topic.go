package testbroker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

// CreateTopic makes a topic with so many partitions and returns when each has a leader and can be written to. Config is the topic's
// own configuration, e.g. "max.message.bytes"; nil is good.
func (k *Kafka) CreateTopic(ctx context.Context, name string, partitions int, config map[string]string) error {
	topic := kafka.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: 1}
	for _, key := range slices.Sorted(maps.Keys(config)) {
		topic.ConfigEntries = append(topic.ConfigEntries, kafka.ConfigEntry{ConfigName: key, ConfigValue: config[key]})
	}
	err := k.admin(ctx, func(ctx context.Context, c *kafka.Client) error { return create(ctx, c, topic) })
	if err == nil {
		err = k.waitLeaders(ctx, name, partitions)
	}
	if err != nil {
		return fmt.Errorf("kafka: create topic %s: %w", name, err)
	}
	return nil
}

// create asks again while the broker is fenced: on a machine that has too much to do its heartbeats come late, and the controller
// then knows of no broker for a moment.
func create(ctx context.Context, c *kafka.Client, topic kafka.TopicConfig) error {
	for {
		answer, err := c.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{topic}})
		if err == nil {
			err = answer.Errors[topic.Topic]
		}
		if !errors.Is(err, kafka.BrokerNotAvailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// DeleteTopic removes a topic; the broker forgets it within milliseconds, clients later.
func (k *Kafka) DeleteTopic(ctx context.Context, name string) error {
	err := k.admin(ctx, func(ctx context.Context, c *kafka.Client) error {
		answer, err := c.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{name}})
		if err != nil {
			return err
		}
		return answer.Errors[name]
	})
	if err != nil {
		return fmt.Errorf("kafka: delete topic %s: %w", name, err)
	}
	return nil
}

// DenyWrite takes from everyone but plaintext clients the right to do anything with the topic: one rule forbids User to write, and
// where a topic has a rule Kafka refuses whatever no rule allows. Writers then get TOPIC_AUTHORIZATION_FAILED.
func (k *Kafka) DenyWrite(ctx context.Context, topic string) error {
	rule := kafka.ACLEntry{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ResourcePatternType: kafka.PatternTypeLiteral,
		Principal: "User:" + User, Host: "*", Operation: kafka.ACLOperationTypeWrite, PermissionType: kafka.ACLPermissionTypeDeny,
	}
	err := k.admin(ctx, func(ctx context.Context, c *kafka.Client) error {
		answer, err := c.CreateACLs(ctx, &kafka.CreateACLsRequest{ACLs: []kafka.ACLEntry{rule}})
		if err != nil {
			return err
		}
		for _, err := range answer.Errors {
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("kafka: deny writing to topic %s: %w", topic, err)
	}
	return nil
}

// admin is with on the plaintext listener, for half a minute at most.
func (k *Kafka) admin(ctx context.Context, do func(context.Context, *kafka.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return k.with(ctx, Plaintext, "", do)
}

// with does one thing with a client of its own, whose goroutines end with it.
func (k *Kafka) with(ctx context.Context, l Listener, m Mechanism, do func(context.Context, *kafka.Client) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client, err := k.Client(l, m)
	if err != nil {
		return err
	}
	transport := client.Transport.(*kafka.Transport)
	transport.Context = ctx
	defer transport.CloseIdleConnections()
	return do(ctx, client)
}

// waitLeaders waits until each partition answers. Its leader's name in the metadata is not enough: for some milliseconds after that
// the broker still refuses to write (NOT_LEADER_OR_FOLLOWER).
func (k *Kafka) waitLeaders(ctx context.Context, name string, partitions int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, fmt.Errorf("no leader for each of %d partitions in 30s", partitions))
	defer cancel()
	for {
		var got []kafka.PartitionOffsets
		last := k.admin(ctx, func(ctx context.Context, c *kafka.Client) (err error) { // a new client: kafka-go caches
			got, err = spans(ctx, c, name)
			return err
		})
		if last == nil && len(got) == partitions {
			return nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return errors.Join(err, last)
		}
	}
}
