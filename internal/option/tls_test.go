package option

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair writes a certificate that vouches for itself and its key.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}

func TestTLSOn(t *testing.T) {
	if (TLS{}).On() {
		t.Error("no key, no TLS")
	}
	for _, c := range []TLS{{Enabled: true}, {CAFile: "a"}, {ServerName: "a"}, {MinVersion: "1.3"}, {InsecureSkipVerify: true}} {
		if !c.On() {
			t.Errorf("%+v is off", c)
		}
	}
}

func TestTLSValidate(t *testing.T) {
	for _, c := range []struct {
		tls  TLS
		want string
	}{
		{TLS{}, ""},
		{TLS{CertFile: "a", KeyFile: "b", MinVersion: "1.2"}, ""},
		{TLS{MinVersion: "1.3"}, ""},
		{TLS{CertFile: "a"}, "cert_file: cert_file and key_file go together"},
		{TLS{KeyFile: "a", MinVersion: "1.1"}, "cert_file: cert_file and key_file go together\nmin_version: \"1.1\" is not known: expected 1.2 or 1.3"},
	} {
		got := ""
		if err := c.tls.Validate(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.tls, got, c.want)
		}
	}
}

func TestTLSConfig(t *testing.T) {
	cert, key := pair(t)
	cfg, err := TLS{CAFile: cert, CertFile: cert, KeyFile: key, ServerName: "hub", MinVersion: "1.3"}.Config()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.RootCAs == nil || len(cfg.Certificates) != 1 || cfg.ServerName != "hub" || cfg.MinVersion != tls.VersionTLS13 || cfg.InsecureSkipVerify {
		t.Errorf("%+v", cfg)
	}
	cfg, err = TLS{Enabled: true, InsecureSkipVerify: true}.Config()
	if err != nil || cfg.RootCAs != nil || cfg.MinVersion != tls.VersionTLS12 || !cfg.InsecureSkipVerify {
		t.Errorf("%+v, %v", cfg, err)
	}
}

func TestTLSConfigNamesTheKey(t *testing.T) {
	cert, key := pair(t)
	absent := filepath.Join(t.TempDir(), "absent")
	for want, c := range map[string]TLS{
		"tls.ca_file: open " + absent:             {CAFile: absent},
		"tls.ca_file: " + key + " holds no PEM c": {CAFile: key},
		"tls.cert_file: open " + absent:           {CertFile: absent, KeyFile: key},
		"tls.cert_file: ":                         {CertFile: cert, KeyFile: cert},
	} {
		if _, err := c.Config(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s…", err, want)
		}
	}
}
