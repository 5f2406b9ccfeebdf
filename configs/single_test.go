package configs

import (
	"slices"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source/flow"
)

// What the environment and --set give is typed by the key.
func TestSingleTyping(t *testing.T) {
	kafka := "sinks: {k: {type: kafka, brokers: [a:1], topic: t, sasl: {mechanism: plain, user: u, password: p}}}\n"
	for _, c := range []struct {
		key, env, value string
		is              func(*Config) bool
	}{
		{"node", "NODE", "12345", func(c *Config) bool { return c.Node == "12345" }},
		{"node", "NODE", "a: b # {c", func(c *Config) bool { return c.Node == "a: b # {c" }},
		{"node", "NODE", "'quoted'", func(c *Config) bool { return c.Node == "'quoted'" }},
		{"node", "NODE", "a=b", func(c *Config) bool { return c.Node == "a=b" }},
		{"meta.site", "META__SITE", "~", func(c *Config) bool { return c.Meta[0] == flow.Pair{Key: "site", Value: "~"} }},
		{"meta", "META", "{site: paris, rack: 7}", func(c *Config) bool { return len(c.Meta) == 2 && c.Meta[0].Value == "7" }},
		{"source.reliable", "SOURCE__RELIABLE", "true", func(c *Config) bool { return c.Source.Reliable }},
		{"source.buffer.max", "SOURCE__BUFFER__MAX", "128MiB", func(c *Config) bool { return c.Source.Max == 128*option.MiB }},
		{"source.buffer", "SOURCE__BUFFER", "{max: 128MiB}", func(c *Config) bool { return c.Source.Max == 128*option.MiB && c.Source.Buffer == 64*option.MiB }},
		{"source.dump.interval", "SOURCE__DUMP__INTERVAL", "90s", func(c *Config) bool { return c.Source.Dump.Interval == 90*time.Second }},
		{"source.events", "SOURCE__EVENTS", "[destroy]", func(c *Config) bool { return c.Source.Events == flow.TypesOf(flow.TypeDestroy) }},
		{"source.netns", "SOURCE__NETNS", "[1, blue]", func(c *Config) bool { return slices.Equal(c.Source.NetNS, []string{"1", "blue"}) }},
		{"source.filter", "SOURCE__FILTER", "{exclude: [{port: 53}]}", func(c *Config) bool { return c.Source.Filter.String() == `{"exclude":[{"port":53}]}` }},
		{"source.filter.exclude", "SOURCE__FILTER__EXCLUDE", "[{port: 53}]", func(c *Config) bool { return c.Source.Filter.String() == `{"exclude":[{"port":53}]}` }},
		{"sinks.k.flush.count", "SINKS__K__FLUSH__COUNT", "7", func(c *Config) bool { return c.Sinks[0].Flush.Count == 7 }},
		{"sinks.k.brokers", "SINKS__K__BROKERS", "[x:1, y:2]", func(c *Config) bool { return len(kafkaOf(c).Brokers) == 2 }},
		{"sinks.k.headers.x_y", "SINKS__K__HEADERS__X_Y", "[1", func(c *Config) bool { return kafkaOf(c).Headers["x_y"] == "[1" }},
		{"sinks.k.idempotent", "SINKS__K__IDEMPOTENT", "true", func(c *Config) bool { return kafkaOf(c).Idempotent == sinks.KafkaIdempotentOn }},
		{"sinks.k.tls.min_version", "SINKS__K__TLS__MIN_VERSION", "1.3", func(c *Config) bool { return kafkaOf(c).TLS.MinVersion == "1.3" }},
		{"sinks.k", "SINKS__K", "{topic: u}", func(c *Config) bool { return kafkaOf(c).Topic == "u" && kafkaOf(c).Brokers[0] == "a:1" }},
		{"sinks.more.type", "SINKS__MORE__TYPE", "stdout", func(c *Config) bool { return len(c.Sinks) == 2 }},
	} {
		g := file(kafka)
		g.set = []string{c.key + "=" + c.value}
		if cfg := g.load(t); !c.is(cfg) {
			t.Errorf("--set %s=%s: %+v", c.key, c.value, cfg)
		}
		g.set, g.env = nil, []string{"CTFERRY_" + c.env + "=" + c.value}
		if cfg := g.load(t); !c.is(cfg) {
			t.Errorf("CTFERRY_%s=%s: %+v", c.env, c.value, cfg)
		}
	}
}

