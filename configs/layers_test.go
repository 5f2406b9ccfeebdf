package configs

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source/flow"
)

func TestLayersInOrder(t *testing.T) {
	g := given{
		files: map[string]string{
			"a.yaml":              "node: main\nmeta: {a: main, b: main, c: main, d: main, e: main}\nsinks: {out: {type: stdout}}\n",
			"conf.d/20-b.yaml":    "meta: {c: twenty, d: twenty, e: twenty}\n",
			"conf.d/10-a.yaml":    "node: ten\nmeta: {b: ten, c: ten, d: ten, e: ten}\n",
			"conf.d/.hidden.yaml": "nonsense: 1\n",
			"conf.d/README":       "nonsense: 1\n",
		},
		env: []string{"CTFERRY_META__D=env", "CTFERRY_META__E=env", "PATH=/bin", "CTFERRY=1", "XCTFERRY_NODE=no"},
		set: []string{"meta.e=set", "node=first", "node=last"},
	}
	cfg := g.load(t)
	want := []flow.Pair{{Key: "a", Value: "main"}, {Key: "b", Value: "ten"}, {Key: "c", Value: "twenty"}, {Key: "d", Value: "env"}, {Key: "e", Value: "set"}}
	if cfg.Node != "last" || !slices.Equal(cfg.Meta, want) {
		t.Errorf("node %s, meta %v", cfg.Node, cfg.Meta)
	}
	var names []string
	for _, f := range cfg.Files {
		names = append(names, filepath.Base(f))
	}
	if !slices.Equal(names, []string{"a.yaml", "10-a.yaml", "20-b.yaml"}) {
		t.Errorf("files %v", names)
	}
}

func TestMapsMergeListsReplace(t *testing.T) {
	cfg := given{files: map[string]string{
		"a.yaml":        "source: {events: [new, destroy], buffer: {size: 1MiB, max: 2MiB}, netns: [a, b]}\nsinks:\n  one: {type: file, path: /var/log/one, rotate: {keep: 3, size: 1MiB}}\n",
		"conf.d/b.yaml": "source: {events: [destroy], buffer: {max: 8MiB}, netns: []}\nsinks:\n  one: {rotate: {keep: 9}}\n  two: {type: stdout}\n",
	}}.load(t)
	src := cfg.Source
	if src.Events != flow.TypesOf(flow.TypeDestroy) || src.Buffer != option.MiB || src.Max != 8*option.MiB || src.NetNS != nil {
		t.Errorf("%+v", src)
	}
	if len(cfg.Sinks) != 2 {
		t.Fatalf("%d sinks", len(cfg.Sinks))
	}
	rotate := cfg.Sinks[0].Options.(*sinks.FileOptions).Rotate
	if rotate.Keep != 9 || rotate.Size != option.MiB {
		t.Errorf("%+v", rotate)
	}
}

// An empty section leaves what an earlier file said; an empty value of another
// key is a fault (see TestBad).
func TestEmptySectionKeepsTheOld(t *testing.T) {
	cfg := given{files: map[string]string{
		"a.yaml":        "meta: {a: b}\nsource: {buffer: {max: 99MiB}}\nsinks: {out: {type: stdout}}\n",
		"conf.d/b.yaml": "meta:\n#  a: c\nsource:\n  buffer:\nsinks:\n  out:\n",
		"conf.d/c.yaml": "# nothing at all\n",
	}}.load(t)
	if len(cfg.Meta) != 1 || cfg.Source.Max != 99*option.MiB || len(cfg.Sinks) != 1 {
		t.Errorf("%+v", cfg)
	}
}

func TestStandalone(t *testing.T) {
	cfg := given{}.load(t)
	if len(cfg.Sinks) != 1 || cfg.Sinks[0].Type != "stdout" || len(cfg.Files) != 0 || cfg.Node == "" {
		t.Errorf("%+v", cfg)
	}
	cfg = given{set: []string{"sinks.f.type=file", "sinks.f.path=/var/log/f"}}.load(t)
	if len(cfg.Sinks) != 1 || cfg.Sinks[0].Name != "f" {
		t.Errorf("%+v", cfg.Sinks)
	}
}

