package configs

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/source"
)

// Every key of the section source reaches the source, and comes back.
func TestSourceKeysReachTheSource(t *testing.T) {
	values := map[string]string{
		"events": "[destroy]", "tables": "[expect]", "buffer.size": "1MiB", "buffer.max": "128MiB", "receive": "socket", "shards": "2", "reliable": "true",
		"dump.at_start": "true", "dump.interval": "1m", "dump.zero": "true", "filter": "{proto: tcp}", "netns": "[blue]",
	}
	values["track"], values["track.enabled"], values["track.max_flows"], values["track.reconcile"] = "true", "true", "5000", "0s"
	values["track.resync"], values["interim"], values["state_dir"] = "1m", "1m", "/var/lib/x"
	needs := map[string]string{"interim": "source.track=true"}
	seen := map[string]bool{}
	for key, value := range values {
		set := []string{"source." + key + "=" + value}
		if needs[key] != "" {
			set = append(set, needs[key])
		}
		cfg := given{set: set}.load(t)
		if reflect.DeepEqual(cfg.Source, source.Default()) {
			t.Errorf("source.%s changes nothing", key)
		}
		r := rawOf(cfg.Source)
		if back := r.config(); !reflect.DeepEqual(back, cfg.Source) {
			t.Errorf("source.%s: %+v, then %+v", key, cfg.Source, back)
		}
		seen[key] = true
	}
	for _, key := range keyPaths(reflect.TypeFor[rawSource](), "") {
		if !seen[key] && key != "buffer" && key != "dump" {
			t.Errorf("source.%s is not tested", key)
		}
	}
}

func TestSourceDefaults(t *testing.T) {
	d := source.Default()
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	r := rawDefaults("n")
	if got := r.Source.config(); !reflect.DeepEqual(got, d) {
		t.Errorf("%+v, want %+v", got, d)
	}
}

// What the environment says of a text stays a text in every place that holds one.
func TestTextKeysAreKnown(t *testing.T) {
	for path, want := range map[string]bool{
		"node": true, "meta.a": true, "source.receive": true, "source.buffer.size": true, "sinks.x.type": true, "sinks.x.connection": true,
		"sinks.x.sasl.password": true, "connections.x.sasl.password": true, "connections.x.tls.ca_file": true, "sinks.x.headers.a": true, "sinks.x.token": true,
		"source": false, "source.events": false, "source.reliable": false, "source.filter": false, "sinks.x": false, "sinks.x.brokers": false,
		"sinks.x.flush.count": false, "sinks.x.tls": false, "nonsense": false, "node.deeper": false, "source.events.deeper": false,
	} {
		if got := isText(strings.Split(path, ".")); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
