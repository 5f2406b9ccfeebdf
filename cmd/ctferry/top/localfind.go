package top

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/internal/option"
)

// PasswordVariable is the variable of the environment that holds the password of
// the admin port, where the configuration has only its hash or is not read.
const PasswordVariable = "CTFERRY_ADMIN__BASIC_AUTH__PASSWORD"

// LocalOptions say which admin port is asked.
type LocalOptions struct {
	URL      string // http://…, https://… or unix:/…; "" is what Config says
	Config   string // the configuration file whose section admin is used
	CAFile   string // authorities of the port's certificate, PEM; "" are the system's, or of the one that Config names
	CertFile string // the certificate that is shown, PEM; "" is none
	KeyFile  string
	Environ  []string // NAME=value
}

// NewLocal finds the admin port. It asks nothing yet.
func NewLocal(o LocalOptions) (*Local, error) {
	l, t := &Local{password: lookup(o.Environ, PasswordVariable)}, &http.Transport{}
	files := option.TLS{CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile}
	tlsConfig, err := files.Config()
	if err = cmp.Or(files.Validate(), err); err != nil {
		return nil, &UsageError{fmt.Errorf("the files that --admin-… name: %w", err)}
	}
	t.TLSClientConfig = tlsConfig
	if o.URL != "" {
		err = l.fromURL(o.URL, t)
	} else {
		err = l.fromConfig(&o, t)
	}
	if err != nil {
		return nil, &UsageError{err}
	}
	l.client = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return l, nil
}

func lookup(environ []string, name string) string {
	for _, kv := range environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// fromURL takes an address from the command line.
func (l *Local) fromURL(address string, t *http.Transport) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		l.overUnix(strings.TrimPrefix(path, "//"), t)
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("--admin: %q: expected http://HOST:PORT, https://HOST:PORT or unix:/PATH", address)
	}
	if _, has := u.User.Password(); has {
		return fmt.Errorf("--admin: a password is not taken from the command line, where every user can read it: set %s", PasswordVariable)
	}
	l.user = u.User.Username()
	u.User = nil
	l.shown = u.Scheme + "://" + u.Host
	l.url = l.shown + "/stats.json"
	return nil
}

func (l *Local) overUnix(path string, t *http.Transport) {
	l.shown, l.url = "unix:"+path, "http://localhost/stats.json"
	t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
}

// fromConfig uses the section admin of a configuration file.
func (l *Local) fromConfig(o *LocalOptions, t *http.Transport) error {
	cfg, err := configs.Load(configs.Input{File: o.Config, Env: o.Environ, Client: true})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: say -c FILE, --admin URL or --node NAME", err)
	case err != nil:
		return err
	case !cfg.Admin.On():
		return fmt.Errorf(`%s: admin.listen: not set, so nobody can be asked: set it there, as in
  admin: {listen: "127.0.0.1:9479"}
and restart the service; or ask over NATS, with --node %s`, o.Config, cfg.Node)
	}
	return l.fromAdmin(&cfg.Admin, o, t)
}

func (l *Local) fromAdmin(c *admin.Config, o *LocalOptions, t *http.Transport) error {
	if path := c.Unix(); path != "" {
		l.overUnix(path, t)
	} else {
		l.shown = reachable(c.Listen)
		l.url = "http://" + l.shown + "/stats.json"
	}
	if c.TLS.CertFile != "" {
		l.url = "https://" + l.shown + "/stats.json"
		if o.CAFile == "" {
			pin(t.TLSClientConfig, c.TLS.CertFile)
		}
	}
	l.user = c.BasicAuth.User
	if l.user == "" || l.password != "" {
		return nil
	}
	secret, err := option.SecretFrom(c.BasicAuth.Password, c.BasicAuth.PasswordFile)
	if err != nil {
		return fmt.Errorf("admin.basic_auth.password_file: %w", err)
	}
	if l.password = secret.Reveal(); strings.HasPrefix(l.password, "$2") {
		return fmt.Errorf("admin.basic_auth: the configuration has only the password's hash: set %s", PasswordVariable)
	}
	return nil
}

// reachable is where this host reaches an address that is listened on.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// pin accepts the certificate that the configuration of this host names and no
// other: its name is seldom that of the address on which this host asks.
func pin(c *tls.Config, certFile string) {
	c.InsecureSkipVerify = true //nolint:gosec // VerifyConnection is stricter
	c.VerifyConnection = func(s tls.ConnectionState) error {
		text, err := os.ReadFile(certFile) // at each handshake, as the port reads it
		if err != nil {
			return fmt.Errorf("admin.tls.cert_file: %w", err)
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return fmt.Errorf("admin.tls.cert_file: %s holds no PEM certificate", certFile)
		}
		want, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("admin.tls.cert_file: %w", err)
		}
		if len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, want.Raw) {
			return fmt.Errorf("the port shows another certificate than that of admin.tls.cert_file, %s", certFile)
		}
		return nil
	}
}
