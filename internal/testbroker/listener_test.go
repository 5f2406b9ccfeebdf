package testbroker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// produce writes values to one partition with acks=all and returns the broker's error.
func produce(ctx context.Context, c *kafka.Client, topic string, partition int, values ...string) error {
	var records []kafka.Record
	for _, v := range values {
		records = append(records, kafka.Record{Key: kafka.NewBytes([]byte("k")), Value: kafka.NewBytes([]byte(v))})
	}
	answer, err := c.Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...),
	})
	if err != nil {
		return err
	}
	return answer.Error
}

// newClient is Client for the length of a test.
func newClient(t *testing.T, k *Kafka, l Listener, m Mechanism) *kafka.Client {
	t.Helper()
	client, err := k.Client(l, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Transport.(*kafka.Transport).CloseIdleConnections)
	return client
}

func topicFor(t *testing.T, k *Kafka, partitions int) string {
	t.Helper()
	name := strings.NewReplacer("/", ".", "_", ".").Replace(t.Name())
	if err := k.CreateTopic(bounded(t), name, partitions, nil); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestListeners(t *testing.T) {
	tests := []struct {
		listener  Listener
		mechanism Mechanism
	}{
		{Plaintext, ""},
		{SASL, Plain}, {SASL, ScramSHA256}, {SASL, ScramSHA512},
		{TLS, ""},
		{MutualTLS, ""},
		{SASLTLS, Plain}, {SASLTLS, ScramSHA256}, {SASLTLS, ScramSHA512},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s-%s", tt.listener, tt.mechanism), func(t *testing.T) {
			k := broker.Get(t)
			ctx := bounded(t)
			topic := topicFor(t, k, 1)
			client := newClient(t, k, tt.listener, tt.mechanism)
			if err := produce(ctx, client, topic, 0, "one", "two"); err != nil {
				t.Fatalf("produce: %v", err)
			}
			// Read through the same listener, not only by Consume's.
			reader := kafka.NewReader(kafka.ReaderConfig{
				Brokers: []string{k.Address(tt.listener)}, Topic: topic, MaxWait: 100 * time.Millisecond,
				Dialer: dialerOf(client),
			})
			defer reader.Close() //nolint:errcheck // nothing to lose
			for _, want := range []string{"one", "two"} {
				m, err := reader.ReadMessage(ctx)
				if err != nil {
					t.Fatalf("read: %v", err)
				}
				if string(m.Value) != want {
					t.Errorf("read %q, want %q", m.Value, want)
				}
			}
			if all, err := k.Consume(ctx, topic); err != nil || len(all) != 2 {
				t.Errorf("consume: %d records, %v", len(all), err)
			}
		})
	}
}

func dialerOf(c *kafka.Client) *kafka.Dialer {
	transport := c.Transport.(*kafka.Transport)
	return &kafka.Dialer{Timeout: 10 * time.Second, TLS: transport.TLS, SASLMechanism: transport.SASL}
}

// Whoever has not got what a listener asks for must not get in.
func TestListenersRefuse(t *testing.T) {
	stranger, err := NewCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	wrongScram, err := scram.Mechanism(scram.SHA512, User, "wrong")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		listener Listener
		change   func(*testing.T, *kafka.Transport, Certificates)
	}{
		{"wrong password, PLAIN", SASL, func(_ *testing.T, tr *kafka.Transport, _ Certificates) {
			tr.SASL = plain.Mechanism{Username: User, Password: "wrong"}
		}},
		{"wrong password, SCRAM", SASLTLS, func(_ *testing.T, tr *kafka.Transport, _ Certificates) { tr.SASL = wrongScram }},
		{"no SASL", SASL, func(_ *testing.T, tr *kafka.Transport, _ Certificates) { tr.SASL = nil }},
		{"no TLS", TLS, func(_ *testing.T, tr *kafka.Transport, _ Certificates) { tr.TLS = nil }},
		{"no certificate", MutualTLS, func(t *testing.T, tr *kafka.Transport, c Certificates) { tr.TLS = clientTLS(t, c, false) }},
		{"certificate of another authority", MutualTLS, func(t *testing.T, tr *kafka.Transport, c Certificates) {
			config := clientTLS(t, stranger, true)
			config.RootCAs = clientTLS(t, c, false).RootCAs // the client trusts the server, not the other way round
			tr.TLS = config
		}},
		{"server of another authority", TLS, func(t *testing.T, tr *kafka.Transport, _ Certificates) { tr.TLS = clientTLS(t, stranger, false) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := broker.Get(t)
			client := newClient(t, k, tt.listener, Plain)
			tt.change(t, client.Transport.(*kafka.Transport), k.Certificates())
			ctx, cancel := context.WithTimeout(bounded(t), 10*time.Second)
			defer cancel()
			_, err = client.Metadata(ctx, &kafka.MetadataRequest{})
			if err == nil {
				t.Error("let in")
			}
			if errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("no answer in 10s: %v", err)
			}
			t.Logf("what kafka-go makes of it: %v", err)
		})
	}
}

func clientTLS(t *testing.T, c Certificates, withCertificate bool) *tls.Config {
	t.Helper()
	config, err := c.ClientTLS(withCertificate)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestAddresses(t *testing.T) {
	k := &Kafka{ports: ports{Plaintext: 1, SASL: 2}}
	if got := k.Brokers(); len(got) != 1 || got[0] != "127.0.0.1:1" {
		t.Errorf("brokers %q", got)
	}
	if got := k.Address(SASL); got != "127.0.0.1:2" {
		t.Errorf("address %q", got)
	}
}
