package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// manager is a service manager's end of the socket.
type manager struct {
	conn *net.UnixConn
	path string
	mu   sync.Mutex
	said []string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{conn: conn, path: path}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.said = append(m.said, string(b[:n]))
			m.mu.Unlock()
		}
	}()
	return m
}

// count counts the messages that begin with a text.
func (m *manager) count(prefix string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, text := range m.said {
		if strings.HasPrefix(text, prefix) {
			n++
		}
	}
	return n
}

// order gives the first words of the messages, without the repeating ones.
func (m *manager) order() (words []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, text := range m.said {
		if word, _, _ := strings.Cut(text, "="); word != "WATCHDOG" && word != "STATUS" {
			words = append(words, word)
		}
	}
	return words
}

// TestServiceTellsItsManager runs the program with a broker that does not
// answer: it is ready all the same, keeps the watchdog content, reloads and ends.
func TestServiceTellsItsManager(t *testing.T) {
	ns, m := loadedNamespace(t), newManager(t)
	dir := t.TempDir()
	config := writeFile(t, dir, "c.yaml", fmt.Sprintf(`
node: n
source: {buffer: {size: 8MiB, max: 8MiB}}
sinks:
  out: {type: file, path: %s/flows}
  dead: {type: kafka, brokers: ["127.0.0.1:9"], topic: t, drain: 0s}
`, dir))
	t.Setenv("NOTIFY_SOCKET", m.path)
	t.Setenv("WATCHDOG_USEC", "2600000") // 2.6 s: an idle reader goes round once a second
	p := startFerry(t, ns, "run", "-c", config)
	waitFor(t, "READY=1", func() bool { return m.count("READY=1") == 1 })
	churn(t, ns, 100)
	waitFor(t, "the rates", func() bool { return m.count("STATUS=") > 0 })
	waitFor(t, "the watchdog's answers", func() bool { return m.count("WATCHDOG=1") > 2 })
	for range 2 { // the second time the configuration is wrong, and the old one stays
		was := m.count("READY=1")
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the end of the reload", func() bool { return m.count("READY=1") > was })
		writeFile(t, dir, "c.yaml", "nonsense: 1\n")
	}
	p.stop(t)
	waitFor(t, "STOPPING=1", func() bool { return m.count("STOPPING=1") == 1 })
	want := "READY RELOADING READY RELOADING READY STOPPING"
	if got := strings.Join(m.order(), " "); got != want {
		t.Errorf("told %q, expected %q", got, want)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t.Logf("%q", m.said)
	for _, text := range m.said {
		if strings.HasPrefix(text, "STATUS=") && (!strings.Contains(text, " 0 lost of ") || !strings.Contains(text, "1 of 2 sinks up") || !strings.Contains(text, "dead 0/s down: ")) {
			t.Errorf("status %q", text)
		}
		if strings.HasPrefix(text, "RELOADING") && !strings.Contains(text, "\nMONOTONIC_USEC=") {
			t.Errorf("reload %q", text)
		}
		if strings.HasPrefix(text, "STOPPING") && !strings.Contains(text, "EXTEND_TIMEOUT_USEC=25000000") {
			t.Errorf("stop %q", text)
		}
	}
}

// pipe is a connection that keeps what is written.
type pipe struct {
	net.Conn
	said []string
	err  error
}

func (p *pipe) Write(b []byte) (int, error) {
	p.said = append(p.said, string(b))
	return len(b), p.err
}

func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

// beats counts WATCHDOG=1 in a minute of a service whose reader goes round
// until it stands still, and gives what was logged.
func beats(t *testing.T, guard time.Duration, stops time.Duration, down bool) (beats, states int, log string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		conn, begun := &pipe{}, time.Now()
		p := pulse{
			notify: &notifier{conn: conn, guard: guard}, log: slog.New(slog.NewTextHandler(&text, nil)),
			books: func() flow.Books {
				return flow.Books{Sinks: []flow.SinkBooks{{Name: "s", Up: !down, LastError: "gone"}}}
			},
			standstill: func() time.Duration { return max(0, time.Since(begun)-stops) },
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Second)
		defer cancel()
		p.run(ctx)
		for _, s := range conn.said {
			if s == "WATCHDOG=1" {
				beats++
			} else if strings.HasPrefix(s, "STATUS=") {
				states++
			}
		}
		log = text.String()
	})
	return beats, states, log
}

