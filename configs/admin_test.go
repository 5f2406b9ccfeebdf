package configs

import (
	"fmt"
	"strings"
	"testing"
)

// TestAdminListenerIsOpen warns of a port that other machines reach, unless both
// the way and the door are closed.
func TestAdminListenerIsOpen(t *testing.T) {
	const open = "admin.listen: other machines may read it"
	tls, user := ", tls: {cert_file: /c, key_file: /k}", ", basic_auth: {user: u, password_file: /p}"
	for _, c := range []struct {
		listen, more string
		warned       bool
	}{
		{`""`, "", false},
		{"127.0.0.1:9479", "", false},
		{"127.9.9.9:9479", "", false},
		{"localhost:9479", "", false},
		{`"[::1]:9479"`, "", false},
		{`"[::ffff:127.0.0.1]:9479"`, "", false},
		{"unix:/run/ctferry/admin.sock", "", false},
		{`":9479"`, "", true},
		{"0.0.0.0:9479", "", true},
		{`"[::]:9479"`, "", true},
		{"10.0.0.1:9479", tls, true},
		{"10.0.0.1:9479", user, true},
		{"edge-1:9479", tls + user, false},
		{"10.0.0.1:9479", ", tls: {cert_file: /c, key_file: /k, ca_file: /a}", false},
	} {
		cfg := withSink(fmt.Sprintf("admin: {listen: %s%s}\n", c.listen, c.more)).load(t)
		if got := strings.Contains(fmt.Sprint(cfg.Warnings), open); got != c.warned {
			t.Errorf("%s%s: warned %v: %v", c.listen, c.more, got, cfg.Warnings)
		}
		if cfg.Admin.On() != (c.listen != `""`) {
			t.Errorf("%s: %+v", c.listen, cfg.Admin)
		}
	}
}

// A password in the environment or on the command line is as bad as any other.
func TestAdminSecret(t *testing.T) {
	g := withSink("admin: {listen: 127.0.0.1:9479, basic_auth: {user: u}}\n")
	g.env = []string{"CTFERRY_ADMIN__BASIC_AUTH__PASSWORD=secret"}
	if w := fmt.Sprint(g.load(t).Warnings); !strings.Contains(w, "CTFERRY_ADMIN__BASIC_AUTH__PASSWORD") || strings.Contains(w, "=secret") {
		t.Errorf("warnings %v", w)
	}
	g.env, g.set = nil, []string{"admin.basic_auth.password=secret"}
	same(t, g.faults(t), "--set admin.basic_auth.password: admin.basic_auth.password: a secret is not taken from the command line, where every user can read it: use basic_auth.password_file")
}

// TestCertificates finds every certificate that something which is on names.
func TestCertificates(t *testing.T) {
	cfg := file(`
connections:
  hub: {type: nats, urls: [tls://a], tls: {ca_file: /hub-ca}}
  idle: {type: nats, urls: [tls://a], tls: {ca_file: /no}}
control: {enabled: true, connection: hub}
nats_server: {enabled: true, tls: {cert_file: /s, key_file: /no}, leafnodes: [{urls: [tls://b], tls: {ca_file: /leaf}}]}
admin: {listen: "127.0.0.1:1", tls: {cert_file: /a, key_file: /no, ca_file: /a-ca}}
sinks:
  k: {type: kafka, brokers: [a:1], topic: t, tls: {cert_file: /k, key_file: /no}}
  bus: {type: nats, connection: hub}
  off: {type: kafka, enabled: false, brokers: [a:1], topic: t, tls: {ca_file: /no}}
`).load(t)
	want := "[{admin.tls.ca_file /a-ca} {admin.tls.cert_file /a} {connections.hub.tls.ca_file /hub-ca} {nats_server.leafnodes[0].tls.ca_file /leaf} " +
		"{nats_server.tls.cert_file /s} {sinks.bus.tls.ca_file /hub-ca} {sinks.k.tls.cert_file /k}]"
	if got := fmt.Sprint(cfg.Certificates()); got != want {
		t.Errorf("%s, expected %s", got, want)
	}
}
