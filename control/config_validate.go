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
	mostToken      = 64
	mostAffected   = 1 << 30
	mostProtected  = 4096
	leastRequest   = option.KiB
	mostRequest    = 64 * option.MiB // nats-server's own
	leastTimeout   = 100 * time.Millisecond
	mostTimeout    = time.Hour
	leastAge       = time.Second
	mostConcurrent = 1024
	leastAudit     = 64 * option.KiB
	mostAudit      = option.TiB
	mostAuditFiles = 1000
)

// Validate reports every fault, as option.Faults, each under its key. The
// connection is not looked at.
func (c *Config) Validate() error {
	var fs option.Faults
	for _, t := range []struct{ key, value string }{{"prefix", c.Prefix}, {"site", c.Site}} {
		if t.value == "" || len(t.value) > mostToken || Token(t.value) != t.value {
			fs.Add(t.key, fmt.Sprintf("%q cannot be a subject's token: expected 1 to %d of A-Z, a-z, 0-9, _ and -", t.value, mostToken))
		}
	}
	c.validateAllow(&fs)
	inRange(&fs, "max_affected", c.MaxAffected, 1, mostAffected)
	if len(c.Protect) > mostProtected {
		fs.Add("protect", fmt.Sprintf("%d prefixes are too many: expected at most %d", len(c.Protect), mostProtected))
	}
	for i, p := range c.Protect {
		if p.Masked() != p {
			fs.Add(fmt.Sprintf("protect[%d]", i), fmt.Sprintf("%s has bits beyond its length: expected %s", p, p.Masked()))
		}
	}
	inRange(&fs, "max_request", c.MaxRequest, leastRequest, mostRequest)
	inRange(&fs, "max_timeout", c.MaxTimeout, leastTimeout, mostTimeout)
	inRange(&fs, "timeout", c.Timeout, leastTimeout, max(leastTimeout, min(c.MaxTimeout, mostTimeout)))
	inRange(&fs, "max_age", c.MaxAge, leastAge, mostTimeout)
	inRange(&fs, "concurrent", c.Concurrent, 1, mostConcurrent)
	inRange(&fs, "watchers", c.Watchers, 0, mostConcurrent)
	c.validateAudit(&fs)
	return fs.Err()
}

func (c *Config) validateAllow(fs *option.Faults) {
	for i, v := range c.Allow {
		key := fmt.Sprintf("allow[%d]", i)
		switch {
		case !slices.Contains(Verbs(), v):
			fs.Add(key, fmt.Sprintf("%q is no verb: expected %s", v, listed(Verbs())))
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
	inRange(fs, "audit.max", a.Max, leastAudit, mostAudit)
	inRange(fs, "audit.keep", a.Keep, 0, mostAuditFiles)
}

// inRange adds a fault unless low <= v <= high.
func inRange[T cmp.Ordered](fs *option.Faults, key string, v, low, high T) {
	if v < low || v > high {
		fs.Add(key, fmt.Sprintf("%v is out of range: expected %v to %v", v, low, high))
	}
}

func listed[S ~string](all []S) string {
	parts := make([]string, len(all))
	for i, s := range all {
		parts[i] = string(s)
	}
	return strings.Join(parts, ", ")
}
