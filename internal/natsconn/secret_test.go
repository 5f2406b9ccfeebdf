package natsconn

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSecretNeverShows(t *testing.T) {
	const value = "hunter2"
	s := Secret(value)
	conf := Config{URLs: []string{someURL}, User: "ann", Password: s}
	shown := map[string]string{"String": s.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%08.3f", "%U"} {
		shown["Sprintf "+verb] = fmt.Sprintf(verb, s)
		shown["Sprintf of Config "+verb] = fmt.Sprintf(verb, conf)
	}
	for name, v := range map[string]any{"secret": s, "config": conf, "pointer": &conf, "map": map[string]Secret{"a": s}} {
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		shown["json of "+name] = string(out)
		for kind, build := range map[string]func(*strings.Builder) slog.Handler{
			"text": func(b *strings.Builder) slog.Handler { return slog.NewTextHandler(b, nil) },
			"json": func(b *strings.Builder) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var b strings.Builder
			slog.New(build(&b)).Info("x", "v", v)
			shown["slog "+kind+" of "+name] = b.String()
		}
	}
	out, err := xml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	shown["xml"] = string(out)
	for how, text := range shown {
		if strings.Contains(text, value) || strings.Contains(text, fmt.Sprintf("%x", value)) {
			t.Errorf("%s: %s", how, text)
		}
		if !strings.Contains(text, "***") {
			t.Errorf("%s: no mask in %s", how, text)
		}
	}
	if s.Reveal() != value || Secret("").String() != "" {
		t.Error("Reveal, or the empty secret, is wrong")
	}
}

func TestReadSecret(t *testing.T) {
	for content, want := range map[string]Secret{
		"a": "a", "a\n": "a", "a\r\n": "a", "a\n\n": "a\n", " a \n": " a ", "a\nb\n": "a\nb", "a\r": "a\r",
	} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readSecret(path); err != nil || got.Reveal() != want.Reveal() {
			t.Errorf("%q: %q, %v", content, got.Reveal(), err)
		}
	}
}

func TestSampler(t *testing.T) {
	s := sampler{burst: 2, window: 10 * time.Second}
	start := time.Unix(1000, 0)
	for i, tt := range []struct {
		at      time.Duration
		ok      bool
		skipped int
	}{
		{0, true, 0}, {1, true, 0}, {2, false, 0}, {9 * time.Second, false, 0},
		{10 * time.Second, true, 2}, {11 * time.Second, true, 0}, {12 * time.Second, false, 0},
		{time.Hour, true, 1},
	} {
		if ok, skipped := s.allow(start.Add(tt.at)); ok != tt.ok || skipped != tt.skipped {
			t.Errorf("event %d: %v, %d", i, ok, skipped)
		}
	}
}
