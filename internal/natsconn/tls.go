package natsconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// TLSVersion is a lowest protocol version, "1.2" or "1.3" in text; zero is 1.2.
type TLSVersion uint16

// The versions that may be asked for.
const (
	TLS12 TLSVersion = tls.VersionTLS12
	TLS13 TLSVersion = tls.VersionTLS13
)

// UnmarshalText reads "1.2", "1.3" or nothing.
func (v *TLSVersion) UnmarshalText(text []byte) error {
	switch string(text) {
	case "":
		*v = 0
	case "1.2":
		*v = TLS12
	case "1.3":
		*v = TLS13
	default:
		return fmt.Errorf("%q: expected 1.2 or 1.3", text)
	}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (v TLSVersion) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// String returns "1.2" or "1.3".
func (v TLSVersion) String() string {
	switch v {
	case 0, TLS12:
		return "1.2"
	case TLS13:
		return "1.3"
	}
	return fmt.Sprintf("%#04x", uint16(v))
}

// number is the version for crypto/tls.
func (v TLSVersion) number() uint16 { return max(uint16(v), tls.VersionTLS12) }

func (v TLSVersion) ok() bool { return v == 0 || v == TLS12 || v == TLS13 }

// TLS is a client's side of TLS. The files are PEM and are read again at every
// connect, so certificates may be renewed in place.
type TLS struct {
	// CAFile holds the authorities that vouch for the server, instead of the system's.
	CAFile string
	// CertFile and KeyFile are the client's certificate chain and its key.
	CertFile string
	// KeyFile goes with CertFile.
	KeyFile string
	// ServerName is the name the server's certificate must bear, instead of the URL's host.
	ServerName string
	// InsecureSkipVerify accepts any certificate.
	InsecureSkipVerify bool
	// HandshakeFirst begins with TLS instead of the server's INFO line; the
	// server must be set likewise.
	HandshakeFirst bool
	// MinVersion is the lowest version accepted.
	MinVersion TLSVersion
}

// enabled reports whether any field asks for TLS.
func (t TLS) enabled() bool { return t != TLS{} }

func (t TLS) problems() problems {
	var p problems
	p.check(t.CertFile != "" && t.KeyFile == "", "key_file", "missing beside cert_file")
	p.check(t.KeyFile != "" && t.CertFile == "", "cert_file", "missing beside key_file")
	p.check(!t.MinVersion.ok(), "min_version", "%v: expected 1.2 or 1.3", t.MinVersion)
	p.check(t.InsecureSkipVerify && t.CAFile != "", "insecure_skip_verify",
		"with it ca_file has no effect; only one of them may be set")
	return p
}

// base returns the parts of a tls.Config that no file feeds.
func (t TLS) base() *tls.Config {
	return &tls.Config{
		MinVersion:         t.MinVersion.number(),
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify,
	}
}

// roots reads CAFile.
func (t TLS) roots() (*x509.CertPool, error) { return readPool("tls.ca_file", t.CAFile) }

// certificate reads CertFile and KeyFile.
func (t TLS) certificate() (tls.Certificate, error) {
	return readPair("tls.cert_file", t.CertFile, "tls.key_file", t.KeyFile)
}

// static returns a complete tls.Config for a dialler that cannot be given
// callbacks for the authorities; the client certificate is still re-read.
func (t TLS) static() (*tls.Config, error) {
	conf := t.base()
	if t.CAFile != "" {
		pool, err := t.roots()
		if err != nil {
			return nil, err
		}
		conf.RootCAs = pool
	}
	if t.CertFile != "" {
		if _, err := t.certificate(); err != nil {
			return nil, err
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := t.certificate()
			return &cert, err
		}
	}
	return conf, nil
}

// readPool reads PEM certificates; field names the setting in the error.
func readPool(field, path string) (*x509.CertPool, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, &FieldError{Field: field, Err: err}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, &FieldError{Field: field, Msg: path + ": no PEM certificate in it"}
	}
	return pool, nil
}

// readPair reads a certificate chain and its key; the fields name the settings.
func readPair(certField, certFile, keyField, keyFile string) (tls.Certificate, error) {
	cert, err := readFile(certFile)
	if err != nil {
		return tls.Certificate{}, &FieldError{Field: certField, Err: err}
	}
	key, err := readFile(keyFile)
	if err != nil {
		return tls.Certificate{}, &FieldError{Field: keyField, Err: err}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		msg := fmt.Sprintf("%s with %s: %v", certFile, keyFile, err)
		return tls.Certificate{}, &FieldError{Field: certField, Msg: msg, Err: errors.Unwrap(err)}
	}
	return pair, nil
}
