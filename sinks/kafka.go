package sinks

import (
	"fmt"
	"time"

	"github.com/ctferry/ctferry/internal/option"
)

// KafkaOptions are the keys of a sink of type kafka. The sink never creates a
// topic and never sends a null value.
type KafkaOptions struct {
	Brokers         []string          `koanf:"brokers"`           // host:port, those asked first
	Topic           string            `koanf:"topic"`             // a name, or a template over {node} {netns} {table} {event_type} {family} {proto}
	Key             string            `koanf:"key"`               // flow (its flow_id, 16 hex digits), inside (the address behind the translation, as text), node or none
	Partitioner     string            `koanf:"partitioner"`       // murmur2 (Java's), crc32 (librdkafka's), sticky or round_robin
	Acks            string            `koanf:"acks"`              // all or leader
	Compression     string            `koanf:"compression"`       // none, gzip, snappy, lz4 or zstd
	MaxMessageBytes option.Size       `koanf:"max_message_bytes"` // bound of one record batch before compression
	Idempotent      KafkaIdempotence  `koanf:"idempotent"`
	Headers         map[string]string `koanf:"headers"`   // on every message, beside content-type and ctferry-schema
	Timestamp       string            `koanf:"timestamp"` // event or send
	ClientID        string            `koanf:"client_id"`
	TLS             option.TLS        `koanf:"tls"`
	SASL            KafkaSASL         `koanf:"sasl"`
	DialTimeout     time.Duration     `koanf:"dial_timeout"`     // TCP, TLS and SASL together
	RequestTimeout  time.Duration     `koanf:"request_timeout"`  // of each request; brokers get half of it to replicate
	TopicPatience   time.Duration     `koanf:"topic_patience"`   // with a template: how long one topic may be refused for good before its records are given up; 0 is for ever
	MetadataMaxAge  time.Duration     `koanf:"metadata_max_age"` // when to look for new partitions; moved leaders are looked up at once
}

// KafkaSASL says who the client is. The mechanism turns it on.
type KafkaSASL struct {
	Mechanism    string        `koanf:"mechanism"` // plain, scram-sha-256, scram-sha-512 or oauthbearer
	User         string        `koanf:"user"`
	Password     option.Secret `koanf:"password"`
	PasswordFile string        `koanf:"password_file"`
	TokenFile    string        `koanf:"token_file"` // of oauthbearer, instead of user and password; read for each connection
}

// KafkaIdempotence says whether brokers shall drop what arrives twice: auto
// (where they allow it), true (or do not start) or false.
type KafkaIdempotence string

// The values of KafkaIdempotence.
const (
	KafkaIdempotentAuto KafkaIdempotence = "auto"
	KafkaIdempotentOn   KafkaIdempotence = "true"
	KafkaIdempotentOff  KafkaIdempotence = "false"
)

// UnmarshalText reads auto, true or false.
func (i *KafkaIdempotence) UnmarshalText(text []byte) error {
	switch v := KafkaIdempotence(text); v {
	case KafkaIdempotentAuto, KafkaIdempotentOn, KafkaIdempotentOff:
		*i = v
		return nil
	}
	return fmt.Errorf("%q is not known: expected auto, true or false", text)
}

// NewKafkaOptions gives the defaults; brokers and topic have none.
func NewKafkaOptions() Options {
	return &KafkaOptions{
		Key:             kafkaKeyFlow,
		Partitioner:     kafkaMurmur2,
		Acks:            kafkaAcksAll,
		Compression:     "lz4",
		MaxMessageBytes: 1_000_000,
		Idempotent:      KafkaIdempotentAuto,
		Timestamp:       kafkaTimeEvent,
		ClientID:        "ctferry",
		DialTimeout:     5 * time.Second,
		RequestTimeout:  10 * time.Second,
		TopicPatience:   5 * time.Minute,
		MetadataMaxAge:  time.Minute,
	}
}

// The values of the keys that are one word of a few.
const (
	kafkaKeyFlow   = "flow"
	kafkaKeyInside = "inside"
	kafkaKeyNode   = "node"
	kafkaKeyNone   = "none"

	kafkaMurmur2    = "murmur2"
	kafkaCRC32      = "crc32"
	kafkaSticky     = "sticky"
	kafkaRoundRobin = "round_robin"

	kafkaAcksAll    = "all"
	kafkaAcksLeader = "leader"

	kafkaTimeEvent = "event"
	kafkaTimeSend  = "send"
)
