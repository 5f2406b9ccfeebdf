package natsconn

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestReadSecret(t *testing.T) {
	for content, want := range map[string]string{
		"a": "a", "a\n": "a", "a\r\n": "a", "a\n\n": "a\n", " a \n": " a ", "a\nb\n": "a\nb", "a\r": "a\r",
	} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readSecret(path); err != nil || got.Reveal() != want {
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
