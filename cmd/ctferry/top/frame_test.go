package top

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/ctferry/ctferry/internal/admin"
)

// recorded is what a real service told: a minute of traffic, a sink whose broker
// is down, a spool.
func recorded(tb testing.TB) *Reading {
	tb.Helper()
	text, err := os.ReadFile("testdata/stats.json")
	if err != nil {
		tb.Fatal(err)
	}
	var snap admin.Snapshot
	if err := json.Unmarshal(text, &snap); err != nil {
		tb.Fatal(err)
	}
	return newReading(&snap, false)
}

// shown is the screen of a reading.
func shown(r *Reading, width, height int) *screen {
	s := &screen{paint: paint{plain: true}, width: width, height: height, reading: r, asked: "127.0.0.1:9479", every: time.Second, keys: true}
	if r != nil {
		s.now, s.since = r.Time.UTC(), r.Time.UTC()
	}
	return s
}

// TestFrames compares frames with those that were looked at. UPDATE=1 writes them.
func TestFrames(t *testing.T) {
	for name, change := range map[string]func(*screen){
		"80x24":  func(*screen) {},
		"120x40": func(s *screen) { s.width, s.height = 120, 40 },
		"50x14":  func(s *screen) { s.width, s.height, s.from = 50, 14, 1 },
		"once":   func(s *screen) { s.height, s.keys = 0, false },
		"help":   func(s *screen) { s.help = true },
		"gone": func(s *screen) {
			s.fault, s.now = "admin port 127.0.0.1:9479: connect: connection refused", s.now.Add(75*time.Second)
		},
		"paused": func(s *screen) { s.paused = true },
		"node": func(s *screen) { // what status records do not tell
			s.reading.Remote, s.reading.Sinks, s.reading.Spool, s.reading.Rates.Events, s.reading.Books.Events = true, nil, nil, nil, nil
		},
		"none": func(s *screen) { s.reading, s.fault = nil, "connect: connection refused" },
		"lossy": func(s *screen) {
			r := s.reading
			r.Rates.Lost, r.Books.Sockets[0].Lost, r.Books.Sinks[0].Dropped[0].Count = 12.5, 1234567, 42
			r.Buffers[0].Queued, r.Standstill = r.Buffers[0].Size*9/10, 12
			r.Certificates = []admin.Certificate{{Key: "admin.tls.cert_file", NotAfter: r.Time.Add(50 * time.Hour)}, {Key: "sinks.siem.tls.ca_file", Error: "no such file"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := shown(recorded(t), 80, 24)
			change(s)
			got := s.String() + "\n"
			path := filepath.Join("testdata", name+".txt")
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || got != string(want) {
				t.Errorf("%v; got\n%s\nwant\n%s", err, got, want)
			}
		})
	}
}

// within checks that a frame keeps to its screen.
func within(t *testing.T, s *screen) {
	t.Helper()
	lines := strings.Split(s.String(), "\n")
	if s.height > 0 && len(lines) > s.height {
		t.Errorf("%d x %d: %d lines", s.width, s.height, len(lines))
	}
	for _, line := range lines {
		if s.width > 0 && lipgloss.Width(line) > s.width {
			t.Errorf("%d x %d: %d wide: %q", s.width, s.height, lipgloss.Width(line), line)
		}
	}
}

// TestEverySize lays out on every screen that somebody may have, and keeps the
// first and the last line of those that are not tiny.
func TestEverySize(t *testing.T) {
	t.Parallel()
	r := recorded(t)
	for width := 1; width < 200; width += 7 {
		for height := 1; height < 60; height += 3 {
			for _, plain := range []bool{true, false} {
				s := shown(r, width, height)
				s.plain, s.from = plain, height%5
				within(t, s)
				s.fault, s.help = strings.Repeat("no way ", 30), height%2 == 0
				within(t, s)
			}
		}
	}
	text := shown(r, 60, 10).String()
	if !strings.HasPrefix(text, "edge-1  ready") || !strings.Contains(text, "q quit") {
		t.Error(text)
	}
}

// TestMoreThanFits scrolls many sinks and cuts many namespaces.
func TestMoreThanFits(t *testing.T) {
	t.Parallel()
	r := recorded(t)
	book, more, table := r.Books.Sinks[1], r.Sinks[1], r.Tables[0]
	for i := range 40 {
		book.Name, more.Name, table.NetNS = fmt.Sprintf("s%02d", i), fmt.Sprintf("s%02d", i), fmt.Sprintf("ns%02d", i)
		r.Books.Sinks, r.Sinks, r.Tables = append(r.Books.Sinks, book), append(r.Sinks, more), append(r.Tables, table)
	}
	m := &model{screen: *shown(r, 80, 24)}
	text := m.screen.String()
	if !strings.Contains(text, "shown 1-") || !strings.Contains(text, "dead  ") || !strings.Contains(text, "lines more") || strings.Contains(text, "s39") {
		t.Errorf("before:\n%s", text)
	}
	for range 100 {
		m.press("down")
	}
	text = m.screen.String()
	if !strings.Contains(text, "-44, ") || !strings.Contains(text, "s39") || m.screen.from > 44 {
		t.Errorf("from %d:\n%s", m.screen.from, text)
	}
	m.press("up")
	if now := m.screen.String(); strings.Contains(now, "s39") {
		t.Errorf("one up does nothing:\n%s", now)
	}
	m.press("home")
	if m.screen.from != 0 {
		t.Error(m.screen.from)
	}
}
