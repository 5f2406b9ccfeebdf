package sinks

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/option"
)

const (
	kafkaMinMessageBytes = 1 * option.KiB
	kafkaMaxMessageBytes = 100 * option.MiB
	kafkaMaxTimeout      = 10 * time.Minute
	kafkaMaxPatience     = 7 * 24 * time.Hour
)

// Validate reports every fault of the options.
func (o *KafkaOptions) Validate() error {
	var fs option.Faults
	o.validateBrokers(&fs)
	if _, err := parseKafkaTopic(o.Topic); err != nil {
		fs.Add("topic", err.Error())
	}
	oneOf(&fs, "key", o.Key, kafkaKeyFlow, kafkaKeyInside, kafkaKeyNode, kafkaKeyNone)
	oneOf(&fs, "partitioner", o.Partitioner, kafkaMurmur2, kafkaCRC32, kafkaSticky, kafkaRoundRobin)
	o.validateAcks(&fs)
	oneOf(&fs, "compression", o.Compression, kafkaCompressions()...)
	oneOf(&fs, "timestamp", o.Timestamp, kafkaTimeEvent, kafkaTimeSend)
	if o.MaxMessageBytes < kafkaMinMessageBytes || o.MaxMessageBytes > kafkaMaxMessageBytes {
		fs.Add("max_message_bytes", fmt.Sprintf("%s is out of range: expected %s to %s", o.MaxMessageBytes, kafkaMinMessageBytes, kafkaMaxMessageBytes))
	}
	o.validateHeaders(&fs)
	fs.Join("tls", o.TLS.Validate())
	fs.Join("sasl", o.SASL.validate())
	kafkaDuration(&fs, "dial_timeout", o.DialTimeout)
	kafkaDuration(&fs, "request_timeout", o.RequestTimeout)
	if o.TopicPatience != 0 && (o.TopicPatience < 10*time.Millisecond || o.TopicPatience > kafkaMaxPatience) {
		fs.Add("topic_patience", fmt.Sprintf("%s is out of range: expected 0 or 10ms to %s", o.TopicPatience, kafkaMaxPatience))
	}
	kafkaDuration(&fs, "metadata_max_age", o.MetadataMaxAge)
	return fs.Err()
}

func (o *KafkaOptions) validateBrokers(fs *option.Faults) {
	if len(o.Brokers) == 0 {
		fs.Add("brokers", "missing: expected a list of host:port")
	}
	for i, b := range o.Brokers {
		host, port, err := net.SplitHostPort(b)
		if err != nil || host == "" || port == "" || strings.ContainsAny(b, ", /") {
			fs.Add(fmt.Sprintf("brokers[%d]", i), fmt.Sprintf("%q is no broker: expected host:port", b))
		}
	}
}

func (o *KafkaOptions) validateAcks(fs *option.Faults) {
	if o.Acks == "none" {
		fs.Add("acks", "none is not offered, because nothing could then be accounted for: expected all or leader")
		return
	}
	oneOf(fs, "acks", o.Acks, kafkaAcksAll, kafkaAcksLeader)
	oneOf(fs, "idempotent", string(o.Idempotent), string(KafkaIdempotentAuto), string(KafkaIdempotentOn), string(KafkaIdempotentOff))
	if o.Idempotent == KafkaIdempotentOn && o.Acks == kafkaAcksLeader {
		fs.Add("idempotent", "true needs acks: all")
	}
}

func (o *KafkaOptions) validateHeaders(fs *option.Faults) {
	for name := range o.Headers {
		if name == "" || name == headerContentType || name == headerSchema {
			fs.Add(option.Below("headers", name), fmt.Sprintf("%q cannot be set: the sink sets it, or it is empty", name))
		}
	}
}

func (s KafkaSASL) validate() error {
	var fs option.Faults
	if s == (KafkaSASL{}) {
		return nil
	}
	oneOf(&fs, "mechanism", s.Mechanism, kafkaPlain, kafkaScram256, kafkaScram512, kafkaBearer)
	if s.Mechanism == kafkaBearer {
		if s != (KafkaSASL{Mechanism: kafkaBearer, TokenFile: s.TokenFile}) || s.TokenFile == "" {
			fs.Add("token_file", "oauthbearer expects token_file, and neither user nor password")
		}
		return fs.Err()
	}
	if s.TokenFile != "" {
		fs.Add("token_file", "only oauthbearer has a token")
	}
	if s.User == "" {
		fs.Add("user", "missing")
	}
	if s.Password.IsZero() == (s.PasswordFile == "") {
		fs.Add("password", "expected either password or password_file")
	}
	return fs.Err()
}

// oneOf adds a fault unless v is among words.
func oneOf(fs *option.Faults, key, v string, words ...string) {
	if !slices.Contains(words, v) {
		fs.Add(key, fmt.Sprintf("%q is not known: expected %s", v, strings.Join(words, ", ")))
	}
}

func kafkaDuration(fs *option.Faults, key string, d time.Duration) {
	if d < 10*time.Millisecond || d > kafkaMaxTimeout {
		fs.Add(key, fmt.Sprintf("%s is out of range: expected 10ms to %s", d, kafkaMaxTimeout))
	}
}

// Unordered tells why a flow's events may stand out of their order in a topic
// under these options, or "".
func (o *KafkaOptions) Unordered() string {
	topic, _ := parseKafkaTopic(o.Topic)
	switch {
	case o.Key == kafkaKeyNone:
		return "key: none spreads a flow's events over the partitions"
	case o.Partitioner == kafkaSticky || o.Partitioner == kafkaRoundRobin:
		return "partitioner: " + o.Partitioner + " spreads a flow's events over the partitions"
	case topic.has("event_type"):
		return "topic: {event_type} spreads a flow's events over several topics"
	case o.Acks == kafkaAcksLeader:
		return "acks: leader excludes idempotence, so a batch that is sent again may stand twice, and later ones before it"
	case o.Idempotent == KafkaIdempotentOff:
		return "idempotent: false lets a batch that is sent again stand twice, and later ones before it"
	}
	return ""
}

// wantsInside implements insideKeyed.
func (o *KafkaOptions) wantsInside() bool { return o.Key == kafkaKeyInside }

// keyed reports whether the partition follows from the record.
func (o *KafkaOptions) keyed() bool {
	return o.Key != kafkaKeyNone && (o.Partitioner == kafkaMurmur2 || o.Partitioner == kafkaCRC32)
}
