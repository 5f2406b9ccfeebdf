package testbroker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certificates names the PEM files of a small authority of its own: valid for a day, ECDSA P-256, keys in PKCS #8 without a password.
type Certificates struct {
	// CA signs the server's and the client's certificate.
	CA string
	// ServerPair holds the server's key and certificate in one file, as Kafka's PEM key store wants it; good for 127.0.0.1 and localhost.
	ServerPair string
	// ClientCert and ClientKey are the client's; its subject is ClientSubject.
	ClientCert, ClientKey string
}

// ClientSubject is the subject of the client's certificate, and with "User:" before it the client's name in Kafka's ACLs.
const ClientSubject = "CN=" + User

// NewCertificates makes an authority and its files in dir, which must exist. A second one serves tests of a wrong authority.
func NewCertificates(dir string) (Certificates, error) {
	file := func(name string) string { return filepath.Join(dir, name) }
	c := Certificates{CA: file("ca.pem"), ServerPair: file("server.pem"), ClientCert: file("client.pem"), ClientKey: file("client-key.pem")}
	ca, err := issue(template("ctferry test authority", 1), nil)
	if err != nil {
		return c, err
	}
	serverTemplate := template("localhost", 2)
	serverTemplate.DNSNames, serverTemplate.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	server, err := issue(serverTemplate, ca)
	if err != nil {
		return c, err
	}
	client, err := issue(template(User, 3), ca)
	if err != nil {
		return c, err
	}
	for name, content := range map[string][]byte{
		c.CA: ca.certPEM, c.ServerPair: append(server.keyPEM, server.certPEM...), c.ClientCert: client.certPEM, c.ClientKey: client.keyPEM,
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return c, err
		}
	}
	return c, nil
}

// ClientTLS returns a client's configuration that trusts the authority and, if asked, shows the client's certificate.
func (c Certificates) ClientTLS(withCertificate bool) (*tls.Config, error) {
	ca, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	if !config.RootCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s: no certificate in it", c.CA)
	}
	if !withCertificate {
		return config, nil
	}
	pair, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// issued is a certificate with its key, parsed and as PEM.
type issued struct {
	cert            *x509.Certificate
	key             *ecdsa.PrivateKey
	certPEM, keyPEM []byte
}

// template is a leaf's or, for serial 1, the authority's content.
func template(name string, serial int64) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if serial == 1 {
		t.IsCA, t.BasicConstraintsValid, t.KeyUsage, t.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	}
	return t
}

// issue makes a key and has ca sign the certificate; without a ca it signs itself.
func issue(content *x509.Certificate, ca *issued) (*issued, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of %q: %w", content.Subject.CommonName, err)
	}
	parent, signer := content, key
	if ca != nil {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, content, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("certificate of %q: %w", content.Subject.CommonName, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate of %q: %w", content.Subject.CommonName, err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("key of %q: %w", content.Subject.CommonName, err)
	}
	return &issued{
		cert: cert, key: key,
		certPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}, nil
}
