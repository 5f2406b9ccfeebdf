package testbroker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// handshake runs both sides of TLS over a pipe and returns what each says.
func handshake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	a, b := net.Pipe()
	deadline := time.Now().Add(5 * time.Second)
	_ = a.SetDeadline(deadline)
	_ = b.SetDeadline(deadline)
	done := make(chan error, 1)
	go func() {
		err := tls.Server(a, server).Handshake()
		_ = a.Close()
		done <- err
	}()
	conn := tls.Client(b, client)
	clientErr = conn.Handshake()
	if clientErr == nil {
		_, _ = conn.Read(make([]byte, 1)) // TLS 1.3 tells of a refused certificate after the handshake
	}
	_ = b.Close()
	return <-done, clientErr
}

func TestCertificates(t *testing.T) {
	ours, err := NewCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	others, err := NewCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name                   string
		client                 Certificates
		withCertificate        bool
		serverName             string
		wantServer, wantClient bool // an error
	}{
		{name: "by address", client: ours, withCertificate: true, serverName: "127.0.0.1"},
		{name: "by name", client: ours, withCertificate: true, serverName: "localhost"},
		{name: "wrong name", client: ours, withCertificate: true, serverName: "example.org", wantServer: true, wantClient: true},
		{name: "no certificate", client: ours, serverName: "localhost", wantServer: true},
		{name: "another authority", client: others, withCertificate: true, serverName: "localhost", wantServer: true, wantClient: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pair, err := tls.LoadX509KeyPair(ours.ServerPair, ours.ServerPair)
			if err != nil {
				t.Fatal(err)
			}
			trusted, err := ours.ClientTLS(false)
			if err != nil {
				t.Fatal(err)
			}
			server := &tls.Config{
				Certificates: []tls.Certificate{pair}, ClientCAs: trusted.RootCAs, ClientAuth: tls.RequireAndVerifyClientCert,
				MinVersion: tls.VersionTLS12,
			}
			client, err := tt.client.ClientTLS(tt.withCertificate)
			if err != nil {
				t.Fatal(err)
			}
			client.ServerName = tt.serverName
			serverErr, clientErr := handshake(t, server, client)
			if tt.wantServer != (serverErr != nil) || tt.wantClient != (clientErr != nil) {
				t.Errorf("server: %v (want an error: %t), client: %v (want an error: %t)", serverErr, tt.wantServer, clientErr, tt.wantClient)
			}
		})
	}
}

func TestClientSubject(t *testing.T) {
	c, err := NewCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := leaf.Subject.String(); got != ClientSubject {
		t.Errorf("subject %q, want %q", got, ClientSubject)
	}
}

func TestCertificatesErrors(t *testing.T) {
	if _, err := NewCertificates(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("no folder: no error")
	}
	if _, err := (Certificates{CA: "/does/not/exist"}).ClientTLS(false); err == nil {
		t.Error("no file: no error")
	}
	c, err := NewCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Certificates{CA: c.ClientKey}).ClientTLS(false); err == nil {
		t.Error("a key as the authority: no error")
	}
	c.ClientCert = c.CA
	var mismatch error
	if _, mismatch = c.ClientTLS(true); mismatch == nil || errors.Unwrap(mismatch) == nil {
		t.Errorf("certificate and key of two people: %v, want a wrapped error", mismatch)
	}
}
