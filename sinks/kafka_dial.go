package sinks

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/ctferry/ctferry/internal/option"
)

// The SASL mechanisms as the configuration writes them.
const (
	kafkaPlain    = "plain"
	kafkaScram256 = "scram-sha-256"
	kafkaScram512 = "scram-sha-512"
	kafkaBearer   = "oauthbearer"
)

// kafkaPoolTTL is how often a pool of Transport asks its broker for metadata
// that nobody reads (kafkaRouter); it asks for no topic, so it is cheap.
const kafkaPoolTTL = 5 * time.Minute

// newKafkaClient reads the files that the options name and makes a client. Its
// goroutines end with ctx.
func newKafkaClient(ctx context.Context, o *KafkaOptions) (*kafka.Client, *kafka.Transport, error) {
	t := &kafka.Transport{
		ClientID:       o.ClientID,
		DialTimeout:    o.DialTimeout,
		MetadataTTL:    kafkaPoolTTL,
		MetadataTopics: []string{}, // none; nil would mean all
		Context:        ctx,
	}
	if o.TLS.On() {
		var err error
		if t.TLS, err = o.TLS.Config(); err != nil {
			return nil, nil, err
		}
	}
	var err error
	if t.SASL, err = o.SASL.mechanism(); err != nil {
		return nil, nil, err
	}
	return &kafka.Client{Timeout: o.RequestTimeout, Transport: kafkaRouter{t}}, t, nil
}

// mechanism is nil when SASL is off.
func (s KafkaSASL) mechanism() (sasl.Mechanism, error) {
	if s == (KafkaSASL{}) {
		return nil, nil
	}
	if s.Mechanism == kafkaBearer {
		m := kafkaOAuth{s.TokenFile}
		if _, err := m.token(); err != nil {
			return nil, &kafkaTokenError{err}
		}
		return m, nil
	}
	password, err := option.SecretFrom(s.Password, s.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("sasl.password_file: %w", err)
	}
	algorithm := scram.SHA256
	switch s.Mechanism {
	case kafkaPlain:
		return plain.Mechanism{Username: s.User, Password: password.Reveal()}, nil
	case kafkaScram512:
		algorithm = scram.SHA512
	}
	m, err := scram.Mechanism(algorithm, s.User, password.Reveal())
	if err != nil {
		return nil, fmt.Errorf("sasl: user or password cannot be used with %s: %w", s.Mechanism, err)
	}
	return m, nil
}
