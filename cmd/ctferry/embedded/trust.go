package embedded

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
)

// caName is the copy of what local clients trust. They need not be able to read
// the original.
const caName = "ca.pem"

// trusted gives the address for which the server's certificate is good, and the
// file with what a client must trust: none where the system's authorities vouch
// for it; else nats_server.tls.ca_file if that does; else the certificate itself.
func (s *Server) trusted(at string) (address, ca string, err error) {
	t := s.conf.Server.TLS
	if t.CertFile == "" {
		return at, "", nil
	}
	chain, text, err := readChain(t.CertFile)
	if err != nil {
		return "", "", err
	}
	u, err := url.Parse(at)
	if err != nil {
		return "", "", err
	}
	if names := chain[0].DNSNames; chain[0].VerifyHostname(u.Hostname()) != nil && len(names) > 0 {
		u.Host = net.JoinHostPort(names[0], u.Port())
	}
	if verifies(chain, nil) {
		return u.String(), "", nil
	}
	if t.CAFile != "" {
		own, authorities, err := readChain(t.CAFile)
		if err == nil && verifies(chain, own) {
			text = authorities
		}
	}
	return u.String(), filepath.Join(s.conf.Credentials.Dir, caName), s.conf.Credentials.Write(caName, text)
}

// verifies reports whether roots (nil: the system's) vouch for a chain.
func verifies(chain, roots []*x509.Certificate) bool {
	o := x509.VerifyOptions{Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	if roots != nil {
		o.Roots = x509.NewCertPool()
		for _, c := range roots {
			o.Roots.AddCert(c)
		}
	}
	_, err := chain[0].Verify(o)
	return err == nil
}

// readChain reads the certificates of a PEM file.
func readChain(path string) (chain []*x509.Certificate, text []byte, err error) {
	text, err = os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, err
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, nil, errors.New(path + ": no PEM certificate in it")
	}
	return chain, text, nil
}