func kafkaOf(c *Config) *sinks.KafkaOptions { return c.Sinks[0].Options.(*sinks.KafkaOptions) }

func TestSingleFaults(t *testing.T) {
	for _, c := range []struct {
		name     string
		env, set []string
		want     string
	}{
		{"no value", nil, []string{"node"}, "--set: expected KEY=VALUE, such as node=edge-1"},
		{"no key", nil, []string{"=a", "a..b=c"}, `--set : expected a key, such as node or sinks.archive.path
--set a..b: expected a key, such as node or sinks.archive.path`},
		{"unknown", []string{"CTFERRY_NODES=a", "CTFERRY_SINKS__OUT__TIPE=b"}, []string{"source.evnts=[new]", "sinks.out.rotate.keep=1"}, `environment CTFERRY_NODES: nodes: unknown key; did you mean node?
environment CTFERRY_SINKS__OUT__TIPE: sinks.out.tipe: unknown key; did you mean type?
--set source.evnts: source.evnts: unknown key; did you mean events?
--set sinks.out.rotate.keep: sinks.out.rotate: unknown key for type stdout: it belongs to type file`},
		{"order", []string{"CTFERRY_Z=1", "CTFERRY_A=1"}, []string{"z=1", "b=1"}, `environment CTFERRY_A: a: unknown key; known here: admin, connections, control, meta, nats_server, node, sinks, source, spool
--set z: z: unknown key; known here: admin, connections, control, meta, nats_server, node, sinks, source, spool
--set b: b: unknown key; known here: admin, connections, control, meta, nats_server, node, sinks, source, spool`},
		{"types", []string{"CTFERRY_SOURCE__EVENTS=new,destroy", "CTFERRY_SOURCE__RELIABLE=maybe"}, []string{"sinks.out.flush.count=many", "source.buffer={size: fast}", "source.dump.interval="}, `environment CTFERRY_SOURCE__EVENTS: source.events: expected a list such as [a, b], not the text "new,destroy"
environment CTFERRY_SOURCE__RELIABLE: source.reliable: expected true or false, not the text "maybe"
--set sinks.out.flush.count: sinks.out.flush.count: expected a whole number, not the text "many"
--set source.buffer: source.buffer.size: "fast" is not a size: expected a whole number with B, KiB, MiB, GiB or TiB, such as 64MiB
--set source.dump.interval: source.dump.interval: expected a duration such as 200ms, 5s or 1h30m, not an empty value`},
		{"not YAML", []string{"CTFERRY_SOURCE__NETNS=[a"}, []string{"source.tables=[*a]"}, `environment CTFERRY_SOURCE__NETNS: source.netns: not valid YAML: did not find expected ',' or ']'
--set source.tables: source.tables: not valid YAML: no anchor has the name behind this *; a text that begins with * needs quotes`},
		{"section", nil, []string{"source=1", "sinks.out=stdout"}, `--set source: source: expected a mapping of keys to values, not the number 1
--set sinks.out: sinks.out: expected a mapping of keys to values, not the text "stdout"`},
		{"injection", []string{"CTFERRY_SOURCE__NETNS=[a]\nsinks: {}"}, nil, `environment CTFERRY_SOURCE__NETNS: source.netns: not valid YAML: did not find expected <document start>`},
		{"later", []string{"CTFERRY_SPOOL__MODE=disk"}, []string{"admin.listen=here"}, `environment CTFERRY_SPOOL__MODE: spool.mode: "disk" is not known: expected always, overflow or off
--set admin.listen: admin.listen: "here": expected host:port, such as 127.0.0.1:9479, or unix: and an absolute path`},
		{"in a list", nil, []string{"source.netns=[a, ../b]", "source.filter={exclude: [{port: 53}, {prt: 1}]}"}, `--set source.netns: source.netns[1]: "../b" is no name: expected the name or glob of a file in /run/netns
--set source.filter: source.filter.exclude[1].prt: no such field; did you mean port?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := file("sinks: {out: {type: stdout}}\n")
			g.env, g.set = c.env, c.set
			same(t, g.faults(t), c.want)
		})
	}
}

// The nearer key wins whatever the order of the environment.
func TestEnvironmentOrder(t *testing.T) {
	cfg := given{env: []string{"CTFERRY_SOURCE__BUFFER__MAX=99MiB", "CTFERRY_SOURCE__BUFFER={max: 77MiB}"}}.load(t)
	if cfg.Source.Max != 99*option.MiB {
		t.Error(cfg.Source.Max)
	}
}
