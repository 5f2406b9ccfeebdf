package sinks

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/option"
)

func validKafka() *KafkaOptions {
	o := NewKafkaOptions().(*KafkaOptions)
	o.Brokers, o.Topic = []string{"kafka:9092"}, "flows"
	return o
}

func TestKafkaDefaultsAreValid(t *testing.T) {
	o := validKafka()
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	if why := o.Unordered(); why != "" {
		t.Errorf("unordered: %s", why)
	}
	if o.MaxMessageBytes != 1_000_000 || o.Acks != "all" || o.Key != "flow" || o.Partitioner != "murmur2" || o.Idempotent != "auto" {
		t.Errorf("%+v", o)
	}
}

func TestKafkaFaults(t *testing.T) {
	secret := option.NewSecret("opensesame")
	for _, tt := range []struct {
		path, text string
		change     func(*KafkaOptions)
	}{
		{"brokers", "missing", func(o *KafkaOptions) { o.Brokers = nil }},
		{"brokers[1]", `"kafka" is no broker: expected host:port`, func(o *KafkaOptions) { o.Brokers = []string{"a:1", "kafka"} }},
		{"brokers[0]", "is no broker", func(o *KafkaOptions) { o.Brokers = []string{"a:1,b:2"} }},
		{"topic", "missing", func(o *KafkaOptions) { o.Topic = "" }},
		{"topic", "unknown field {host}", func(o *KafkaOptions) { o.Topic = "flows.{host}" }},
		{"key", `"src" is not known: expected flow, inside, node, none`, func(o *KafkaOptions) { o.Key = "src" }},
		{"partitioner", "expected murmur2, crc32", func(o *KafkaOptions) { o.Partitioner = "fnv" }},
		{"acks", "none is not offered", func(o *KafkaOptions) { o.Acks = "none" }},
		{"acks", "expected all, leader", func(o *KafkaOptions) { o.Acks = "1" }},
		{"compression", "expected none, gzip", func(o *KafkaOptions) { o.Compression = "brotli" }},
		{"max_message_bytes", "out of range", func(o *KafkaOptions) { o.MaxMessageBytes = 10 }},
		{"idempotent", "expected auto, true, false", func(o *KafkaOptions) { o.Idempotent = "yes" }},
		{"idempotent", "needs acks: all", func(o *KafkaOptions) { o.Idempotent, o.Acks = "true", "leader" }},
		{"headers.content-type", "cannot be set", func(o *KafkaOptions) { o.Headers = map[string]string{"content-type": "x"} }},
		{"timestamp", "expected event, send", func(o *KafkaOptions) { o.Timestamp = "now" }},
		{"tls.key_file", "", nil},
		{"sasl.mechanism", "expected plain, scram-sha-256, scram-sha-512, oauthbearer", func(o *KafkaOptions) { o.SASL = KafkaSASL{Mechanism: "gssapi", User: "u", Password: secret} }},
		{"sasl.token_file", "expects token_file", func(o *KafkaOptions) { o.SASL = KafkaSASL{Mechanism: "oauthbearer"} }},
		{"sasl.token_file", "neither user", func(o *KafkaOptions) { o.SASL = KafkaSASL{Mechanism: "oauthbearer", TokenFile: "t", User: "u"} }},
		{"sasl.token_file", "only oauthbearer", func(o *KafkaOptions) {
			o.SASL = KafkaSASL{Mechanism: "plain", User: "u", Password: secret, TokenFile: "t"}
		}},
		{"sasl.user", "missing", func(o *KafkaOptions) { o.SASL = KafkaSASL{Mechanism: "plain", Password: secret} }},
		{"sasl.password", "either", func(o *KafkaOptions) { o.SASL = KafkaSASL{Mechanism: "plain", User: "u"} }},
		{"sasl.password", "either", func(o *KafkaOptions) {
			o.SASL = KafkaSASL{Mechanism: "plain", User: "u", Password: secret, PasswordFile: "f"}
		}},
		{"dial_timeout", "out of range", func(o *KafkaOptions) { o.DialTimeout = 0 }},
		{"request_timeout", "out of range", func(o *KafkaOptions) { o.RequestTimeout = time.Hour }},
		{"metadata_max_age", "out of range", func(o *KafkaOptions) { o.MetadataMaxAge = -1 }},
	} {
		if tt.change == nil {
			tt.path, tt.text = "tls.cert_file", "go together"
			tt.change = func(o *KafkaOptions) { o.TLS.KeyFile = "k" }
		}
		o := validKafka()
		tt.change(o)
		err := o.Validate()
		var fs option.Faults
		if !errors.As(err, &fs) || len(fs) != 1 || fs[0].Path != tt.path || !strings.Contains(fs[0].Text, tt.text) {
			t.Errorf("want %s: %s, got %v", tt.path, tt.text, err)
		}
		if strings.Contains(fmt.Sprint(err), "opensesame") || strings.Contains(fmt.Sprintf("%+v %#v", o, o), "opensesame") {
			t.Errorf("%s: the secret shows", tt.path)
		}
		if _, err := o.New(Env{}); err == nil {
			t.Errorf("%s: New made a sink", tt.path)
		}
	}
}

func TestKafkaUnordered(t *testing.T) {
	for _, tt := range []struct {
		change func(*KafkaOptions)
		want   string
	}{
		{func(o *KafkaOptions) { o.Key = "none" }, "key: none"},
		{func(o *KafkaOptions) { o.Partitioner = "sticky" }, "partitioner: sticky"},
		{func(o *KafkaOptions) { o.Partitioner = "round_robin" }, "partitioner: round_robin"},
		{func(o *KafkaOptions) { o.Acks = "leader" }, "acks: leader"},
		{func(o *KafkaOptions) { o.Idempotent = "false" }, "idempotent: false"},
		{func(o *KafkaOptions) { o.Topic = "a.{event_type}" }, "{event_type}"},
		{func(o *KafkaOptions) { o.Topic = "a.{node}.{netns}.{table}.{family}.{proto}" }, ""},
		{func(o *KafkaOptions) { o.Key = "node" }, ""},
		{func(o *KafkaOptions) { o.Idempotent, o.Partitioner = "true", "crc32" }, ""},
	} {
		o := validKafka()
		tt.change(o)
		if got := o.Unordered(); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%+v: %q, want %q", o, got, tt.want)
		}
	}
}

func TestKafkaIdempotenceText(t *testing.T) {
	for _, s := range []string{"auto", "true", "false"} {
		var i KafkaIdempotence
		if err := i.UnmarshalText([]byte(s)); err != nil || string(i) != s {
			t.Errorf("%s: %s %v", s, i, err)
		}
	}
	var i KafkaIdempotence
	if err := i.UnmarshalText([]byte("maybe")); err == nil {
		t.Error("maybe")
	}
}
