package configs

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
)

// Every key of the section control reaches the control service.
func TestControlKeysReachControl(t *testing.T) {
	hub := "connections: {hub: {type: nats, urls: [nats://a], nkey_file: /n, inbox_prefix: _MINE}}\n"
	values := map[string]string{
		"enabled": "true", "prefix": "p", "site": "s", "allow": "[flush]", "fleet_writes": "true", "max_affected": "7",
		"protect": "[10.0.0.0/8]", "max_request": "64KiB", "timeout": "1s", "max_timeout": "1m", "max_age": "1s", "concurrent": "1", "watchers": "1",
		"audit.path": "/a", "audit.max": "1MiB", "audit.keep": "0",
	}
	for key, value := range values {
		g := withSink(hub)
		g.set = []string{"control.connection=hub", "control." + key + "=" + value}
		if key == "fleet_writes" {
			g.set = append(g.set, "control.allow=[delete]")
		}
		cfg := g.load(t)
		want := control.DefaultConfig()
		want.Connection = cfg.Control.Connection
		if reflect.DeepEqual(cfg.Control, want) {
			t.Errorf("control.%s changes nothing", key)
		}
	}
	for _, key := range keyPaths(reflect.TypeFor[rawControl](), "") {
		if values[key] == "" && key != "connection" && key != "audit" {
			t.Errorf("control.%s is not tested", key)
		}
	}
	cfg := withSink(hub + "control: {connection: hub}").load(t)
	want := natsconn.Config{URLs: []string{"nats://a"}, NkeyFile: "/n", InboxPrefix: "_MINE", ConnectTimeout: 5 * time.Second}
	if !reflect.DeepEqual(cfg.Control.Connection, want) || cfg.ControlConnection != "hub" {
		t.Errorf("%+v", cfg.Control.Connection)
	}
}

// What a connection says of itself reaches control whole: no key is forgotten.
func TestConnectionKeysReachControl(t *testing.T) {
	o := &sinks.NATSOptions{}
	v := reflect.ValueOf(o).Elem()
	for i := range v.NumField() {
		key, _ := tagOf(v.Type().Field(i))
		if !isConnectionKey(key) && key != "connect_timeout" {
			continue
		}
		one := reflect.New(v.Type()).Elem()
		switch f := one.Field(i); f.Interface().(type) {
		case []string:
			f.Set(reflect.ValueOf([]string{"x"}))
		case option.Secret:
			f.Set(reflect.ValueOf(option.NewSecret("x")))
		case option.TLS:
			f.Set(reflect.ValueOf(option.TLS{Enabled: true}))
		case bool:
			f.SetBool(true)
		case string:
			f.SetString("x")
		default:
			f.SetInt(1)
		}
		if got := connectionOf(one.Addr().Interface().(*sinks.NATSOptions)); reflect.DeepEqual(got, natsconn.Config{}) {
			t.Errorf("%s is lost", key)
		}
	}
}

// One machine needs no connection: control finds the server inside the process.
func TestControlFindsTheServer(t *testing.T) {
	cfg := withSink("nats_server: {enabled: true}\ncontrol: {enabled: true}\n").load(t)
	if cfg.ControlConnection != Embedded || !reflect.DeepEqual(cfg.Control.Connection, natsconn.Config{}) {
		t.Errorf("%q %+v", cfg.ControlConnection, cfg.Control.Connection)
	}
	cfg = withSink("control: {enabled: false, connection: nats_server}\n").load(t)
	if cfg.Control.Enabled {
		t.Error("enabled")
	}
	cfg = withSink("connections: {hub: {type: nats, urls: [nats://a]}}\nnats_server: {enabled: true}\ncontrol: {enabled: true, connection: hub}\n").load(t)
	if cfg.ControlConnection != "hub" {
		t.Error(cfg.ControlConnection)
	}
}

func TestNATSServerDefaults(t *testing.T) {
	s := withSink("").load(t).NATSServer
	if s.Enabled || s.Credentials.Dir != "/var/lib/ctferry/credentials" || s.Server.Listen != "127.0.0.1:4222" {
		t.Errorf("%+v", s)
	}
	s = withSink("nats_server: {enabled: true, store_dir: /srv/n/js}").load(t).NATSServer
	if !s.Enabled || s.Credentials.Dir != "/srv/n/credentials" {
		t.Errorf("%+v", s)
	}
}

