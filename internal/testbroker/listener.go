package testbroker

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Listener is one of the broker's ways in, by the name that Kafka's configuration gives it.
type Listener string

// The ways in; each has a port of its own.
const (
	Plaintext Listener = "PLAINTEXT" // no TLS, no SASL: User:ANONYMOUS, who may do everything
	SASL      Listener = "SASL"      // no TLS; PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	TLS       Listener = "TLS"       // no SASL, and the client's certificate is not asked for
	MutualTLS Listener = "MTLS"      // no SASL; the client's certificate is required and names the user: User:CN=ferry
	SASLTLS   Listener = "SASLTLS"   // SASL within TLS
)

// User and Password open the listeners that use SASL, with each Mechanism.
const (
	User     = "ferry"
	Password = "ferry-secret"
)

// Mechanism is a SASL mechanism by its registered name.
type Mechanism string

// The mechanisms that the broker accepts.
const (
	Plain       Mechanism = "PLAIN"
	ScramSHA256 Mechanism = "SCRAM-SHA-256"
	ScramSHA512 Mechanism = "SCRAM-SHA-512"
)

// listeners is every Listener with Kafka's security protocol for it.
func listeners() map[Listener]string {
	return map[Listener]string{Plaintext: "PLAINTEXT", SASL: "SASL_PLAINTEXT", TLS: "SSL", MutualTLS: "SSL", SASLTLS: "SASL_SSL"}
}

// Address is the host:port of one listener; it stays the same over Restart.
func (k *Kafka) Address(l Listener) string {
	return fmt.Sprintf("127.0.0.1:%d", k.ports[l])
}

// Brokers is the bootstrap list of the plaintext listener.
func (k *Kafka) Brokers() []string {
	return []string{k.Address(Plaintext)}
}

// Certificates names the files that clients of the TLS listeners need.
func (k *Kafka) Certificates() Certificates {
	return k.certificates
}

// Client returns a client of the listener with all that it asks for: TLS, certificate, and User's password by m, which only
// the SASL listeners look at. The caller ends it by its Transport's CloseIdleConnections; until then kafka-go keeps asking the broker
// for metadata, from a goroutine of its own and over every broker's death.
func (k *Kafka) Client(l Listener, m Mechanism) (*kafka.Client, error) {
	// A short life for metadata: kafka-go answers from its cache, and tests ask about what they have just changed.
	transport := &kafka.Transport{ClientID: "testbroker", MetadataTTL: 200 * time.Millisecond}
	var err error
	if transport.TLS, err = k.clientTLS(l); err != nil {
		return nil, err
	}
	if transport.SASL, err = credentials(l, m); err != nil {
		return nil, err
	}
	return &kafka.Client{Addr: kafka.TCP(k.Address(l)), Timeout: 10 * time.Second, Transport: transport}, nil
}

func (k *Kafka) clientTLS(l Listener) (*tls.Config, error) {
	switch l {
	case TLS, MutualTLS, SASLTLS:
		return k.certificates.ClientTLS(l == MutualTLS)
	default:
		return nil, nil
	}
}

func credentials(l Listener, m Mechanism) (sasl.Mechanism, error) {
	if l != SASL && l != SASLTLS {
		return nil, nil
	}
	switch m {
	case Plain:
		return plain.Mechanism{Username: User, Password: Password}, nil
	case ScramSHA256:
		return scram.Mechanism(scram.SHA256, User, Password)
	case ScramSHA512:
		return scram.Mechanism(scram.SHA512, User, Password)
	default:
		return nil, fmt.Errorf("listener %s: unknown SASL mechanism %q, expected %s, %s or %s", l, m, Plain, ScramSHA256, ScramSHA512)
	}
}
