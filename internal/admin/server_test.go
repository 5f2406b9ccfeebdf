package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
)

func TestEndpoints(t *testing.T) {
	t.Parallel()
	p := open(t, nil)
	_, text := p.wants("/metrics", 200, nil)
	contains(t, text, `ctferry_netlink_dropped_total{netns=""} 6`, `ctferry_netlink_received_total{netns="a"} 3`, `ctferry_sink_latency_seconds_sum{sink="siem"} 0.5`,
		`ctferry_sink_latency_seconds_count{sink="siem"} 4`, `ctferry_control_duration_seconds_count{code="200",verb="list"} 3`, "go_goroutines ", "process_resident_memory_bytes ")
	h, text := p.wants("/metrics", 200, func(r *http.Request) { r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0") })
	contains(t, h.Get("Content-Type"), "application/openmetrics-text; version=1.0.0")
	contains(t, text, "# EOF", "# TYPE ctferry_netlink_dropped counter")
	_, text = p.wants("/healthz", 200, nil)
	contains(t, text, "ok")
	p.wants("/readyz", 200, nil)
	h, text = p.wants("/stats.json", 200, nil)
	contains(t, h.Get("Content-Type"), "application/json")
	var snap Snapshot
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&snap); err != nil || snap.Books.Sockets[0].Lost != 6 || snap.Buffers[0].Size != 1<<19 {
		t.Errorf("%v in %s", err, text)
	}
	h, text = p.wants("/", 200, nil)
	contains(t, text, "<!doctype html>")
	contains(t, h.Get("Content-Security-Policy"), "default-src 'none'", "script-src 'sha256-", "connect-src 'self'")
	for _, path := range []string{"/nothing", "/metrics/", "/debug/pprof/", "/debug/pprof/cmdline", "/..%2f", "/page.js"} {
		p.wants(path, 404, nil)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
		p.wants("/stats.json", 405, func(r *http.Request) { r.Method = method })
	}
	p.wants("/healthz", 200, func(r *http.Request) { r.Method = "HEAD" })
}

func TestProfilesAreOffUnlessAsked(t *testing.T) {
	t.Parallel()
	p := open(t, func(c *Config) { c.PProf = true })
	_, text := p.wants("/debug/pprof/goroutine?debug=1", 200, nil)
	contains(t, text, "goroutine profile")
	p.wants("/debug/pprof/", 200, nil)
	p.wants("/debug/pprof/cmdline", 404, nil)
}

// TestForeignPages refuses what a browser sends for a page of another site.
func TestForeignPages(t *testing.T) {
	t.Parallel()
	p := open(t, nil)
	for host, status := range map[string]int{
		"localhost": 200, "localhost:9479": 200, "127.0.0.1:9479": 200, "[::1]:9479": 200, "::1": 200, "a.localhost": 200, "10.0.0.1": 200,
		"evil.example": 421, "evil.example:9479": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example:80": 421,
	} {
		p.wants("/stats.json", status, func(r *http.Request) { r.Host = host })
	}
}

func TestBasicAuth(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, append(hash, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, auth := range map[string]BasicAuth{
		"plain":          {User: "u", Password: option.NewSecret("right")},
		"bcrypt":         {User: "u", Password: option.NewSecret(string(hash))},
		"bcrypt in file": {User: "u", PasswordFile: file},
	} {
		p := open(t, func(c *Config) { c.BasicAuth = auth })
		as := func(user, password string) func(*http.Request) {
			return func(r *http.Request) { r.SetBasicAuth(user, password) }
		}
		for range 2 { // the second time what was right is remembered
			for _, path := range []string{"/", "/metrics", "/stats.json"} {
				h, _ := p.wants(path, 401, nil)
				contains(t, h.Get("WWW-Authenticate"), "Basic")
				p.wants(path, 401, as("u", "wrong"))
				p.wants(path, 401, as("u", ""))
				p.wants(path, 401, as("v", "right"))
				p.wants(path, 401, as("u", string(hash)))
				p.wants(path, 401, as("u", strings.Repeat("x", 4000)))
				p.wants(path, 200, as("u", "right"))
			}
		}
		p.wants("/healthz", 200, nil)
		p.wants("/readyz", 200, nil)
		p.wants("/stats.json", 200, func(r *http.Request) { r.Host = "any.example"; r.SetBasicAuth("u", "right") })
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca, other := natstest.NewAuthority(t), natstest.NewAuthority(t)
	cert, key := ca.Issue(t, "server", time.Hour)
	p := open(t, func(c *Config) { c.TLS = TLS{CertFile: cert, KeyFile: key, MinVersion: "1.3"} })
	if status, _, _ := p.get("/healthz", nil); status != 400 {
		t.Errorf("without TLS: status %d", status) // net/http tells such a client so
	}
	p.secure(ca.CAFile, "", "")
	p.wants("/stats.json", 200, nil)

	// Clients need a certificate from now on: applied without a new address.
	cfg := p.front.Load().cfg
	cfg.TLS.CAFile = ca.CAFile
	apply, _, err := p.Renew(cfg)
	if err != nil {
		t.Fatal(err)
	}
	apply()
	if _, err := p.client.Get(p.base + "/healthz"); err == nil {
		t.Error("no certificate is needed")
	}
	c, k := other.Issue(t, "stranger", time.Hour)
	p.secure(ca.CAFile, c, k)
	if _, err := p.client.Get(p.base + "/healthz"); err == nil {
		t.Error("another authority's certificate is taken")
	}
	c, k = ca.Issue(t, "friend", time.Hour)
	p.secure(ca.CAFile, c, k)
	p.wants("/metrics", 200, nil)
}

// TestCertificateIsReadAgain renews the server's certificate in place.
func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	ca, next := natstest.NewAuthority(t), natstest.NewAuthority(t)
	cert, key := ca.Issue(t, "server", time.Hour)
	p := open(t, func(c *Config) { c.TLS = TLS{CertFile: cert, KeyFile: key} })
	p.secure(ca.CAFile, "", "")
	p.wants("/healthz", 200, nil)
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	newCert, newKey := next.Issue(t, "server", time.Hour)
	move(newCert, cert)
	p.wants("/healthz", 200, nil) // the pair does not fit: the old one serves
	move(newKey, key)
	p.secure(next.CAFile, "", "")
	p.wants("/healthz", 200, nil)
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "admin.sock")
	stale, err := net.Listen("unix", path) // what a crash leaves
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	t.Run("serves", func(t *testing.T) {
		p := open(t, func(c *Config) { c.Listen, c.Mode = "unix:"+path, "0620" })
		p.throughSocket(path)
		p.wants("/stats.json", 200, nil)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o620 {
			t.Errorf("%v, %v", info, err)
		}
		_, err = Listen(p.front.Load().cfg, sample, slog.New(slog.DiscardHandler))
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), "admin.listen: unix:"+path+" is in use by another process") {
			t.Errorf("the second says %v", err)
		}
		p.wants("/stats.json", 200, nil)
	})
	if left, _ := filepath.Glob(filepath.Dir(path) + "/*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestListenFails names the key of what is wrong.
func TestListenFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	plain := write("plain", "text")
	cert, key := natstest.NewAuthority(t).Issue(t, "server", time.Hour)
	for want, c := range map[string]Config{
		"admin.listen: " + taken.Addr().String() + " is in use":  {Listen: taken.Addr().String()},
		"admin.listen: " + plain + " is there and is no socket":  {Listen: "unix:" + plain, Mode: "0600"},
		"admin.listen: listen tcp: lookup no.such.host.invalid":  {Listen: "no.such.host.invalid:1"},
		"admin.listen: listen unix " + dir + "/none/a.sock.new:": {Listen: "unix:" + dir + "/none/a.sock", Mode: "0600"},
		"admin.tls.cert_file: open " + dir + "/none":             {Listen: "127.0.0.1:0", TLS: TLS{CertFile: dir + "/none", KeyFile: key}},
		"admin.tls.cert_file: tls: ":                             {Listen: "127.0.0.1:0", TLS: TLS{CertFile: plain, KeyFile: key}},
		"admin.tls.ca_file: " + plain + " holds no PEM":          {Listen: "127.0.0.1:0", TLS: TLS{CertFile: cert, KeyFile: key, CAFile: plain}},
		"admin.basic_auth.password_file: secret file: open ":     {Listen: "127.0.0.1:0", BasicAuth: BasicAuth{User: "u", PasswordFile: dir + "/none"}},
		"admin.basic_auth.password_file: begins as a bcrypt":     {Listen: "127.0.0.1:0", BasicAuth: BasicAuth{User: "u", PasswordFile: write("hash", "$2y$10$x")}},
		"admin.basic_auth.password_file: a bcrypt hash of cost":  {Listen: "127.0.0.1:0", BasicAuth: BasicAuth{User: "u", PasswordFile: write("dear", "$2y$20$"+strings.Repeat("a", 53))}},
	} {
		s, err := Listen(c, sample, slog.New(slog.DiscardHandler))
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, expected %s", err, want)
		}
	}
}

