package configs

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
)

type rawControl struct {
	Connection     string `koanf:"connection"`
	control.Config `koanf:",squash"`
}

// control checks the section, whether it is enabled or not.
func (b *builder) control(cfg *Config, r *raw) {
	c := &r.Control
	if c.Connection == "" && r.NATSServer.Enabled {
		c.Connection = Embedded
	}
	b.judge("control", c.Config.Validate())
	switch o, ok := b.controlConnection(c.Connection, r); {
	case ok:
		cfg.connection = o
		c.Config.Connection = connectionOf(o)
	case c.Connection == "" && c.Enabled:
		b.judge("control", option.Faults{{Path: "connection", Text: "missing: expected the name of one of connections that is of type nats, or nats_server.enabled: true"}})
	}
	if c.Connection == Embedded && c.Enabled && c.MaxRequest > r.NATSServer.MaxPayload {
		b.judge("control", option.Faults{{Path: "max_request", Text: fmt.Sprintf("%s is more than nats_server.max_payload, %s", c.MaxRequest, r.NATSServer.MaxPayload)}})
	}
	cfg.Control, cfg.ControlConnection = c.Config, c.Connection
}

// controlConnection reads the connection that control is to use.
func (b *builder) controlConnection(name string, r *raw) (*sinks.NATSOptions, bool) {
	conn, ok := r.Connections[name]
	kind, _ := textOf(conn["type"])
	switch {
	case name == "":
		return nil, false
	case name == Embedded:
		if r.Control.Enabled {
			b.wantServer("control", r)
		}
		return nil, false
	case !ok || isAnchor(name):
		b.judge("control", option.Faults{{Path: "connection", Text: fmt.Sprintf("%s is no connection%s", quote(name), hint(name, slices.Collect(maps.Keys(r.Connections))))}})
		return nil, false
	case kind != "nats":
		b.judge("control", option.Faults{{Path: "connection", Text: fmt.Sprintf("connection %s is of type %s: expected nats", name, kind)}})
		return nil, false
	}
	o, _ := sinks.NewNATSOptions().(*sinks.NATSOptions)
	own := maps.Clone(conn)
	delete(own, "type")
	if fs := decode(own, o); len(fs) > 0 {
		return nil, false // told where the connection is
	}
	conf := connectionOf(o)
	b.judge("connections."+name, natsconn.Faults(conf.Validate()).Err())
	return o, true
}

// wantServer adds a fault unless there is a server inside the process.
func (b *builder) wantServer(path string, r *raw) {
	if !r.NATSServer.Enabled {
		b.judge(path, option.Faults{{Path: "connection", Text: Embedded + " is the server inside this process, which is off: expected nats_server.enabled: true"}})
	}
}

// connectionOf takes out of a sink's options what a connection needs.
func connectionOf(o *sinks.NATSOptions) natsconn.Config {
	return natsconn.Config{
		URLs: o.URLs, CredsFile: o.CredsFile, NkeyFile: o.NkeyFile, Token: o.Token, TokenFile: o.TokenFile,
		User: o.User, Password: o.Password, PasswordFile: o.PasswordFile,
		TLS: o.TLS, TLSHandshakeFirst: o.TLSHandshakeFirst, InboxPrefix: o.InboxPrefix, ConnectTimeout: o.ConnectTimeout,
	}
}

// isConnectionKey tells which keys of a NATS sink say how to connect.
func isConnectionKey(key string) bool {
	return slices.Contains([]string{
		"urls", "creds_file", "nkey_file", "token", "token_file", "user", "password", "password_file",
		"tls", "tls_handshake_first", "inbox_prefix",
	}, key)
}

// embed makes a sink use the server inside the process.
func (b *builder) embed(path string, over map[string]any, r *raw, o sinks.Options) (fs option.Faults) {
	n, ok := o.(*sinks.NATSOptions)
	if !ok {
		return nil // connected has refused it
	}
	n.Embedded = true
	b.wantServer(path, r)
	for _, key := range slices.Sorted(maps.Keys(over)) {
		if isConnectionKey(key) {
			fs.Add(key, "has no effect: "+Embedded+" is inside this process")
		}
	}
	return fs
}
