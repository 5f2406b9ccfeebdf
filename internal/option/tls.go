package option

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// TLS says how to speak TLS. Files are read by Config, so a changed
// certificate counts at the next connection.
type TLS struct {
	Enabled            bool   `koanf:"enabled"`
	CAFile             string `koanf:"ca_file"`
	CertFile           string `koanf:"cert_file"`
	KeyFile            string `koanf:"key_file"`
	ServerName         string `koanf:"server_name"`
	MinVersion         string `koanf:"min_version"` // 1.2 (the default) or 1.3
	InsecureSkipVerify bool   `koanf:"insecure_skip_verify"`
}

// On reports whether TLS is wanted: any key of it turns it on.
func (t TLS) On() bool { return t != TLS{} }

// Validate checks the keys against each other.
func (t TLS) Validate() error {
	var fs Faults
	if (t.CertFile == "") != (t.KeyFile == "") {
		fs.Add("cert_file", "cert_file and key_file go together")
	}
	if t.MinVersion != "" && t.MinVersion != "1.2" && t.MinVersion != "1.3" {
		fs.Add("min_version", fmt.Sprintf("%q is not known: expected 1.2 or 1.3", t.MinVersion))
	}
	return fs.Err()
}

// Config reads the files. Errors name the key.
func (t TLS) Config() (*tls.Config, error) {
	cfg := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.MinVersion == "1.3" {
		cfg.MinVersion = tls.VersionTLS13
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: %s holds no PEM certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