// TestRenew moves the port; a configuration that cannot be has no effect.
func TestRenew(t *testing.T) {
	t.Parallel()
	p := open(t, nil)
	was := p.base
	cfg := p.front.Load().cfg
	bad := cfg
	bad.Listen = p.Addr().String() // by number it is another address, and taken
	if _, _, err := p.Renew(bad); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("error %v", err)
	}
	bad.TLS.CertFile = "/none"
	if _, _, err := p.Renew(bad); err == nil {
		t.Error("a certificate that is not there is taken")
	}
	p.wants("/healthz", 200, nil)
	cfg.Listen = "localhost:0"
	_, drop, err := p.Renew(cfg)
	if err != nil {
		t.Fatal(err)
	}
	drop()
	p.wants("/healthz", 200, nil)
	apply, _, err := p.Renew(cfg)
	if err != nil {
		t.Fatal(err)
	}
	apply()
	p.base = "http://" + p.Addr().String()
	p.wants("/healthz", 200, nil)
	if _, err := p.client.Get(was + "/healthz"); err == nil {
		t.Error("the old address still answers")
	}
}

// TestRenewOverlap names this process where it is what has the address.
func TestRenewOverlap(t *testing.T) {
	t.Parallel()
	p := open(t, nil)
	_, port, err := net.SplitHostPort(p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	cfg := p.front.Load().cfg
	for _, host := range []string{"0.0.0.0", "127.0.0.1", ""} {
		cfg.Listen = net.JoinHostPort(host, port)
		want := "admin.listen: " + cfg.Listen + " overlaps " + p.Addr().String() + ", which this process has"
		if _, _, err := p.Renew(cfg); err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("error %v, expected %s", err, want)
		}
	}
	cfg.Listen = net.JoinHostPort("127.0.0.2", port) // has nothing in common with it
	_, drop, err := p.Renew(cfg)
	if err != nil {
		t.Fatal(err)
	}
	drop()
}

