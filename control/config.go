package control

import (
	"net/netip"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/option"
)

// Config is the control section of the configuration: whether this node serves
// requests over NATS, and what it lets them do.
type Config struct {
	Enabled    bool            `koanf:"enabled"`
	Connection natsconn.Config `koanf:"-"` // the loader reads it from the connection that is named

	Prefix string `koanf:"prefix"` // first token of every subject
	Site   string `koanf:"site"`   // third token: nodes of different sites do not see one another

	Allow       []Verb         `koanf:"allow"`        // what is not named is refused
	FleetWrites bool           `koanf:"fleet_writes"` // also serve writes that go to every node
	MaxAffected int            `koanf:"max_affected"` // entries that one write may touch
	Protect     []netip.Prefix `koanf:"protect"`      // entries with an address in one of them are never touched

	MaxRequest option.Size   `koanf:"max_request"` // of one request
	Timeout    time.Duration `koanf:"timeout"`     // of a request that does not say
	MaxTimeout time.Duration `koanf:"max_timeout"` // the longest that a request may ask for
	MaxAge     time.Duration `koanf:"max_age"`     // how long after issued_at a write is taken; so long its answer is remembered
	Concurrent int           `koanf:"concurrent"`  // requests under way at once; one more is refused
	Watchers   int           `koanf:"watchers"`    // watch leases at once

	Audit Audit `koanf:"audit"`
}

// Audit says where the audit is written before it is sent.
type Audit struct {
	Path string      `koanf:"path"` // needed once a write is allowed
	Max  option.Size `koanf:"max"`  // of the file, which is then renamed and begun anew
	Keep int         `koanf:"keep"` // renamed files
}

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		Prefix: "ctferry", Site: "default",
		Allow:       []Verb{VerbList, VerbGet, VerbCount, VerbStats, VerbWatch},
		MaxAffected: 1000,
		MaxRequest:  256 * option.KiB,
		Timeout:     30 * time.Second, MaxTimeout: 10 * time.Minute, MaxAge: 2 * time.Minute,
		Concurrent: 8, Watchers: 4,
		Audit: Audit{Path: "/var/lib/ctferry/audit.jsonl", Max: 64 * option.MiB, Keep: 4},
	}
}
