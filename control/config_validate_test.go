package control

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/option"
)

func TestDefaultConfigIsValid(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	for _, v := range c.Allow {
		if v.Writes() {
			t.Errorf("%s is allowed unless configured", v)
		}
	}
}

func TestConfigFaults(t *testing.T) {
	writes := []Verb{VerbList, VerbDelete}
	for _, tt := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Prefix = "" }, `prefix: "" cannot be a subject's token: expected 1 to 64 of A-Z, a-z, 0-9, _ and -`},
		{func(c *Config) { c.Prefix = "a.b" }, `prefix: "a.b" cannot`},
		{func(c *Config) { c.Site = "*" }, `site: "*" cannot`},
		{func(c *Config) { c.Site = strings.Repeat("x", 65) }, `site: `},
		{func(c *Config) { c.Site = "é" }, `site: "é" cannot`},
		{func(c *Config) { c.Allow = []Verb{"list", "lst"} }, `allow[1]: "lst" is no verb: expected list, get, count, stats, watch, delete, create, update, flush, zero`},
		{func(c *Config) { c.Allow = []Verb{"list", "list"} }, `allow[1]: list stands twice`},
		{func(c *Config) { c.FleetWrites = true }, `fleet_writes: has no effect`},
		{func(c *Config) { c.MaxAffected = 0 }, `max_affected: 0 is out of range: expected 1 to 1073741824`},
		{func(c *Config) { c.MaxAffected = -1 }, `max_affected: -1`},
		{func(c *Config) { c.Protect = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")} }, `protect[0]: 10.0.0.1/8 has bits beyond its length: expected 10.0.0.0/8`},
		{func(c *Config) { c.Protect = make([]netip.Prefix, 5000) }, `protect: 5000 prefixes are too many: expected at most 4096`},
		{func(c *Config) { c.MaxRequest = 10 }, `max_request: 10B is out of range: expected 1KiB to 64MiB`},
		{func(c *Config) { c.Timeout = time.Hour }, `timeout: 1h0m0s is out of range: expected 100ms to 10m0s`},
		{func(c *Config) { c.MaxTimeout = 2 * time.Hour }, `max_timeout: 2h0m0s is out of range: expected 100ms to 1h0m0s`},
		{func(c *Config) { c.MaxAge = 0 }, `max_age: 0s is out of range: expected 1s to 1h0m0s`},
		{func(c *Config) { c.Concurrent = 0 }, `concurrent: 0 is out of range: expected 1 to 1024`},
		{func(c *Config) { c.Watchers = -1 }, `watchers: -1 is out of range: expected 0 to 1024`},
		{func(c *Config) { c.Audit.Path = "audit" }, `audit.path: "audit": expected the absolute path of a file`},
		{func(c *Config) { c.Audit.Path, c.Allow = "", writes }, `audit.path: missing: allow has delete, and no write is made that is not written down first`},
		{func(c *Config) { c.Audit.Max = 1 }, `audit.max: 1B is out of range: expected 64KiB to 1TiB`},
		{func(c *Config) { c.Audit.Keep = -1 }, `audit.keep: -1 is out of range: expected 0 to 1000`},
	} {
		c := DefaultConfig()
		tt.change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

func TestConfigAtItsBounds(t *testing.T) {
	c := DefaultConfig()
	c.Allow, c.FleetWrites, c.Watchers = Verbs(), true, 0
	c.Timeout, c.MaxTimeout, c.MaxAge = time.Hour, time.Hour, time.Second
	c.MaxRequest, c.Audit.Max, c.Audit.Keep = 64*option.MiB, 64*option.KiB, 0
	c.Protect = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("0.0.0.0/0")}
	c.Prefix, c.Site = strings.Repeat("x", 64), "a-B_9"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.Allow, c.FleetWrites, c.Audit.Path = nil, false, ""
	if err := c.Validate(); err != nil {
		t.Errorf("a node that only tells that it is there: %v", err)
	}
}
