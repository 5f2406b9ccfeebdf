package configs

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/flow"
)

// shipped loads a file of this folder.
func shipped(t *testing.T, name string) *Config {
	t.Helper()
	cfg, err := Load(Input{File: name})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings) > 0 {
		t.Errorf("warnings:\n%v", cfg.Warnings)
	}
	return cfg
}

func TestShipped(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			cfg := shipped(t, name)
			sameConfig(t, cfg)
			for _, k := range cfg.Sinks {
				if why := k.Options.Unordered(); why != "" {
					t.Errorf("sink %s is unordered: %s", k.Name, why)
				}
			}
		})
	}
}

func TestShippedDefault(t *testing.T) {
	cfg := shipped(t, "ctferry.yaml")
	if len(cfg.Sinks) != 1 || cfg.Sinks[0].Type != "file" {
		t.Fatalf("%+v", cfg.Sinks)
	}
	k := cfg.Sinks[0]
	if want := flow.TypesOf(flow.TypeNew, flow.TypeDestroy) | flow.AlwaysTypes; k.Types() != want {
		t.Errorf("it takes %v", k.Types().Names())
	}
	if r := k.Options.(*sinks.FileOptions).Rotate; r.Size == 0 || r.MaxTotal == 0 {
		t.Errorf("nothing bounds it: %+v", r)
	}
}

// keyPaths lists every key of a struct, sections too.
func keyPaths(t reflect.Type, path string) (paths []string) {
	for key, k := range keysOf(t) {
		at := option.Below(path, key)
		paths = append(paths, at)
		if !isTextType(k) {
			paths = append(paths, keyPaths(k, at)...)
		}
	}
	return paths
}

// The reference names every key of every kind.
func TestReferenceIsWhole(t *testing.T) {
	text, err := os.ReadFile("reference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := parseDocument("reference.yaml", "", nil, text)
	for _, path := range keyPaths(reflect.TypeFor[raw](), "") {
		if _, ok := d.places[path]; !ok {
			t.Errorf("%s is missing", path)
		}
	}
	for key := range keysOf(reflect.TypeFor[rawLeafnode]()) { // of which there is none at the default
		if !regexp.MustCompile(`\n  leafnodes: .*[ \[{]` + key + `[,;} ]`).Match(text) {
			t.Errorf("nats_server.leafnodes[].%s is missing", key)
		}
	}
	all := d.root.(map[string]any)["sinks"].(map[string]any)
	named := map[string]bool{} // keys of any sink
	kinds := map[string]string{}
	for name, values := range all {
		kinds[values.(map[string]any)["type"].(string)] = name
		for path := range d.places {
			if key, ok := strings.CutPrefix(path, "sinks."+name+"."); ok {
				named[key] = true
			}
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[sinks.Config](), reflect.TypeFor[sinkKeys]()} {
		for _, key := range keyPaths(typ, "") {
			if !named[key] {
				t.Errorf("the common key %s is missing", key)
			}
		}
	}
	for kind, options := range sinks.Kinds() {
		for _, key := range keyPaths(reflect.TypeOf(options()), "") {
			if _, ok := d.places["sinks."+kinds[kind]+"."+key]; !ok {
				t.Errorf("type %s: %s is missing", kind, key)
			}
		}
	}
}

// The reference's values are the defaults, save those of keys that have none.
func TestReferenceIsTheDefaults(t *testing.T) {
	cfg := shipped(t, "reference.yaml")
	if !reflect.DeepEqual(cfg.Source, source.Default()) || cfg.Meta != nil || cfg.Node != "edge-1" {
		t.Errorf("%+v", cfg)
	}
	want := control.DefaultConfig()
	want.Connection.URLs, want.Connection.ConnectTimeout = []string{"nats://127.0.0.1:4222"}, 5*time.Second
	if !reflect.DeepEqual(cfg.Control, want) || cfg.ControlConnection != "hub" {
		t.Errorf("control:\n%+v\nwant\n%+v", cfg.Control, want)
	}
	if !reflect.DeepEqual(cfg.natsServer, natsServerDefaults()) {
		t.Errorf("nats_server: %+v", cfg.natsServer)
	}
	for _, got := range cfg.Sinks {
		want, err := sinks.NewConfig(got.Name, got.Type)
		if err != nil {
			t.Fatal(err)
		}
		switch o := want.Options.(type) {
		case *sinks.FileOptions:
			o.Path = got.Options.(*sinks.FileOptions).Path
		case *sinks.KafkaOptions:
			o.Brokers, o.Topic = []string{"127.0.0.1:9092"}, "conntrack"
		case *sinks.NATSOptions:
			o.URLs = []string{"nats://127.0.0.1:4222"}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v %+v\nwant\n%+v %+v", got.Name, got, got.Options, want, want.Options)
		}
	}
	if kinds := slices.Sorted(maps.Keys(sinks.Kinds())); len(cfg.Sinks) != len(kinds) {
		t.Errorf("%d sinks for %v", len(cfg.Sinks), kinds)
	}
}

// Every line of the reference says in a comment what it is.
func TestReferenceIsCommented(t *testing.T) {
	text, err := os.ReadFile("reference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	commented := regexp.MustCompile(`^(#.*| *[a-z_0-9]+:( .*)? # \S.*|)$`)
	for i, line := range strings.Split(string(text), "\n") {
		if !commented.MatchString(line) {
			t.Errorf("line %d: %s", i+1, line)
		}
	}
}

// A kind's own defaults are valid once the keys are set that have none.
func TestEveryKindAtItsDefaults(t *testing.T) {
	needs := map[string]string{"file": "path: /var/log/f", "kafka": "brokers: [a:1], topic: t", "nats": "urls: [nats://a]", "stdout": "enabled: true"}
	for kind := range sinks.Kinds() {
		file("sinks: {k: {type: " + kind + ", " + needs[kind] + "}}\n").load(t)
	}
}