// Every key of the section nats_server reaches the server.
func TestNATSServerKeysReachTheServer(t *testing.T) {
	values := map[string]string{
		"enabled": "true", "listen": ":0", "store_dir": "/s", "name": "n", "jetstream.max_memory": "1MiB", "jetstream.max_store": "1MiB",
		"jetstream.domain": "d", "jetstream.sync_interval": "1s", "jetstream.sync_always": "true", "max_payload": "2MiB", "max_connections": "7",
		"credentials.dir": "/c", "credentials.group": "g", "tls": "{cert_file: /c, key_file: /k}", "tls.ca_file": "", "tls.verify": "", "tls.cert_file": "", "tls.key_file": "",
		"tls.min_version": "", "tls.handshake_first": "", "leafnodes": "[{urls: [nats://a]}]",
	}
	was := withSink("").load(t).NATSServer
	for key, value := range values {
		if value == "" {
			continue // below
		}
		g := withSink("")
		g.set = []string{"nats_server." + key + "=" + value}
		if reflect.DeepEqual(g.load(t).NATSServer, was) {
			t.Errorf("nats_server.%s changes nothing", key)
		}
	}
	for _, key := range keyPaths(reflect.TypeFor[rawNATSServer](), "") {
		if _, ok := values[key]; !ok && key != "jetstream" && key != "credentials" {
			t.Errorf("nats_server.%s is not tested", key)
		}
	}
	s := withSink(`nats_server:
  tls: {cert_file: /c, key_file: /k, ca_file: /a, verify: true, min_version: 1.3, handshake_first: true}
  leafnodes: [{urls: [tls://a], user: u, password: p, tls: {ca_file: /a}, tls_handshake_first: true, deny_imports: [x], deny_exports: [y]}]`).load(t).NATSServer
	if s.Server.TLS != (natsconn.ServerTLS{CertFile: "/c", KeyFile: "/k", CAFile: "/a", Verify: true, MinVersion: "1.3", HandshakeFirst: true}) {
		t.Errorf("%+v", s.Server.TLS)
	}
	want := natsconn.Leafnode{URLs: []string{"tls://a"}, User: "u", Password: option.NewSecret("p"), TLS: option.TLS{CAFile: "/a"}, TLSHandshakeFirst: true, DenyImports: []string{"x"}, DenyExports: []string{"y"}}
	if !reflect.DeepEqual(s.Server.Leafnodes, []natsconn.Leafnode{want}) {
		t.Errorf("%+v", s.Server.Leafnodes)
	}
}

func TestEmbeddedSink(t *testing.T) {
	cfg := file("nats_server: {enabled: true}\nsinks: {bus: {type: nats, connection: nats_server, connect_timeout: 1s, jetstream: {stream: S}}}\n").load(t)
	o := cfg.Sinks[0].Options.(*sinks.NATSOptions)
	if !o.Embedded || o.URLs != nil || o.ConnectTimeout != time.Second || o.JetStream.Stream != "S" {
		t.Errorf("%+v", o)
	}
	sameConfig(t, cfg)
}

func TestNATSServerWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"{listen: 0.0.0.0:4222}":                                                 "",
		"{enabled: true, listen: 127.0.0.2:4222}":                                "",
		`{enabled: true, listen: "[::1]:1"}`:                                     "",
		"{enabled: true, listen: localhost:1}":                                   "",
		`{enabled: true, listen: ""}`:                                            "",
		"{enabled: true, listen: 0.0.0.0:4222}":                                  "a.yaml:1:30: nats_server.listen: other machines reach it without TLS",
		`{enabled: true, listen: ":4222"}`:                                       "nats_server.listen: other machines reach it",
		"{enabled: true, listen: 0.0.0.0:1, tls: {cert_file: /c, key_file: /k}}": "",
	} {
		cfg := withSink("nats_server: " + text).load(t)
		if got := cfg.Warnings.Error(); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// A leafnode's password is a secret like any other.
func TestLeafnodeSecrets(t *testing.T) {
	g := withSink("")
	g.set = []string{"nats_server.leafnodes=[{urls: [nats://a], user: u, password: hunter2}]"}
	if got := g.faults(t); !strings.Contains(got, "nats_server.leafnodes[0].password: a secret is not taken from the command line") || strings.Contains(got, "hunter2") {
		t.Error(got)
	}
	same(t, withSink("nats_server: {leafnodes: [{urls: [nats://a], user: u, password: '***'}]}").faults(t),
		"a.yaml:1:55: nats_server.leafnodes[0].password: *** stands for a secret that was not printed: give the secret itself or leafnodes[0].password_file")
}

// Who only asks others needs no sink.
func TestClientNeedsNoSink(t *testing.T) {
	in, _ := file("connections: {hub: {type: nats, urls: [nats://a]}}\ncontrol: {connection: hub, site: paris}\n").input(t)
	in.Client = true
	cfg, err := Load(in)
	if err != nil || cfg.Control.Site != "paris" || cfg.Control.Connection.URLs[0] != "nats://a" {
		t.Errorf("%+v, %v", cfg, err)
	}
}
