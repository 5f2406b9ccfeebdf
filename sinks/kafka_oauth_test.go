package sinks

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testbroker"
)

// unsecuredToken is a JWS without a signature (RFC 7515, appendix A.5), which
// Kafka's own validator takes where no other is set.
func unsecuredToken(life time.Duration) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	now := time.Now()
	return part(`{"alg":"none"}`) + "." +
		part(fmt.Sprintf(`{"sub":"ferry","iat":%d,"exp":%d}`, now.Add(-time.Hour).Unix(), now.Add(life).Unix())) + "."
}

func TestKafkaTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	for content, want := range map[string]string{
		"abc-._~+/09Z==\n": "abc-._~+/09Z==", "  abc \n": "abc", "a b": "", "a\x01b": "", "=": "", "": "", "a=b": "", "ü": "",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, first, err := kafkaOAuth{file}.Start(t.Context())
		if want == "" {
			if !kafkaBadToken(err) || kafkaJudge(err).class != Configuration || strings.Contains(err.Error(), "a b") {
				t.Errorf("%q: %v", content, err)
			}
			continue
		}
		if err != nil || string(first) != "n,,\x01auth=Bearer "+want+"\x01\x01" {
			t.Errorf("%q: %q, %v", content, first, err)
		}
	}
	if done, answer, err := (kafkaOAuthSession{}).Next(t.Context(), nil); !done || answer != nil || err != nil {
		t.Error(done, answer, err)
	}
	if _, _, err := (kafkaOAuthSession{}).Next(t.Context(), []byte(`{"status":"invalid_token"}`)); kafkaJudge(err).class != Configuration {
		t.Error(err)
	}
}

// TestKafkaRealToken has a token that is refused, one that is good, and one
// that is gone when a new connection wants it.
func TestKafkaRealToken(t *testing.T) {
	const listener = "listener.name.sasl."
	broker := testbroker.Start(t, testbroker.Options{Config: map[string]string{
		listener + "sasl.enabled.mechanisms": "OAUTHBEARER",
		listener + "oauthbearer.sasl.jaas.config": "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required " +
			`unsecuredLoginStringClaim_sub="broker";`,
	}})
	createKafkaTopic(t, broker, kafkaTestTopic, 2, nil)
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(unsecuredToken(-time.Minute))
	k := newTestKafka(t, []string{broker.Address(testbroker.SASL)}, func(o *KafkaOptions) {
		o.SASL = KafkaSASL{Mechanism: kafkaBearer, TokenFile: file}
	}, nil)
	defer func() { _ = k.Close(t.Context()) }()
	if err := k.Open(t.Context()); mustClass(t, err) != Configuration || !strings.Contains(err.Error(), "token refused") {
		t.Fatalf("an expired token: %v", err)
	}
	write(unsecuredToken(time.Hour))
	if err := k.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	rs := kafkaRecords(0, 100)
	ferryKafka(t, k, rs)
	mustHold(t, readTopic(t, broker.Brokers()[0], kafkaTestTopic), rs, false)

	write("no token")
	k.cluster.transport.CloseIdleConnections()
	if err := k.Write(t.Context(), &Batch{Records: kafkaRecords(100, 10)}); mustClass(t, err) != Configuration || !strings.Contains(err.Error(), "sasl.token_file") {
		t.Fatalf("no token: %v", err)
	}
	write(unsecuredToken(time.Hour))
	ferryKafka(t, k, kafkaRecords(100, 10))
}
