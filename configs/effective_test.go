package configs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/ctferry/ctferry/sinks"
)

// reload loads the effective configuration of cfg and says how the two differ.
func reload(t *testing.T, cfg *Config) (*Config, string) {
	t.Helper()
	text, err := cfg.Effective()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "effective.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	back, err := Load(Input{File: path})
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return back, string(text)
}

func sameConfig(t *testing.T, cfg *Config) {
	t.Helper()
	back, text := reload(t, cfg)
	a, b := *cfg, *back
	a.Files, b.Files, a.Warnings, b.Warnings = nil, nil, nil, nil
	if !reflect.DeepEqual(a, b) {
		t.Errorf("differs:\n%+v\n%+v\nby\n%s", a, b, text)
	}
	if again, _ := back.Effective(); string(again) != text {
		t.Errorf("not stable:\n%s\nthen\n%s", text, again)
	}
}

func TestEffective(t *testing.T) {
	cfg := file(`
node: "0123"
meta: {b: "true", a: "x: y"}
connections:
  hub: {type: kafka, brokers: [a:1], sasl: {mechanism: plain, user: u, password: hunter2}}
  far: {type: nats, urls: [nats://a], user: u, password: hunter2}
control: {enabled: true, connection: far, allow: [list, delete], protect: [10.0.0.0/8, "::1/128"], timeout: 90s}
nats_server: {enabled: true, listen: ":4222", leafnodes: [{urls: [tls://b], user: u, password: hunter2, deny_exports: [a.>]}]}
spool: {mode: always, max: 1GiB, sync: 1s}
admin: {listen: "[::]:9479", basic_auth: {user: u, password: hunter2}}
source: {events: [destroy, new], buffer: {size: 1MiB}, dump: {interval: 90s}, filter: {include: [{dport: [443, 80], mark: 1/0xff}], exclude: {addr: [10.0.0.0/8]}}}
sinks:
  f: {type: file, path: /var/log/f, mode: 0600, enabled: false, rotate: {interval: 24h, size: 0}}
  k: {type: kafka, connection: hub, topic: t, headers: {a: "1"}, filter: {proto: tcp}}
  n: {type: nats, connection: nats_server, jetstream: {stream: S}}
`).load(t)
	text, err := cfg.Effective()
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/effective.yaml")
	if err != nil {
		t.Fatal(err)
	}
	same(t, string(text), string(golden))
}

func TestEffectiveOfStandalone(t *testing.T) { sameConfig(t, given{}.load(t)) }

