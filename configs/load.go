package configs

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/flow"
)

// Config is a whole configuration, typed and checked. It is not changed once
// it is loaded.
type Config struct {
	Node     string
	Meta     []flow.Pair // sorted by key
	Source   source.Config
	Sinks    []sinks.Config // those that are enabled, sorted by name
	Spool    sinks.SpoolConfig
	Files    []string // that were read, in order
	Warnings Errors   // what is allowed and yet unwise, each with its place

	Control           control.Config // its Connection is empty for Embedded
	ControlConnection string         // the connection's name, or Embedded
	NATSServer        NATSServer

	Admin admin.Config

	all        []sinks.Config // disabled ones too
	connection *sinks.NATSOptions
	natsServer rawNATSServer
}

// Named is the set of the names of all sinks, disabled ones too.
func (c *Config) Named() map[string]bool {
	names := map[string]bool{}
	for i := range c.all {
		names[c.all[i].Name] = true
	}
	return names
}

// Load reads, merges and checks. An error is an Errors when the configuration
// is wrong, and of another kind when it could not be read. Without a file and
// without a sink named elsewhere, standard output is the one sink.
func Load(in Input) (*Config, error) {
	l, err := gather(in)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	b := &builder{layers: l, filters: map[string]*flow.Filter{}, client: in.Client}
	cfg := b.build(in.File == "")
	if errs := b.errors(); len(errs) > 0 {
		return nil, errs
	}
	cfg.Warnings = b.warnings.sorted(b.sources)
	return cfg, nil
}

// builder turns the merged layers into a Config and gathers what is wrong.
type builder struct {
	*layers
	faults  option.Faults
	filters map[string]*flow.Filter // by canonical form: equal filters are one
	client  bool                    // no sink is needed
}

func (b *builder) build(standalone bool) *Config {
	values := b.k.Raw()
	if meta, ok := values["meta"]; ok {
		values["meta"] = withoutAnchors(meta)
	}
	r := rawDefaults(hostName())
	b.faults = append(b.faults, decode(values, &r)...)
	cfg := &Config{Node: r.Node, Source: r.Source.config(), Spool: r.Spool, Files: b.files}
	b.checkNode(r.Node)
	cfg.Meta = b.meta(r.Meta)
	b.judge("source", cfg.Source.Validate())
	b.judge("spool", cfg.Spool.Validate())
	if standalone && !has(values, "sinks") {
		r.Sinks = map[string]map[string]any{"stdout": {"type": "stdout"}}
	}
	cfg.natsServer, cfg.NATSServer = r.NATSServer, b.natsServer(&r.NATSServer)
	b.sinks(cfg, r)
	b.control(cfg, &r)
	b.admin(cfg, &r)
	b.apart(cfg)
	b.ports(cfg)
	return cfg
}

func has(m map[string]any, key string) bool {
	_, ok := m[key]
	return ok
}

// hostName is the node's name when none is configured.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "unknown"
	}
	return name
}

// maxText bounds, in bytes, what every record carries.
const maxText = 255

func printable(s string) bool {
	return len(s) <= maxText && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func (b *builder) checkNode(node string) {
	if node == "" || !printable(node) {
		b.judge("", option.Faults{{Path: "node", Text: fmt.Sprintf("%s is no name: expected 1 to %d printable bytes", quote(node), maxText)}})
	}
}

func (b *builder) meta(meta map[string]string) (pairs []flow.Pair) {
	if len(meta) > flow.MaxMeta {
		b.faults.Add("meta", fmt.Sprintf("%d keys are too many: expected at most %d", len(meta), flow.MaxMeta))
	}
	name := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		switch {
		case !name.MatchString(k):
			b.faults.Add("meta."+k, "no name for a field: expected a letter or _, then letters, digits and _, at most 63")
		case !printable(meta[k]):
			b.faults.Add("meta."+k, fmt.Sprintf("%s: expected at most %d printable bytes", quote(meta[k]), maxText))
		}
		pairs = append(pairs, flow.Pair{Key: k, Value: meta[k]})
	}
	return pairs
}

// judge adds what a Validate found below path, save where a value could not be
// read at all: what stands there instead is nobody's word.
func (b *builder) judge(path string, err error) {
	var found option.Faults
	found.Join(path, err)
	b.faults = append(b.faults, newOnes(b.faults, found)...)
}

// newOnes leaves out the faults of keys that have one already, or that stand
// above or below such a key.
func newOnes(known, found option.Faults) option.Faults {
	var fresh option.Faults
	for _, f := range found {
		if !slices.ContainsFunc(known, func(k option.Fault) bool { return touches(k.Path, f.Path) }) {
			fresh = append(fresh, f)
		}
	}
	return fresh
}

func touches(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return a != "" && strings.HasPrefix(b, a) && (len(a) == len(b) || b[len(a)] == '.' || b[len(a)] == '[')
}

// errors gives every fault its place. Of a key that could not be read as YAML
// nothing else is told.
func (b *builder) errors() Errors {
	errs := slices.Clone(b.errs)
	unread := map[string]bool{}
	for _, e := range errs {
		unread[e.Fault.Path] = true
	}
	for _, f := range b.faults {
		place, _ := b.places.near(f.Path)
		place.section = false
		if !unread[f.Path] {
			errs = append(errs, Error{place, f})
		}
	}
	return errs.sorted(b.sources)
}
