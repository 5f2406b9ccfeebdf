package configs

import (
	"fmt"
	"time"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/flow"
)

// raw is the file's shape. Sinks and connections stay maps until the kind of
// each is known.
type raw struct {
	Node        string                    `koanf:"node"`
	Meta        map[string]string         `koanf:"meta"`
	Connections map[string]map[string]any `koanf:"connections"`
	Source      rawSource                 `koanf:"source"`
	Sinks       map[string]map[string]any `koanf:"sinks"`
	Spool       sinks.SpoolConfig         `koanf:"spool"`
	Control     rawControl                `koanf:"control"`
	NATSServer  rawNATSServer             `koanf:"nats_server"`
	Admin       admin.Config              `koanf:"admin"`
}

type rawSource struct {
	Events   []kernelEvent `koanf:"events"`
	Tables   []table       `koanf:"tables"`
	Buffer   rawBuffer     `koanf:"buffer"`
	Receive  string        `koanf:"receive"`
	Shards   int           `koanf:"shards"`
	Reliable bool          `koanf:"reliable"`
	Track    rawTrack      `koanf:"track"`
	Interim  time.Duration `koanf:"interim"`
	StateDir string        `koanf:"state_dir"`
	Dump     rawDump       `koanf:"dump"`
	Filter   filter        `koanf:"filter"`
	NetNS    []string      `koanf:"netns"`
}

type rawBuffer struct {
	Size option.Size `koanf:"size"`
	Max  option.Size `koanf:"max"`
}

type rawDump struct {
	AtStart  bool          `koanf:"at_start"`
	Interval time.Duration `koanf:"interval"`
	Zero     bool          `koanf:"zero"`
}

type rawTrack struct {
	Enabled   bool          `koanf:"enabled"`
	MaxFlows  int           `koanf:"max_flows"`
	Reconcile time.Duration `koanf:"reconcile"`
	Resync    time.Duration `koanf:"resync"`
}

// readValue takes true and false for the key enabled.
func (r *rawTrack) readValue(v any) error {
	if text, ok := v.(plain); ok && isBool(string(text)) {
		v = map[string]any{"enabled": v}
	}
	m, ok := v.(map[string]any)
	if !ok && v != nil {
		return option.Faults{{Text: "expected true, false or a mapping of keys to values, not " + word(v)}}
	}
	type keys rawTrack // without this method
	return decode(m, (*keys)(r)).Err()
}

// sinkKeys are the keys of a sink that the loader itself understands.
type sinkKeys struct {
	Connection string `koanf:"connection"`
	Filter     filter `koanf:"filter"`
}

// rawDefaults are what a key means that is not set.
func rawDefaults(node string) raw {
	return raw{
		Node: node, Source: rawOf(source.Default()), Spool: sinks.NewSpoolConfig(),
		Control: rawControl{Config: control.DefaultConfig()}, NATSServer: natsServerDefaults(), Admin: admin.DefaultConfig(),
	}
}

func rawOf(c source.Config) rawSource {
	r := rawSource{
		Buffer: rawBuffer{c.Buffer, c.Max}, Receive: c.Receive, Shards: c.Shards, Reliable: c.Reliable,
		Track: rawTrack(c.Track), Interim: c.Interim, StateDir: c.StateDir,
		Dump: rawDump{c.Dump.AtStart, c.Dump.Interval, c.Dump.Zero}, Filter: filter{c.Filter}, NetNS: c.NetNS,
	}
	for _, name := range c.Events.Names() {
		e, _ := flow.ParseType(name)
		r.Events = append(r.Events, kernelEvent(e))
	}
	for _, t := range c.Tables {
		r.Tables = append(r.Tables, table(t))
	}
	return r
}

func (r *rawSource) config() source.Config {
	c := source.Config{
		Buffer: r.Buffer.Size, Max: r.Buffer.Max, Receive: r.Receive, Shards: r.Shards, Reliable: r.Reliable,
		Track: source.Track(r.Track), Interim: r.Interim, StateDir: r.StateDir,
		Dump: source.Dump{AtStart: r.Dump.AtStart, Interval: r.Dump.Interval, Zero: r.Dump.Zero}, Filter: r.Filter.Filter, NetNS: r.NetNS,
	}
	for _, e := range r.Events {
		c.Events |= flow.TypesOf(flow.Type(e))
	}
	for _, t := range r.Tables {
		c.Tables = append(c.Tables, flow.Table(t))
	}
	return c
}

// kernelEvent is an event that the kernel can be asked for.
type kernelEvent flow.Type

// UnmarshalText reads new, update or destroy.
func (e *kernelEvent) UnmarshalText(text []byte) error {
	t, ok := flow.ParseType(string(text))
	if !ok || !flow.TypesOf(flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy).Has(t) {
		return fmt.Errorf("%s is no event of the kernel: expected new, update or destroy", quote(string(text)))
	}
	*e = kernelEvent(t)
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (e kernelEvent) MarshalText() ([]byte, error) { return []byte(flow.Type(e).String()), nil }

// table is one of the kernel's tables.
type table flow.Table

// UnmarshalText reads conntrack or expect.
func (t *table) UnmarshalText(text []byte) error {
	parsed, ok := flow.ParseTable(string(text))
	if !ok {
		return fmt.Errorf("%s is no table: expected conntrack or expect", quote(string(text)))
	}
	*t = table(parsed)
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (t table) MarshalText() ([]byte, error) { return []byte(flow.Table(t).String()), nil }
