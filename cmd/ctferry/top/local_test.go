package top

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
)

// port runs a real admin port as a configuration file says, and gives that file.
func port(t *testing.T, section string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "c.yaml")
	text := "node: edge-1\nadmin: {" + section + "}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load(configs.Input{File: file, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	if !cfg.Admin.On() {
		return file
	}
	snap := recorded(t).Snapshot
	server, err := admin.Listen(cfg.Admin, func() *admin.Snapshot { own := snap; own.Time = time.Now(); return &own }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return file
}

// freePort is an address on which nobody listens now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestAdminPorts finds and reads each kind of admin port by its configuration
// alone, or by what the command line says.
func TestAdminPorts(t *testing.T) {
	ca := natstest.NewAuthority(t)
	cert, key := ca.Issue(t, "localhost", time.Hour)
	_, portTLS, _ := net.SplitHostPort(freePort(t))
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	secret := []string{PasswordVariable + "=secret"}
	plain, socket := freePort(t), filepath.Join(t.TempDir(), "a.sock")
	for name, tt := range map[string]struct {
		section string
		change  func(*LocalOptions)
		want    string // the error, or ""
	}{
		"plain":       {`listen: "` + plain + `"`, func(*LocalOptions) {}, ""},
		"unix":        {`listen: "unix:` + socket + `"`, func(*LocalOptions) {}, ""},
		"every":       {`listen: "0.0.0.0:` + portTLS + `", tls: {cert_file: ` + cert + `, key_file: ` + key + `}, basic_auth: {user: ann, password: secret}`, func(*LocalOptions) {}, ""},
		"hash":        {`listen: "` + freePort(t) + `", basic_auth: {user: ann, password: "` + string(hash) + `"}`, func(*LocalOptions) {}, "only the password's hash: set " + PasswordVariable},
		"hash, known": {`listen: "` + freePort(t) + `", basic_auth: {user: ann, password: "` + string(hash) + `"}`, func(o *LocalOptions) { o.Environ = secret }, ""},
		"wrong":       {`listen: "` + freePort(t) + `", basic_auth: {user: ann, password: other}`, func(o *LocalOptions) { o.Environ = secret }, "status 401"},
		"none":        {``, func(*LocalOptions) {}, `admin.listen: not set, so nobody can be asked: set it there, as in`},
		"no file":     {``, func(o *LocalOptions) { o.Config += "x" }, "say -c FILE, --admin URL or --node NAME"},
		"key alone":   {``, func(o *LocalOptions) { o.URL, o.KeyFile = "http://x", key }, "go together"},
		"password":    {``, func(o *LocalOptions) { o.URL = "http://a:b@c" }, "not taken from the command line"},
		"ftp":         {``, func(o *LocalOptions) { o.URL = "ftp://x" }, "expected http://HOST:PORT"},
	} {
		t.Run(name, func(t *testing.T) {
			o := LocalOptions{Config: port(t, tt.section)}
			tt.change(&o)
			l, err := NewLocal(o)
			if err == nil {
				_, err = l.Read(t.Context())
				l.Close()
			}
			var usage *UsageError
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !errors.As(err, &usage)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestAddressOnTheLine reads what --admin names, and believes no certificate
// that nobody vouches for.
func TestAddressOnTheLine(t *testing.T) {
	ca := natstest.NewAuthority(t)
	cert, key := ca.Issue(t, "localhost", time.Hour)
	socket, address := filepath.Join(t.TempDir(), "a.sock"), freePort(t)
	port(t, `listen: "unix:`+socket+`"`)
	port(t, `listen: "`+address+`", tls: {cert_file: `+cert+`, key_file: `+key+`}, basic_auth: {user: ann, password: secret}`)
	_, number, _ := net.SplitHostPort(address)
	read := func(o LocalOptions) error {
		l, err := NewLocal(o)
		if err != nil {
			return err
		}
		defer l.Close()
		r, err := l.Read(t.Context())
		if err == nil && (r.Node != "edge-1" || l.Address() == "") {
			t.Errorf("%+v", r)
		}
		return err
	}
	if err := read(LocalOptions{URL: "unix:" + socket}); err != nil {
		t.Error(err)
	}
	o := LocalOptions{URL: "https://ann@localhost:" + number, CAFile: ca.CAFile, Environ: []string{PasswordVariable + "=secret"}}
	if err := read(o); err != nil {
		t.Error(err)
	}
	o.CAFile = ""
	if err := read(o); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that nobody vouches for: %v", err)
	}
	if err := read(LocalOptions{URL: "unix:" + socket + "x"}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}

// TestAnotherCertificate refuses a port that shows another certificate than the
// configuration names.
func TestAnotherCertificate(t *testing.T) {
	ca := natstest.NewAuthority(t)
	cert, key := ca.Issue(t, "localhost", time.Hour)
	file := port(t, `listen: "`+freePort(t)+`", tls: {cert_file: `+cert+`, key_file: `+key+`}`)
	l, err := NewLocal(LocalOptions{Config: file})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	other, _ := ca.Issue(t, "other", time.Hour)
	text, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	pinned := filepath.Join(t.TempDir(), "pin.pem")
	if err := os.WriteFile(pinned, text, 0o600); err != nil {
		t.Fatal(err)
	}
	pin(l.client.Transport.(*http.Transport).TLSClientConfig, pinned)
	if _, err := l.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "another certificate") {
		t.Error(err)
	}
}

// TestStrangers: what answers and is no admin port of ctferry is named so.
func TestStrangers(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"<html>": "no answer of ctferry's admin port", `{"schema":"x"}`: "no answer of ctferry's admin port",
		"500": "status 500: \ufffd[31mill", "404": "status 404", "302": "status 302",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			var status int
			if _, err := fmt.Sscan(body, &status); err == nil {
				w.Header().Set("Location", "http://example.org/")
				w.WriteHeader(status)
				fmt.Fprintln(w, "\x1b[31mill")
				return
			}
			fmt.Fprint(w, body)
		}))
		l, err := NewLocal(LocalOptions{URL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Read(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", body, err, want)
		}
		server.Close()
	}
}
