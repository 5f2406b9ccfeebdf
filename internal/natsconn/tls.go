package natsconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/ctferry/ctferry/internal/option"
)

func tlsProblems(t option.TLS) problems {
	var p problems
	p.faults(t.Validate())
	p.check(t.InsecureSkipVerify && t.CAFile != "", "insecure_skip_verify",
		"with it ca_file has no effect; only one of them may be set")
	return p
}

// baseTLS returns the parts of a tls.Config that no file feeds.
func baseTLS(t option.TLS) (*tls.Config, error) {
	t.CAFile, t.CertFile, t.KeyFile = "", "", ""
	return t.Config()
}

// roots returns a reader of the authorities.
func roots(t option.TLS) func() (*x509.CertPool, error) {
	return func() (*x509.CertPool, error) { return readPool("tls.ca_file", t.CAFile) }
}

// certificate returns a reader of the client's certificate and its key.
func certificate(t option.TLS) func() (tls.Certificate, error) {
	return func() (tls.Certificate, error) {
		return readPair("tls.cert_file", t.CertFile, "tls.key_file", t.KeyFile)
	}
}

// staticTLS returns a complete tls.Config for a dialler that cannot be given
// callbacks for the authorities; the client certificate is still re-read.
func staticTLS(t option.TLS) (*tls.Config, error) {
	conf, err := baseTLS(t)
	if err != nil {
		return nil, err
	}
	if t.CAFile != "" {
		if conf.RootCAs, err = roots(t)(); err != nil {
			return nil, err
		}
	}
	if t.CertFile != "" {
		read := certificate(t)
		if _, err := read(); err != nil {
			return nil, err
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := read()
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
