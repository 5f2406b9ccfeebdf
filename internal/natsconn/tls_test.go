package natsconn_test

import (
	"os"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/nats-io/nats-server/v2/server"
)

// withTLS gives a broker a certificate and, if verify, the wish for one.
func withTLS(t *testing.T, ca *natstest.Authority, verify bool) func(*natsconn.ServerConfig) {
	t.Helper()
	cert, key := ca.Issue(t, "server", time.Hour)
	return func(c *natsconn.ServerConfig) {
		c.TLS = natsconn.ServerTLS{CertFile: cert, KeyFile: key}
		if verify {
			c.TLS.CAFile, c.TLS.Verify = ca.CAFile, true
		}
	}
}

func TestTLS(t *testing.T) {
	noLeaks(t)
	ca, otherCA := natstest.NewAuthority(t), natstest.NewAuthority(t)
	b := natstest.Start(t, withTLS(t, ca, false))
	for _, tt := range []struct {
		name string
		tls  option.TLS
		ok   bool
	}{
		{"right authority", option.TLS{CAFile: ca.CAFile}, true},
		{"1.3", option.TLS{CAFile: ca.CAFile, MinVersion: "1.3"}, true},
		{"name in the certificate", option.TLS{CAFile: ca.CAFile, ServerName: "localhost"}, true},
		{"insecure", option.TLS{InsecureSkipVerify: true}, true},
		{"system authorities", option.TLS{}, false},
		{"other authority", option.TLS{CAFile: otherCA.CAFile}, false},
		{"other name", option.TLS{CAFile: ca.CAFile, ServerName: "example.org"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conf := b.Config()
			conf.TLS = tt.tls
			if tt.ok {
				echo(t, dial(t, conf, natsconn.Callbacks{}))
				return
			}
			if err := refused(t, conf); !natsconn.IsConfig(err) || natsconn.IsAuth(err) {
				t.Errorf("got %v (config %v, auth %v)", err, natsconn.IsConfig(err), natsconn.IsAuth(err))
			}
		})
	}
}

func TestMutualTLS(t *testing.T) {
	noLeaks(t)
	ca, otherCA := natstest.NewAuthority(t), natstest.NewAuthority(t)
	b := natstest.Start(t, withTLS(t, ca, true))
	conf := b.Config()
	conf.TLS.CAFile = ca.CAFile
	if err := refused(t, conf); !natsconn.IsAuth(err) {
		t.Errorf("without a certificate: %v", err)
	}
	conf.TLS.CertFile, conf.TLS.KeyFile = otherCA.Issue(t, "client", time.Hour)
	if err := refused(t, conf); !natsconn.IsAuth(err) {
		t.Errorf("a stranger's certificate: %v", err)
	}
	conf.TLS.CertFile, conf.TLS.KeyFile = ca.Issue(t, "client", -time.Minute)
	if err := refused(t, conf); !natsconn.IsAuth(err) {
		t.Errorf("an expired certificate: %v", err)
	}
	conf.TLS.CertFile, conf.TLS.KeyFile = ca.Issue(t, "client", time.Hour)
	echo(t, dial(t, conf, natsconn.Callbacks{}))
}

// The name in the certificate is the user: no password at all.
func TestTLSUser(t *testing.T) {
	noLeaks(t)
	ca := natstest.NewAuthority(t)
	b := natstest.Start(t, withTLS(t, ca, true), func(c *natsconn.ServerConfig) {
		c.Users = []*server.User{natstest.User("CN=ann", "", nil, nil)}
		c.Adjust = func(o *server.Options) { o.TLSMap = true }
	})
	conf := b.Config()
	conf.TLS.CAFile = ca.CAFile
	conf.TLS.CertFile, conf.TLS.KeyFile = ca.Issue(t, "ann", time.Hour)
	echo(t, dial(t, conf, natsconn.Callbacks{}))
	conf.TLS.CertFile, conf.TLS.KeyFile = ca.Issue(t, "bob", time.Hour)
	if err := refused(t, conf); !natsconn.IsAuth(err) {
		t.Errorf("got %v", err)
	}
}

func TestTLSHandshakeFirst(t *testing.T) {
	noLeaks(t)
	ca := natstest.NewAuthority(t)
	b := natstest.Start(t, withTLS(t, ca, false), func(c *natsconn.ServerConfig) { c.TLS.HandshakeFirst = true })
	conf := b.Config()
	conf.TLS = option.TLS{CAFile: ca.CAFile}
	conf.TLSHandshakeFirst = true
	echo(t, dial(t, conf, natsconn.Callbacks{}))

	plain := natstest.Start(t)
	conf.URLs = []string{plain.ClientURL()}
	if err := refused(t, conf); !natsconn.IsConfig(err) {
		t.Errorf("handshake first at a plain server: %v", err)
	}
	conf.TLSHandshakeFirst = false
	if err := refused(t, conf); !natsconn.IsConfig(err) {
		t.Errorf("TLS at a plain server: %v", err)
	}
}

// Certificates renewed in place serve the next handshake, on both sides.
func TestCertificatesAreReadAgain(t *testing.T) {
	noLeaks(t)
	ca := natstest.NewAuthority(t)
	serverTLS := withTLS(t, ca, true)
	b := natstest.Start(t, serverTLS)
	var sc natsconn.ServerConfig
	serverTLS(&sc)
	back := make(chan string, 1)
	conf := b.Config()
	conf.TLS.CAFile = ca.CAFile
	conf.TLS.CertFile, conf.TLS.KeyFile = ca.Issue(t, "client", time.Hour)
	nc := dial(t, conf, natsconn.Callbacks{Reconnected: func(url string) { back <- url }})
	serial := func() string {
		state, err := nc.TLSConnectionState()
		if err != nil {
			t.Fatal(err)
		}
		return state.PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	cert, key := ca.Issue(t, "renewed", time.Hour)
	replace(t, cert, sc.TLS.CertFile)
	replace(t, key, sc.TLS.KeyFile)
	replace(t, cert, conf.TLS.CertFile)
	replace(t, key, conf.TLS.KeyFile)
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	wait(t, "reconnect", back)
	if serial() == before {
		t.Error("the server showed its old certificate")
	}
	echo(t, nc)
}

// A certificate that went bad is reported at each round, and the connection
// comes back once it is put right.
func TestCertificateGoesBad(t *testing.T) {
	noLeaks(t)
	ca := natstest.NewAuthority(t)
	b := natstest.Start(t, withTLS(t, ca, true))
	back, failed := make(chan string, 1), make(chan error, 1)
	conf := b.Config()
	conf.TLS.CAFile = ca.CAFile
	conf.TLS.CertFile, conf.TLS.KeyFile = ca.Issue(t, "client", time.Hour)
	nc := dial(t, conf, natsconn.Callbacks{
		Reconnected: func(url string) { back <- url },
		ReconnectFailed: func(err error) {
			select {
			case failed <- err:
			default:
			}
		},
	})
	good, err := os.ReadFile(conf.TLS.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf.TLS.CertFile, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, "failure", failed); !natsconn.IsConfig(err) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(conf.TLS.CertFile, good, 0o600); err != nil {
		t.Fatal(err)
	}
	wait(t, "reconnect", back)
	echo(t, nc)
}

// replace copies one file over another.
func replace(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