func TestOverlap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x, y string
		want bool
	}{
		{"127.0.0.1:9", "127.0.0.1:9", true},
		{"127.0.0.1:9", "127.0.0.1:10", false},
		{"127.0.0.1:9", "127.0.0.2:9", false},
		{"127.0.0.1:9", "0.0.0.0:9", true},
		{":9", "127.0.0.2:9", true},
		{"[::]:9", "127.0.0.2:9", true}, // listens on IPv4 too
		{"[::1]:9", "127.0.0.1:9", false},
		{"[::ffff:127.0.0.1]:9", "127.0.0.1:9", true},
		{"127.0.0.1:0", "127.0.0.1:0", false},
		{"", "127.0.0.1:9", false},
		{"localhost:9", "127.0.0.1:9", true},
		{"edge:9", "127.0.0.1:9", false},
		{"edge:9", "edge:9", true},
		{"unix:/run/a.sock", "127.0.0.1:9", false},
	} {
		if got := Overlap(c.x, c.y); got != c.want || Overlap(c.y, c.x) != c.want {
			t.Errorf("%s and %s: %v", c.x, c.y, got)
		}
	}
}

// TestRenewMode has a change of mode refused where there is one: a port has none.
func TestRenewMode(t *testing.T) {
	t.Parallel()
	p := open(t, nil)
	cfg := p.front.Load().cfg
	cfg.Mode = "0600"
	apply, _, err := p.Renew(cfg)
	if err != nil {
		t.Fatalf("a port: %v", err)
	}
	apply()
	p.wants("/healthz", 200, nil)
	p.front.Load().cfg.Listen = "unix:" + filepath.Join(t.TempDir(), "a.sock")
	cfg = p.front.Load().cfg
	cfg.Mode = "0660"
	if _, _, err := p.Renew(cfg); err == nil || !strings.HasPrefix(err.Error(), "admin.mode: ") {
		t.Errorf("a socket: %v", err)
	}
}

