package control

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/option"
)

// The bounds of the keys.
const (
	maxToken      = 64
	maxAffectable = 1 << 30
	maxProtected  = 4096
	minRequest    = option.KiB
	maxRequest    = 64 * option.MiB // nats-server's own
	minTimeout    = 100 * time.Millisecond
	maxTimeout    = time.Hour
	minAge        = time.Second
	maxConcurrent = 1024
	minAuditSize  = 64 * option.KiB
	maxAuditSize  = option.TiB
	maxAuditKeep  = 1000
)

// Validate reports every fault, as option.Faults, each under its key. The
// connection is not looked at.
func (c *Config) Validate() error {
	var fs option.Faults
	for _, t := range []struct{ key, value string }{{"prefix", c.Prefix}, {"site", c.Site}} {
		if !isToken(t.value) {
			fs.Add(t.key, fmt.Sprintf("%q cannot be a subject's token: expected 1 to %d of A-Z, a-z, 0-9, _ and -", t.value, maxToken))
		}
	}
	c.validateAllow(&fs)
	within(&fs, "max_affected", c.MaxAffected, 1, maxAffectable)
	if len(c.Protect) > maxProtected {
		fs.Add("protect", fmt.Sprintf("%d prefixes are too many: expected at most %d", len(c.Protect), maxProtected))
	}
	for i, p := range c.Protect {
		if p.Masked() != p {
			fs.Add(fmt.Sprintf("protect[%d]", i), fmt.Sprintf("%s has bits beyond its length: expected %s", p, p.Masked()))
		}
	}
	within(&fs, "max_request", c.MaxRequest, minRequest, maxRequest)
	within(&fs, "max_timeout", c.MaxTimeout, minTimeout, maxTimeout)
	within(&fs, "timeout", c.Timeout, minTimeout, max(minTimeout, min(c.MaxTimeout, maxTimeout)))
	within(&fs, "max_age", c.MaxAge, minAge, maxTimeout)
	within(&fs, "concurrent", c.Concurrent, 1, maxConcurrent)
	within(&fs, "watchers", c.Watchers, 0, maxConcurrent)
	c.validateAudit(&fs)
	return fs.Err()
}

func (c *Config) validateAllow(fs *option.Faults) {
	for i, v := range c.Allow {
		key := fmt.Sprintf("allow[%d]", i)
		switch {
		case !slices.Contains(Verbs(), v):
			fs.Add(key, fmt.Sprintf("%q is no verb: expected %s", v, words(Verbs())))
		case slices.Index(c.Allow, v) < i:
			fs.Add(key, fmt.Sprintf("%s stands twice", v))
		}
	}
	if c.FleetWrites && !slices.ContainsFunc(c.Allow, Verb.Writes) {
		fs.Add("fleet_writes", "has no effect: no verb that writes is in allow")
	}
}

// validateAudit wants a journal once something can be changed: no write without one.
func (c *Config) validateAudit(fs *option.Faults) {
	a := &c.Audit
	switch {
	case a.Path != "" && (!filepath.IsAbs(a.Path) || strings.HasSuffix(a.Path, "/")):
		fs.Add("audit.path", fmt.Sprintf("%q: expected the absolute path of a file", a.Path))
	case a.Path == "" && slices.ContainsFunc(c.Allow, Verb.Writes):
		i := slices.IndexFunc(c.Allow, Verb.Writes)
		fs.Add("audit.path", fmt.Sprintf("missing: allow has %s, and no write is made that is not written down first", c.Allow[i]))
	}
	within(fs, "audit.max", a.Max, minAuditSize, maxAuditSize)
	within(fs, "audit.keep", a.Keep, 0, maxAuditKeep)
}

// within adds a fault unless low <= v <= high.
func within[T cmp.Ordered](fs *option.Faults, key string, v, low, high T) {
	if v < low || v > high {
		fs.Add(key, fmt.Sprintf("%v is out of range: expected %v to %v", v, low, high))
	}
}

// isToken reports whether s can be one token of a subject and of a permission.
func isToken(s string) bool {
	return s != "" && len(s) <= maxToken && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

func words[S ~string](all []S) string {
	parts := make([]string, len(all))
	for i, s := range all {
		parts[i] = string(s)
	}
	return strings.Join(parts, ", ")
}