func TestWatchdogFollowsTheReader(t *testing.T) {
	for _, tt := range []struct {
		name        string
		guard, stop time.Duration
		down        bool
		want        int
	}{
		{"all is well", 10 * time.Second, time.Hour, false, 12},
		{"every broker is down", 10 * time.Second, time.Hour, true, 12},
		{"the reader hangs after 20 s", 10 * time.Second, 20 * time.Second, false, 5},
		{"no watchdog", 0, time.Hour, false, 0},
	} {
		got, states, log := beats(t, tt.guard, tt.stop, tt.down)
		if got != tt.want || states != 12 {
			t.Errorf("%s: %d answers and %d status lines in a minute, expected %d and 12", tt.name, got, states, tt.want)
		}
		if hangs := tt.stop < time.Hour; strings.Contains(log, "stands still") != hangs {
			t.Errorf("%s: log %q", tt.name, log)
		}
	}
}

func TestNotifierReadsItsVariables(t *testing.T) {
	m := newManager(t)
	for _, tt := range []struct {
		env   map[string]string
		guard time.Duration
		none  bool
		fault string
	}{
		{env: map[string]string{}, none: true},
		{env: map[string]string{"WATCHDOG_USEC": "1"}, none: true},
		{env: map[string]string{"NOTIFY_SOCKET": m.path}},
		{env: map[string]string{"NOTIFY_SOCKET": m.path, "WATCHDOG_USEC": "30000000"}, guard: 30 * time.Second},
		{env: map[string]string{"NOTIFY_SOCKET": m.path, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, guard: 30 * time.Second},
		{env: map[string]string{"NOTIFY_SOCKET": m.path, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}},
		{env: map[string]string{"NOTIFY_SOCKET": m.path, "WATCHDOG_USEC": "soon"}, fault: "microseconds"},
		{env: map[string]string{"NOTIFY_SOCKET": m.path, "WATCHDOG_USEC": "0"}, fault: "microseconds"},
		{env: map[string]string{"NOTIFY_SOCKET": m.path, "WATCHDOG_USEC": "18446744073709551615"}, fault: "microseconds"},
		{env: map[string]string{"NOTIFY_SOCKET": "run/x"}, fault: "expected a path"},
		{env: map[string]string{"NOTIFY_SOCKET": m.path + "x"}, fault: "no such file"},
	} {
		n, err := newNotifier(func(k string) string { return tt.env[k] }, 7)
		switch {
		case tt.fault != "":
			if err == nil || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%v: error %v, expected %q", tt.env, err, tt.fault)
			}
		case err != nil || (n == nil) != tt.none || n != nil && n.guard != tt.guard:
			t.Errorf("%v: %+v, %v", tt.env, n, err)
		}
		if err := errors.Join(n.close(), n.close()); err != nil {
			t.Error(err)
		}
	}
	var none *notifier
	if err := errors.Join(none.ready(), none.reloading(), none.stopping(time.Second), none.close()); err != nil {
		t.Errorf("without a service manager: %v", err)
	}
}

func TestNotifierWithoutAReader(t *testing.T) {
	m := newManager(t)
	n, err := newNotifier(func(k string) string { return map[string]string{"NOTIFY_SOCKET": m.path}[k] }, 1)
	if err != nil {
		t.Fatal(err)
	}
	m.conn.Close()
	os.Remove(m.path)
	if err := n.ready(); err == nil || !strings.Contains(err.Error(), "service manager") {
		t.Errorf("error %v", err)
	}
}

func TestStatusLine(t *testing.T) {
	before := flow.Books{
		Sockets: []flow.SocketBooks{{Received: 100}, {Received: 10}},
		Sinks:   []flow.SinkBooks{{Name: "a", Delivered: 50}},
	}
	now := flow.Books{
		Sockets: []flow.SocketBooks{{Received: 6100, Lost: 3}, {Received: 15}},
		Sinks: []flow.SinkBooks{
			{Name: "a", Delivered: 5050, Up: true, LastError: "long ago"},
			{Name: "b", Delivered: 7, Dropped: []flow.Drop{{Reason: "x", Count: 2}}, LastError: "refused\nREADY=1"},
		},
	}
	want := "1201 events/s, 3 lost of 6118; 1 of 2 sinks up; a 1000/s; b 1.4/s dropped 2 down: refused READY=1"
	if got := statusLine(&before, &now, 5*time.Second); got != want {
		t.Errorf("%s\nexpected\n%s", got, want)
	}
	for range 20 {
		now.Sinks = append(now.Sinks, flow.SinkBooks{Name: strings.Repeat("n", 64), LastError: strings.Repeat("é\x00\xff", 9999)})
	}
	got := statusLine(&before, &now, 0)
	if len(got) > 2048 || strings.ContainsAny(got, "\n\x00") || !strings.HasSuffix(got, "; and 14 more") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}
