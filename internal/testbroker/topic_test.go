package testbroker

import (
	"errors"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"
)

func TestCreateTopic(t *testing.T) {
	k := broker.Get(t)
	ctx := bounded(t)
	tests := []struct {
		name       string
		partitions int
		config     map[string]string
		want       error
	}{
		{"create.one", 1, nil, nil},
		{"create.many", 12, map[string]string{"max.message.bytes": "2000", "message.timestamp.type": "CreateTime"}, nil},
		{"create.one", 1, nil, kafka.TopicAlreadyExists},
		{"create/bad", 1, nil, kafka.InvalidTopic},
		{"create.config", 1, map[string]string{"no.such.setting": "1"}, kafka.InvalidConfiguration},
		{"create.none", 0, nil, kafka.InvalidPartitionNumber},
	}
	for _, tt := range tests {
		err := k.CreateTopic(ctx, tt.name, tt.partitions, tt.config)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err != nil && !strings.Contains(err.Error(), tt.name) {
			t.Errorf("%s: the error does not name the topic: %v", tt.name, err)
		}
	}
	// At once after CreateTopic each partition takes a record from a client that has never heard of the topic, and obeys the config.
	client := newClient(t, k, Plaintext, "")
	for p := range 12 {
		if err := produce(ctx, client, "create.many", p, "x"); err != nil {
			t.Errorf("partition %d: %v", p, err)
		}
	}
	if err := produce(ctx, client, "create.many", 0, strings.Repeat("x", 4000)); !errors.Is(err, kafka.MessageSizeTooLarge) {
		t.Errorf("too large a record: %v, want %v", err, kafka.MessageSizeTooLarge)
	}
}

func TestNoTopicByItself(t *testing.T) {
	k := broker.Get(t)
	client := newClient(t, k, Plaintext, "")
	if err := produce(bounded(t), client, "nobody.made.this", 0, "x"); err == nil {
		t.Error("written to a topic that does not exist")
	}
	if _, err := k.Consume(bounded(t), "nobody.made.this"); !errors.Is(err, kafka.UnknownTopicOrPartition) {
		t.Errorf("consume: %v, want %v", err, kafka.UnknownTopicOrPartition)
	}
}

func TestDeleteTopic(t *testing.T) {
	k := broker.Get(t)
	ctx := bounded(t)
	topic := topicFor(t, k, 1)
	if err := k.DeleteTopic(ctx, topic); err != nil {
		t.Fatal(err)
	}
	if err := k.DeleteTopic(ctx, topic); !errors.Is(err, kafka.UnknownTopicOrPartition) {
		t.Errorf("a second time: %v, want %v", err, kafka.UnknownTopicOrPartition)
	}
}

func TestDenyWrite(t *testing.T) {
	k := broker.Get(t)
	ctx := bounded(t)
	topic := topicFor(t, k, 1)
	open := topic + ".open"
	if err := k.CreateTopic(ctx, open, 1, nil); err != nil {
		t.Fatal(err)
	}
	client := newClient(t, k, SASL, ScramSHA256)
	if err := produce(ctx, client, topic, 0, "before"); err != nil {
		t.Fatal(err)
	}
	if err := k.DenyWrite(ctx, topic); err != nil {
		t.Fatal(err)
	}
	// A client that has asked for the topics in between does not see this one any more.
	if err := produce(ctx, client, topic, 0, "denied"); err == nil || !errors.Is(err, kafka.TopicAuthorizationFailed) && !strings.Contains(err.Error(), "topic not found") {
		t.Errorf("denied: %v, want %v", err, kafka.TopicAuthorizationFailed)
	}
	if err := produce(ctx, client, open, 0, "x"); err != nil {
		t.Errorf("another topic: %v", err)
	}
	all, err := k.Consume(ctx, topic)
	if err != nil || len(all) != 1 || string(all[0].Value) != "before" {
		t.Errorf("consume: %v, %v", all, err)
	}
}