// TestStandstill has a reader that never answers: health is told at once and
// wrong, and the last figures serve.
func TestStandstill(t *testing.T) {
	t.Parallel()
	p := open(t, nil)
	wait := make(chan struct{})
	p.hang.Store(&wait)
	defer close(wait)
	begun := time.Now()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, text := p.wants("/stats.json", 200, nil)
			contains(t, text, `"edge-1"`)
		})
	}
	all.Wait()
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
	p.sampler.mu.Lock()
	old := *p.sampler.last
	old.Time = old.Time.Add(-time.Minute)
	p.sampler.last = &old
	p.sampler.mu.Unlock()
	_, text := p.wants("/healthz", 503, nil)
	contains(t, text, "the reader stands still, for 6")
	p.wants("/readyz", 503, nil)
	_, text = p.wants("/metrics", 200, nil)
	contains(t, text, "ctferry_reader_standstill_seconds 6")
	p.hang.Store(nil)
}

// TestStrangers opens connections beyond the bound, says nonsense and stays
// silent; afterwards there are as many goroutines as before, and the port answers.
func TestStrangers(t *testing.T) {
	p := open(t, func(c *Config) { c.MaxConnections = 8 })
	p.wants("/healthz", 200, nil)
	before := runtime.NumGoroutine()
	nonsense := [][]byte{nil, []byte("GET"), []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), []byte("GET / HTTP/9.9\r\n\r\n"), []byte("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
		[]byte("GET /stats.json HTTP/1.1\r\n\r\n"), bytes.Repeat([]byte{0xff}, 64<<10), []byte("GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\n\r\n"),
		[]byte("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("b", 1<<20)), []byte("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"),
		[]byte("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n")}
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			c, err := net.Dial("tcp", p.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(500 * time.Millisecond))
			_, _ = c.Write(nonsense[i%len(nonsense)])
			_, _ = io.Copy(io.Discard, c)
		})
	}
	all.Wait()
	for deadline := time.Now().Add(20 * time.Second); p.open.Load() > 0 || runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections open; %d goroutines, %d before", p.open.Load(), runtime.NumGoroutine(), before)
		}
	}
	p.wants("/healthz", 200, nil)
}

// FuzzCredentials lets in nobody but who knows both.
func FuzzCredentials(f *testing.F) {
	k, err := newCredentials(&BasicAuth{User: "u", Password: option.NewSecret("right")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("u", "right")
	f.Add("u", "wrong")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, user, password string) {
		if got, want := k.admits(user, password), user == "u" && password == "right"; got != want {
			t.Errorf("%q %q: %v", user, password, got)
		}
	})
}

// TestDefaultIsValid and is no port at all.
func TestDefaultIsValid(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil || c.On() {
		t.Error(err, c.On())
	}
	if text := fmt.Sprintf("%+v", BasicAuth{Password: option.NewSecret("hidden")}); strings.Contains(text, "hidden") {
		t.Error(text)
	}
}
