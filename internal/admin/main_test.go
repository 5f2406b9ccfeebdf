package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// sample is a snapshot with something in every place.
func sample() *Snapshot {
	one, yes := int64(1), true
	at := time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)
	return &Snapshot{
		Schema: Schema, Time: time.Now(), Version: "v1", Revision: "abc", Go: "go1.26", Node: "edge-1", Run: "0f", BootID: "b", Kernel: "6.12",
		Started: at, Uptime: 5, Ready: true, Standstill: 0.5, EventCost: 1280, BufferMax: 1 << 20,
		Books: flow.Books{
			Sockets: []flow.SocketBooks{
				{NetNS: "", Offered: 21, Received: 15, Lost: 6, Emitted: 8, Excluded: 4, Malformed: 2, Foreign: 1, Buffer: 1 << 19, Queued: 1280, Track: flow.TrackBooks{Max: 9, Flows: 1, Added: 3, Ended: 2, Failed: 1}},
				{NetNS: "a", Offered: 1, Received: 1, Emitted: 1, Buffer: 1 << 19},
				{NetNS: "a", Offered: 2, Received: 2, Emitted: 2},
			},
			Sinks: []flow.SinkBooks{{Name: "siem", Offered: 10, Recovered: 1, Delivered: 6, Dropped: []flow.Drop{{Reason: "memory", Count: 1}}, DeadLettered: 1, Held: 3, Bytes: 99, Up: true,
				Errors: []flow.Drop{{Reason: "retry", Count: 2}}, LastError: "gone"}},
			Events: []flow.EventCount{{Table: "conntrack", Event: "new", Proto: "tcp", Count: 10}, {Table: "conntrack", Event: "destroy", Proto: "udp", Count: 5}},
		},
		Tables:   []flow.TableFill{{NetNS: "", Entries: 5, Max: 10}},
		Counters: []TableCounter{{Stat: "drop", Count: 1}},
		Settings: Settings{Acct: &one, Timestamp: &one, Events: &one}, Clock: flow.Clock{Synced: &yes, Steps: 1},
		Sinks:        []Sink{{Name: "siem", Type: "kafka", Encoding: "json", Memory: 1 << 20, LastSuccess: at, LastError: at, Writes: 4, WriteTime: 0.5, Oldest: at, Lag: &Lag{3, 300}}},
		Spool:        &Spool{Dir: "/s", Bytes: 1, Max: 2, Free: 3, MinFree: 4, Records: 5},
		Control:      &Control{Serving: true, Requests: []RequestCount{{"list", 200, 3, 0.25}, {"flush", 501, 1, 0}}},
		Reload:       Reload{OK: true, Time: at, LastSuccess: at, Reloads: 3, Failed: 1},
		Certificates: []Certificate{{Key: "admin.tls.cert_file", File: "/c", NotAfter: at}, {Key: "sinks.siem.tls.ca_file", File: "/d", Error: "gone"}},
		Errors:       []Failure{{at, "sink siem", "gone"}}, Warnings: []string{"w"},
	}
}

// port is a server that runs, and a client of it.
type port struct {
	*Server
	t      *testing.T
	client *http.Client
	base   string
	hang   atomic.Pointer[chan struct{}] // what the next snapshot waits for
}

// open runs a server of a configuration on a free port; change may be nil.
func open(t *testing.T, change func(*Config)) *port {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	if change != nil {
		change(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	p := &port{t: t}
	take := func() *Snapshot {
		if wait := p.hang.Load(); wait != nil {
			<-*wait
		}
		return sample()
	}
	var err error
	if p.Server, err = Listen(cfg, take, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	p.start()
	p.base = "http://" + p.Addr().String()
	p.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	return p
}

// start runs the server until the test ends.
func (p *port) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	p.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			p.t.Error(err)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); p.sampler.latest() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatal("no snapshot is taken")
		}
	}
}

// get asks and gives status, header and text; change may be nil.
func (p *port) get(path string, change func(*http.Request)) (status int, header http.Header, text string) {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, p.base+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	res, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(body)
}

// wants is get with a status that is expected.
func (p *port) wants(path string, status int, change func(*http.Request)) (http.Header, string) {
	p.t.Helper()
	got, header, text := p.get(path, change)
	if got != status {
		p.t.Errorf("%s: status %d, expected %d: %s", path, got, status, text)
	}
	return header, text
}

// secure makes the client speak TLS, with a certificate unless that is "".
func (p *port) secure(caFile, certFile, keyFile string) {
	p.t.Helper()
	pem, err := os.ReadFile(caFile)
	if err != nil {
		p.t.Fatal(err)
	}
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AppendCertsFromPEM(pem)
	if certFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			p.t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	p.client.Transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: c}
	p.base = "https://" + p.Addr().String()
}

// throughSocket makes the client ask by a unix socket.
func (p *port) throughSocket(path string) {
	p.client.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}
	p.base = "http://ctferry"
}

func contains(t *testing.T, text string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
}
