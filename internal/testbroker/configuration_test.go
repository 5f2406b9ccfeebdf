package testbroker

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestConfigurationGolden(t *testing.T) {
	p := ports{controller: 1, Plaintext: 2, SASL: 3, TLS: 4, MutualTLS: 5, SASLTLS: 6}
	c := Certificates{CA: "/c/ca.pem", ServerPair: "/c/server.pem"}
	got := configuration(p, "/data", c, map[string]string{"message.max.bytes": "65536", "log.retention.ms": "7", "x": "a\\b\nc"})
	golden := filepath.Join("testdata", "server.properties")
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// The format run has fewer listeners and no certificates.
func TestConfigurationWithoutCertificates(t *testing.T) {
	got := string(configuration(ports{controller: 1, Plaintext: 2}, "/data", Certificates{}, nil))
	if strings.Contains(got, "ssl.keystore") {
		t.Errorf("a key store without certificates:\n%s", got)
	}
	if want := "\nlisteners=CONTROLLER://127.0.0.1:1,PLAINTEXT://127.0.0.1:2\n"; !strings.Contains(got, want) {
		t.Errorf("want %q in:\n%s", want, got)
	}
}

func TestChoosePorts(t *testing.T) {
	p, err := choosePorts()
	if err != nil {
		t.Fatal(err)
	}
	if len(p) != len(listeners())+1 {
		t.Errorf("%d ports for %d listeners and the controller", len(p), len(listeners()))
	}
	var seen []int
	for l, port := range p {
		if port < 15000 || port >= 32768 {
			t.Errorf("listener %s: port %d lies outside 15000..32767, among those for outgoing connections", l, port)
		}
		if slices.Contains(seen, port) {
			t.Errorf("listener %s: port %d is taken twice", l, port)
		}
		seen = append(seen, port)
	}
}

func TestCredentials(t *testing.T) {
	for _, m := range []Mechanism{Plain, ScramSHA256, ScramSHA512} {
		got, err := credentials(SASL, m)
		if err != nil {
			t.Errorf("%s: %v", m, err)
		} else if got.Name() != string(m) {
			t.Errorf("%s: got %s", m, got.Name())
		}
	}
	if got, err := credentials(TLS, "whatever"); got != nil || err != nil {
		t.Errorf("a listener without SASL: %v, %v", got, err)
	}
	if _, err := credentials(SASLTLS, "GSSAPI"); err == nil || !strings.Contains(err.Error(), "GSSAPI") {
		t.Errorf("unknown mechanism: %v", err)
	}
}