func TestYML(t *testing.T) {
	g := given{files: map[string]string{"a.yaml": "sinks: {out: {type: stdout}}\n", "conf.d/b.yml": "node: x\n"}}
	in, dir := g.input(t)
	cfg, err := Load(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings) != 1 || cfg.Node == "x" {
		t.Errorf("%v", cfg.Warnings)
	}
	same(t, strings.ReplaceAll(cfg.Warnings.Error(), dir+"/", ""), "conf.d/b.yml: is not read: expected a name that ends in .yaml")
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, []byte(strings.Repeat("#\n", maxFileSize)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		filepath.Join(dir, "absent.yaml"): "no such file or directory",
		dir:                               "is a directory",
		large:                             "large.yaml: larger than 2MiB",
		"/dev/zero":                       "/dev/zero: larger than 2MiB",
	} {
		_, err := Load(Input{File: name})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnchors(t *testing.T) {
	cfg := file(`
x-node: &node edge-1
x-file: &file
  type: file
  rotate: &rotate {size: 1MiB, keep: 2}
x-more: &more {encoding: xml, memory: 2MiB}
node: *node
meta: {x-note: 1, site: paris}
source:
  x-terms: [{proto: udp}]
  filter: {x-local: &local {addr: 127.0.0.0/8}, exclude: [*local, {x-why: noise, port: 53}]}
sinks:
  x-base: &base {<<: *file, encoding: protobuf}
  a:
    <<: *base
    x-owner: me
    path: /var/log/a
  b:
    path: /var/log/b
    rotate: {<<: *rotate, keep: 7, x-y: 1}
    <<: [*more, *base]
`).load(t)
	if cfg.Node != "edge-1" || len(cfg.Meta) != 1 || len(cfg.Sinks) != 2 {
		t.Fatalf("%+v", cfg)
	}
	a, b := cfg.Sinks[0], cfg.Sinks[1]
	if a.Encoding != "protobuf" || b.Encoding != "xml" || b.Memory != 2*option.MiB {
		t.Errorf("%s, %s, %s", a.Encoding, b.Encoding, b.Memory)
	}
	if r := b.Options.(*sinks.FileOptions).Rotate; r.Keep != 7 || r.Size != option.MiB {
		t.Errorf("%+v", r)
	}
	if got := cfg.Source.Filter.String(); got != `{"exclude":[{"addr":"127.0.0.0/8"},{"port":53}]}` {
		t.Error(got)
	}
}

// In a map of texts the keys are the user's own: a header may begin with x-.
func TestHeadersKeepX(t *testing.T) {
	cfg := file("sinks: {k: {type: kafka, brokers: [a:1], topic: t, headers: {x-tenant: a, n: 12}}}\n").load(t)
	got := cfg.Sinks[0].Options.(*sinks.KafkaOptions).Headers
	if !reflect.DeepEqual(got, map[string]string{"x-tenant": "a", "n": "12"}) {
		t.Error(got)
	}
}

// What a text is, YAML does not decide: a number is taken as it is written.
func TestTextsAsWritten(t *testing.T) {
	cfg := file("node: 007\nmeta: {a: 1.10, b: true, c: 2024-01-02, d: 0x1F, e: 'yes'}\nsinks: {f: {type: file, path: /var/log/f, mode: 0640, drain: 0, flush: {count: 1_000}}}\n").load(t)
	want := []flow.Pair{{Key: "a", Value: "1.10"}, {Key: "b", Value: "true"}, {Key: "c", Value: "2024-01-02"}, {Key: "d", Value: "0x1F"}, {Key: "e", Value: "yes"}}
	f := cfg.Sinks[0]
	if cfg.Node != "007" || !slices.Equal(cfg.Meta, want) || f.Flush.Count != 1000 || f.Drain != 0 {
		t.Errorf("%s %v %+v", cfg.Node, cfg.Meta, f)
	}
	if mode := f.Options.(*sinks.FileOptions).Mode; mode != 0o640 {
		t.Errorf("mode %v", mode)
	}
}

func TestEqualFiltersAreOne(t *testing.T) {
	cfg := file(`sinks:
  a: {type: file, path: /var/log/a, filter: {proto: tcp, dport: [443, 80]}}
  b: {type: file, path: /var/log/b, filter: {include: [{dport: [80, 443], proto: TCP}]}}
  c: {type: file, path: /var/log/c, filter: {proto: udp}}
  d: {type: file, path: /var/log/d, filter: {}}
  e: {type: file, path: /var/log/e, filter: }
`).load(t)
	s := cfg.Sinks
	if s[0].Filter == nil || s[0].Filter != s[1].Filter || s[0].Filter == s[2].Filter || s[3].Filter != nil || s[4].Filter != nil {
		t.Errorf("%v %v %v %v", s[0].Filter, s[1].Filter, s[2].Filter, s[3].Filter)
	}
}

func TestConnections(t *testing.T) {
	cfg := file(`
connections:
  k1: {type: kafka, brokers: [a:1, b:2], compression: zstd, tls: {enabled: true, server_name: a}, sasl: {mechanism: plain, user: u, password_file: /p}}
sinks:
  one: {type: kafka, connection: k1, topic: one}
  two: {type: kafka, connection: k1, topic: two, brokers: [c:3], tls: {server_name: b}}
`).load(t)
	one, two := cfg.Sinks[0].Options.(*sinks.KafkaOptions), cfg.Sinks[1].Options.(*sinks.KafkaOptions)
	if !slices.Equal(one.Brokers, []string{"a:1", "b:2"}) || one.Compression != "zstd" || one.SASL.PasswordFile != "/p" || one.TLS.ServerName != "a" {
		t.Errorf("%+v", one)
	}
	if !slices.Equal(two.Brokers, []string{"c:3"}) || two.Compression != "zstd" || !two.TLS.Enabled || two.TLS.ServerName != "b" || two.Topic != "two" {
		t.Errorf("%+v", two)
	}
}

func TestDisabled(t *testing.T) {
	cfg := file("sinks:\n  a: {type: file, path: /var/log/a}\n  b: {type: file, path: /var/log/a, enabled: false}\n").load(t)
	if len(cfg.Sinks) != 1 || cfg.Sinks[0].Name != "a" {
		t.Errorf("%+v", cfg.Sinks)
	}
}

// A section may stand there and be off.
func TestSectionsOff(t *testing.T) {
	withSink("spool: {mode: off}\ncontrol: {enabled: false, site: a}\nnats_server: {enabled: false}\nadmin: {listen: ''}\n").load(t)
	withSink("spool:\ncontrol: {}\nnats_server:\nadmin:\n").load(t)
	given{env: []string{"CTFERRY_ADMIN__LISTEN=", "CTFERRY_CONTROL__ENABLED=false"}}.load(t)
}

func TestSourceKeys(t *testing.T) {
	cfg := withSink(`
source:
  events: [destroy]
  tables: [conntrack, expect]
  buffer: {size: 1MiB, max: 3MiB}
  receive: socket
  reliable: true
  dump: {at_start: true, interval: 1m, zero: true}
  filter: {proto: tcp}
  netns: [blue, "red*"]
`).load(t)
	c := cfg.Source
	if !c.Reliable || c.Receive != "socket" || !c.Dump.AtStart || c.Dump.Interval != time.Minute || !c.Dump.Zero || len(c.Tables) != 2 || len(c.NetNS) != 2 || c.Filter == nil {
		t.Errorf("%+v", c)
	}
}