func TestEffectiveHidesURLPasswords(t *testing.T) {
	for in, want := range map[string]string{
		"nats://a:b@c:4222":                 "nats://***@c:4222",
		"see https://u:p@h/x and tls://t@i": "see https://***@h/x and tls://***@i",
		"no://secret/here@all":              "no://secret/here@all",
		"mail@example.org":                  "mail@example.org",
	} {
		if got := withoutPassword(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// choices are values of keys that are valid whatever the others are.
func choices() map[string][]any {
	return map[string][]any{
		"node": {"a", "edge-1.example", "node 7", "007", "null", "é"},
		"control": {
			map[string]any{"enabled": true, "connection": "far", "allow": []any{"list", "flush"}, "protect": []any{"10.0.0.0/8"}},
			map[string]any{"connection": "far", "site": "paris", "allow": []any{}, "audit": map[string]any{"path": "", "keep": 0}},
			map[string]any{"max_timeout": "1h", "timeout": "1m30s", "watchers": 0},
		},
		"spool": {
			map[string]any{"mode": "always", "dir": "/spool", "sync": "always", "compress": "none", "min_free": 0},
			map[string]any{"sync": "none", "segment": "1MiB", "max": "4MiB", "memory": "64MiB"},
			map[string]any{"sync": "1s500ms"},
		},
		"nats_server": {
			map[string]any{"enabled": true, "listen": "[::1]:0", "jetstream": map[string]any{"sync_always": true}, "credentials": map[string]any{"dir": "/c", "group": "7"}},
			map[string]any{"name": "a", "tls": map[string]any{"cert_file": "/c", "key_file": "/k", "ca_file": "/a", "verify": true}},
			map[string]any{"leafnodes": []any{map[string]any{"urls": []any{"tls://a"}, "creds_file": "/c"}, map[string]any{"urls": []any{"nats://b"}, "deny_imports": []any{"a"}}}},
		},
		"meta": {map[string]any{}, map[string]any{"a": "b"}, map[string]any{"_x": "- y", "Z9": ""}},
		"source": {
			map[string]any{}, nil,
			map[string]any{"events": []any{"new"}, "tables": []any{"expect", "conntrack"}, "reliable": true},
			map[string]any{"buffer": map[string]any{"size": "1MiB", "max": "1MiB"}, "receive": "socket", "netns": []any{"a*", "b"}},
			map[string]any{"dump": map[string]any{"at_start": true, "interval": "1h0m1s", "zero": true}},
			map[string]any{"filter": map[string]any{"exclude": []any{map[string]any{"proto": "udp", "port": []any{53, "1000-2000"}}}}},
		},
	}
}

// sinkChoices are keys that every kind has.
func sinkChoices() map[string][]any {
	return map[string][]any{
		"enabled":  {true, false},
		"profile":  {"cgnat"},
		"encoding": {"json", "xml", "protobuf"},
		"events":   {[]any{"new"}, []any{"destroy", "dump"}, []any{"interim", "update"}},
		"omit":     {[]any{}},
		"fields":   {[]any{}, []any{"orig", "reply"}},
		"memory":   {"8MiB", "33554432", 4194304},
		"flush":    {map[string]any{"count": 1}, map[string]any{"bytes": "64KiB", "linger": "5ms"}},
		"retry":    {map[string]any{"initial": "1s", "max": "2m0s"}},
		"drain":    {"0s", "1m30s"},
		"filter":   {nil, map[string]any{"nat": "any"}, map[string]any{"include": []any{map[string]any{"addr": "10.0.0.0/8"}, map[string]any{"dport": 443, "proto": "tcp"}}}},
	}
}

func kindChoices() map[string]map[string][]any {
	return map[string]map[string][]any{
		"file": {
			"mode": {"0600", "0644"}, "fsync": {"interval", "every_batch"}, "fsync_interval": {"2s"}, "direct": {"auto"},
			"rotate": {map[string]any{"keep": 3, "compress": "zstd"}, map[string]any{"interval": "1h", "max_age": "720h", "max_total": "1TiB"}},
		},
		"kafka": {
			"key": {"node", "none", "inside"}, "partitioner": {"crc32"}, "compression": {"none", "zstd"}, "idempotent": {false, "auto"},
			"headers": {map[string]any{"x-a": "b", "c.d": "1"}}, "max_message_bytes": {"2MiB"},
			"tls":  {map[string]any{"enabled": true}, map[string]any{"server_name": "a", "min_version": "1.3"}},
			"sasl": {map[string]any{"mechanism": "plain", "user": "u", "password_file": "/p"}},
		},
	}
}

func pick(r *rand.Rand, into map[string]any, from map[string][]any) {
	for k, values := range from {
		if r.IntN(3) == 0 {
			into[k] = values[r.IntN(len(values))]
		}
	}
}

// randomConfig makes a configuration that is valid.
func randomConfig(r *rand.Rand) map[string]any {
	top, all := map[string]any{}, map[string]any{}
	pick(r, top, choices())
	for i := range 1 + r.IntN(4) {
		kind := []string{"file", "kafka"}[r.IntN(2)]
		s := map[string]any{}
		pick(r, s, sinkChoices())
		pick(r, s, kindChoices()[kind])
		s["type"] = kind
		if kind == "file" {
			s["path"] = fmt.Sprintf("/var/log/%d/%%Y/{node}.log", i)
		} else {
			s["topic"] = "t-{node}"
			s["connection"] = "hub"
		}
		if i == 0 {
			s["enabled"] = true
		}
		all[fmt.Sprintf("s_%d", i)] = s
	}
	top["sinks"] = all
	top["connections"] = map[string]any{"far": map[string]any{"type": "nats", "urls": []any{"nats://a"}, "nkey_file": "/n"}, "hub": map[string]any{"type": "kafka", "brokers": []any{"a:1", "[::1]:2"}}}
	return top
}

func TestEffectiveRoundTrip(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		text, err := yaml.Marshal(randomConfig(r))
		if err != nil {
			t.Fatal(err)
		}
		cfg := file(string(text)).load(t)
		sameConfig(t, cfg)
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, text)
		}
	}
}

// Every key of every kind is printed.
func TestEffectivePrintsEveryKey(t *testing.T) {
	cfg := given{}.load(t)
	text, err := cfg.Effective()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[rawSource](), reflect.TypeFor[sinks.SpoolConfig](), reflect.TypeOf(cfg.Sinks[0])} {
		for key := range keysOf(typ) {
			if !strings.Contains(string(text), " "+key+":") {
				t.Errorf("%s is missing", key)
			}
		}
	}
}

// TestEffectiveTexts has a text that is no good as a block of lines read back as it was.
func TestEffectiveTexts(t *testing.T) {
	for _, user := range []string{"\t\nu", "\tu\n", "u\n\tv\n\n", " \n u", "u"} {
		cfg := file(fmt.Sprintf("sinks: {k: {type: kafka, brokers: [a:1], topic: t, sasl: {mechanism: plain, user: %q, password_file: /p}}}\n", user)).load(t)
		text, err := cfg.Effective()
		if err != nil {
			t.Fatal(err)
		}
		if got := kafkaOf(file(string(text)).load(t)).SASL.User; got != user {
			t.Errorf("%q became %q", user, got)
		}
	}
}
