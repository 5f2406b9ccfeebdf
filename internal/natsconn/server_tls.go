package natsconn

import (
	"crypto/tls"
	"sync/atomic"

	"github.com/ctferry/ctferry/internal/option"
)

// ServerTLS is the embedded server's side of TLS. The certificate and its key
// are read again at every handshake, so they may be renewed in place; the
// authorities only at Start.
type ServerTLS struct {
	// CertFile and KeyFile are the server's certificate chain and its key, PEM.
	CertFile string
	// KeyFile goes with CertFile.
	KeyFile string
	// CAFile holds the authorities that vouch for clients, PEM.
	CAFile string
	// Verify refuses clients without a certificate of those authorities.
	Verify bool
	// MinVersion is the lowest version accepted, 1.2 (the default) or 1.3.
	MinVersion string
	// HandshakeFirst expects TLS before the INFO line; clients must be set likewise.
	HandshakeFirst bool
}

func (t ServerTLS) problems() problems {
	var p problems
	p.check(t.CertFile == "" && t != ServerTLS{}, "cert_file", "missing: TLS needs the server's certificate")
	p.check(t.CertFile != "" && t.KeyFile == "", "key_file", "missing beside cert_file")
	p.check(t.Verify && t.CAFile == "", "ca_file", "missing: verify needs the authorities")
	p.check(t.CAFile != "" && !t.Verify, "verify", "must be true beside ca_file")
	p.faults(option.TLS{MinVersion: t.MinVersion}.Validate())
	return p
}

// config reads the files; nil if there is no certificate.
func (t ServerTLS) config() (*tls.Config, error) {
	if t.CertFile == "" {
		return nil, nil
	}
	read := func() (tls.Certificate, error) {
		return readPair("tls.cert_file", t.CertFile, "tls.key_file", t.KeyFile)
	}
	first, err := read()
	if err != nil {
		return nil, err
	}
	conf, err := option.TLS{MinVersion: t.MinVersion}.Config()
	if err != nil {
		return nil, err
	}
	conf.GetCertificate = latest(first, read)
	if t.Verify {
		if conf.ClientCAs, err = readPool("tls.ca_file", t.CAFile); err != nil {
			return nil, err
		}
		conf.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return conf, nil
}

// latest returns a callback that reads the certificate anew, or gives the one
// last read while the files are being replaced.
func latest(first tls.Certificate, read func() (tls.Certificate, error)) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	var last atomic.Pointer[tls.Certificate]
	last.Store(&first)
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if fresh, err := read(); err == nil {
			last.Store(&fresh)
		}
		return last.Load(), nil
	}
}
