package spool

import (
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"
	"time"
)

func withSum(line []byte) []byte {
	return fmt.Appendf(line[:len(line):len(line)], "%08x\n", crc32.Checksum(line, castagnoli()))
}

func TestDefaultConfig(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Dir = "/var/lib/spool"
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestConfigFaults(t *testing.T) {
	for field, spoil := range map[string]func(*Config){
		"dir":          func(c *Config) { c.Dir = "spool" },
		"segment_size": func(c *Config) { c.SegmentSize = 1 },
		"max":          func(c *Config) { c.Max = 3 * c.SegmentSize },
		"min_free":     func(c *Config) { c.MinFree = -1 },
		"sync":         func(c *Config) { c.Sync = Sync(time.Hour) },
		"compress":     func(c *Config) { c.Compress = "lzma" },
	} {
		cfg := DefaultConfig()
		cfg.Dir = t.TempDir()
		spoil(&cfg)
		if _, err := Open(cfg, quiet()); err == nil || !strings.Contains(err.Error(), field+": ") || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestSyncText(t *testing.T) {
	for text, want := range map[string]Sync{
		"always": SyncAlways, "none": SyncNone, "200ms": Sync(200 * time.Millisecond), "1m0s": Sync(time.Minute),
	} {
		var s Sync
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %v %v", text, s, err)
		}
		if back, err := s.MarshalText(); err != nil || string(back) != text {
			t.Errorf("%s comes back as %s", text, back)
		}
	}
	for _, text := range []string{"", "sometimes", "0s", "-1s", "2m", "5"} {
		var s Sync
		if err := s.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "always, none") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	cfg := small(t.TempDir() + "/file/below")
	mustWrite(t, strings.TrimSuffix(cfg.Dir, "/below"), nil)
	if _, err := Open(cfg, quiet()); err == nil || !strings.Contains(err.Error(), cfg.Dir) {
		t.Errorf("open below a file: %v", err)
	}
	if _, err := ReadStatus(cfg.Dir); err == nil {
		t.Error("a status of nothing")
	}
	if _, err := ReadStatus(t.TempDir()); err == nil || !os.IsNotExist(err) && !strings.Contains(err.Error(), "no such file") {
		t.Errorf("status of an empty directory: %v", err)
	}
}

func TestPrivate(t *testing.T) {
	cfg := small(t.TempDir() + "/spool")
	mustOpen(t, cfg)
	info, err := os.Stat(cfg.Dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v: connections are nobody else's business", info.Mode(), err)
	}
}
