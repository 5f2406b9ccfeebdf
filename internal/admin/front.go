package admin

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"

	"github.com/ctferry/ctferry/internal/option"
)

// front is what stands between the network and the answers; a reload exchanges
// it whole.
type front struct {
	cfg   Config
	tls   *tls.Config // nil: none
	creds *credentials
}

// newFront reads every file that cfg names. Errors name the key.
func newFront(cfg Config) (*front, error) {
	f := &front{cfg: cfg}
	var err error
	if f.creds, err = newCredentials(&cfg.BasicAuth); err != nil {
		return nil, err
	}
	f.tls, err = cfg.TLS.config()
	return f, err
}

func (t *TLS) config() (*tls.Config, error) {
	if t.CertFile == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("admin.tls.cert_file: %w", err)
	}
	c, err := option.TLS{MinVersion: t.MinVersion}.Config()
	if err != nil {
		return nil, fmt.Errorf("admin.%w", err)
	}
	c.GetCertificate = renewed(t.CertFile, t.KeyFile, &pair)
	c.NextProtos = []string{"http/1.1"}
	if t.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("admin.tls.ca_file: %w", err)
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("admin.tls.ca_file: %s holds no PEM certificate", t.CAFile)
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	return c, nil
}

// renewed reads the pair at each handshake; while that fails, because it is just
// being replaced, the last one serves.
func renewed(certFile, keyFile string, first *tls.Certificate) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	var last atomic.Pointer[tls.Certificate]
	last.Store(first)
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if pair, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil {
			last.Store(&pair)
		}
		return last.Load(), nil
	}
}

// refuse answers a request that is not let in, and reports whether it did.
// Health is told to everybody: who may connect may know whether it lives.
func (f *front) refuse(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "expected GET or HEAD", http.StatusMethodNotAllowed)
	case !f.named(r.Host):
		http.Error(w, "expected localhost or an address as the host's name: a page elsewhere may have sent this request", http.StatusMisdirectedRequest)
	case r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || f.creds == nil:
		return false
	default:
		user, password, _ := r.BasicAuth()
		if f.creds.admits(user, password) {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="ctferry", charset="UTF-8"`)
		http.Error(w, "expected the name and the password of admin.basic_auth", http.StatusUnauthorized)
	}
	return true
}

// named tells whether a request's Host is one that a person on this host would
// use. A port on loopback asks for no password, so a page of another site whose
// name has come to mean 127.0.0.1 must not read it by way of somebody's browser.
func (f *front) named(host string) bool {
	if f.cfg.Unix() != "" || !f.cfg.Loopback() || f.creds != nil {
		return true
	}
	if h, _, ok := cutPort(host); ok {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	_, err := netip.ParseAddr(host)
	return err == nil || host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// cutPort parts host:port; an IPv6 address without brackets has no port.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.IndexByte(s, ':') != i && !strings.HasSuffix(s[:i], "]") {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
