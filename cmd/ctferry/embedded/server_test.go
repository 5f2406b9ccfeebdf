package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
)

const patience = 20 * time.Second

// settings are a server's on a free port, in a directory of the test.
func settings(t *testing.T) configs.NATSServer {
	dir := t.TempDir()
	return configs.NATSServer{
		Enabled:     true,
		Server:      natsconn.ServerConfig{Listen: "127.0.0.1:0", StoreDir: filepath.Join(dir, "nats")},
		Credentials: natsconn.Credentials{Dir: filepath.Join(dir, "credentials")},
	}
}

func subjects() control.Subjects { return control.Subjects{Prefix: "ctferry", Site: "paris"} }

// start runs a server until the test ends.
func start(t *testing.T, c configs.NATSServer) *Server {
	t.Helper()
	s, err := New(c, "edge.1", subjects(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// as connects over TCP with what lies in the directory for a role.
func as(t *testing.T, c configs.NATSServer, role string, cb natsconn.Callbacks) *nats.Conn {
	t.Helper()
	var x Context
	if err := natsconn.ReadContext(filepath.Join(c.Credentials.Dir, contextName(role)), &x); err != nil {
		t.Fatal(err)
	}
	conf, err := x.Config(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := natsconn.Dial(within(t), conf, cb, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// self connects as the process does.
func self(t *testing.T, s *Server) *nats.Conn {
	t.Helper()
	nc, err := natsconn.Dial(within(t), s.Connection(), natsconn.Callbacks{}, nil, s.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func TestNobodyWithoutAKey(t *testing.T) {
	s := start(t, settings(t))
	for name, opts := range map[string][]nats.Option{"TCP": nil, "in process": {s.InProcess()}} {
		_, err := natsconn.Dial(within(t), natsconn.Config{URLs: []string{s.ClientURL()}}, natsconn.Callbacks{}, nil, opts...)
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// may reports whether a role may publish to a subject, by the server's word.
func may(t *testing.T, nc *nats.Conn, denied <-chan *natsconn.PermissionError, do func() error) bool {
	t.Helper()
	if err := errors.Join(do(), nc.FlushTimeout(patience)); err != nil {
		t.Fatal(err)
	}
	select { // the server's word comes before the flush's answer, the callback may come after
	case <-denied:
		return false
	case <-time.After(30 * time.Millisecond):
		return true
	}
}

// Each role may do what it is for, on any node and table of its site, and
// nothing else.
func TestRolesAtTheServer(t *testing.T) {
	c := settings(t)
	start(t, c)
	node, fleet := "ctferry.v1.paris.node.edge-1.conntrack.", "ctferry.v1.paris.fleet.expect."
	all := map[string]string{ // who may publish: v, o, a
		"$SRV.PING.ctferry": "voa", "ctferry.v1.paris.node.edge-1.stream.abc": "voa", "ctferry.v1.paris.node.edge-1.agent.stats": "voa",
		"ctferry.v1.lyon.node.edge-1.conntrack.list": "", "ctferry.v1.paris.evt.edge-1.conntrack.new": "", "ctferry.v1.paris.audit.edge-1": "",
		"ctferry.v1.paris.node.edge-1.agent.who": "a", "$JS.API.STREAM.PURGE.CTFERRY": "a", "_INBOX.viewer.x": "", "any": "", "$SRV.PING": "a",
	}
	for _, v := range control.Verbs() {
		who := "voa"
		switch {
		case v == control.VerbDelete:
			who = "oa"
		case v.Writes():
			who = "a"
		}
		all[node+string(v)], all[fleet+string(v)] = who, strings.ReplaceAll(who, "oa", "a")
		if !v.Writes() {
			all[fleet+string(v)] = who
		}
	}
	reads := map[string]string{
		"ctferry.v1.paris.evt.>": "a", "ctferry.v1.paris.audit.>": "a", "_INBOX.>": "", ">": "", "ctferry.v1.paris.node.>": "",
		"_INBOX.viewer.x": "v", "_INBOX.operator.x": "o", "_INBOX.admin.x": "a", "_INBOX.*.x": "", "$JS.>": "", "$SYS.>": "",
	}
	for _, role := range Roles() {
		denied := make(chan *natsconn.PermissionError, 16)
		nc := as(t, c, role, natsconn.Callbacks{PermissionDenied: func(e *natsconn.PermissionError) { denied <- e }})
		for subject, who := range all {
			got := may(t, nc, denied, func() error { return nc.Publish(subject, nil) })
			if want := strings.Contains(who, role[:1]); got != want {
				t.Errorf("%s may publish %s: %v", role, subject, got)
			}
		}
		for subject, who := range reads {
			got := may(t, nc, denied, func() error { _, err := nc.SubscribeSync(subject); return err })
			if want := strings.Contains(who, role[:1]); got != want {
				t.Errorf("%s may read %s: %v", role, subject, got)
			}
		}
	}
}

// The process itself may do everything, JetStream too; who asks it gets answers.
func TestProcessServesRoles(t *testing.T) {
	c := settings(t)
	s := start(t, c)
	nc := self(t, s)
	if _, err := nc.Subscribe("ctferry.v1.paris.node.edge-1.conntrack.list", func(m *nats.Msg) {
		for range 3 { // more than allow_responses would let through
			_ = m.Respond([]byte("row"))
		}
	}); err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
	viewer := as(t, c, Viewer, natsconn.Callbacks{})
	inbox := viewer.NewInbox()
	sub, err := viewer.SubscribeSync(inbox)
	if err == nil {
		err = viewer.PublishRequest("ctferry.v1.paris.node.edge-1.conntrack.list", inbox, nil)
	}
	for range 3 {
		if err == nil {
			_, err = sub.NextMsg(patience)
		}
	}
	if err != nil || !strings.HasPrefix(inbox, "_INBOX.viewer.") {
		t.Errorf("inbox %s: %v", inbox, err)
	}
}

// A restart, of the process too, keeps keys and streams; the port is the one
// configured or another, and the contexts tell it.
func TestRestartKeepsKeysAndStreams(t *testing.T) {
	c := settings(t)
	for want := uint64(1); want <= 3; want++ {
		s := start(t, c)
		js, err := jetstream.New(as(t, c, Admin, natsconn.Callbacks{}))
		if err != nil {
			t.Fatal(err)
		}
		if want == 1 {
			if _, err := js.CreateStream(within(t), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
				t.Fatal(err)
			}
		}
		mine, err := jetstream.New(self(t, s))
		if err != nil {
			t.Fatal(err)
		}
		if ack, err := mine.Publish(within(t), "s", []byte("x")); err != nil || ack.Sequence != want {
			t.Fatalf("%+v, %v: want sequence %d", ack, err, want)
		}
		key, err := os.ReadFile(c.Credentials.SeedFile(Admin))
		if err != nil {
			t.Fatal(err)
		}
		s.Shutdown()
		again, err := New(c, "edge.1", subjects(), nil)
		if err != nil {
			t.Fatal(err)
		}
		again.Shutdown()
		if now, _ := os.ReadFile(c.Credentials.SeedFile(Admin)); string(now) != string(key) {
			t.Error("another key")
		}
	}
}

// Clients find a server with TLS, whatever vouches for its certificate.
func TestClientsTrustTheCertificate(t *testing.T) {
	authority := natstest.NewAuthority(t)
	for name, change := range map[string]func(*natsconn.ServerTLS){
		"pinned":          func(*natsconn.ServerTLS) {},
		"handshake first": func(tls *natsconn.ServerTLS) { tls.HandshakeFirst = true },
	} {
		t.Run(name, func(t *testing.T) {
			c := settings(t)
			c.Server.TLS.CertFile, c.Server.TLS.KeyFile = authority.Issue(t, "server", time.Hour)
			change(&c.Server.TLS)
			s := start(t, c)
			nc := as(t, c, Viewer, natsconn.Callbacks{})
			if state, err := nc.TLSConnectionState(); err != nil || state.PeerCertificates[0].Subject.CommonName != "server" {
				t.Errorf("%+v, %v", state.PeerCertificates, err)
			}
			if err := self(t, s).Flush(); err != nil {
				t.Error(err)
			}
			// A renewed certificate counts at once, and for clients after a reload.
			cert, key := authority.Issue(t, "renewed", time.Hour)
			if err := errors.Join(os.Rename(cert, c.Server.TLS.CertFile), os.Rename(key, c.Server.TLS.KeyFile), s.Reload()); err != nil {
				t.Fatal(err)
			}
			if state, err := as(t, c, Viewer, natsconn.Callbacks{}).TLSConnectionState(); err != nil || state.PeerCertificates[0].Subject.CommonName != "renewed" {
				t.Errorf("%+v, %v", state.PeerCertificates, err)
			}
		})
	}
}

// With verify a client needs a certificate beside its key; the authorities that
// vouch for clients are trusted for the server too, if they vouch for it.
func TestClientsNeedCertificates(t *testing.T) {
	authority := natstest.NewAuthority(t)
	c := settings(t)
	c.Server.TLS.CertFile, c.Server.TLS.KeyFile = authority.Issue(t, "server", time.Hour)
	c.Server.TLS.CAFile, c.Server.TLS.Verify = authority.CAFile, true
	s := start(t, c)
	if err := self(t, s).Flush(); err != nil {
		t.Errorf("the process itself: %v", err)
	}
	var x Context
	if err := natsconn.ReadContext(filepath.Join(c.Credentials.Dir, contextName(Viewer)), &x); err != nil {
		t.Fatal(err)
	}
	conf, err := x.Config(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := natsconn.Dial(within(t), conf, natsconn.Callbacks{}, nil); !natsconn.IsAuth(err) {
		t.Errorf("without a certificate: %v", err)
	}
	conf.TLS.CertFile, conf.TLS.KeyFile = authority.Issue(t, "ann", time.Hour)
	nc, err := natsconn.Dial(within(t), conf, natsconn.Callbacks{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	own, _ := os.ReadFile(authority.CAFile)
	if copied, err := os.ReadFile(filepath.Join(c.Credentials.Dir, caName)); err != nil || string(copied) != string(own) {
		t.Errorf("clients trust %q, %v", copied, err)
	}
}

// A certificate for a name is looked for under that name.
func TestClientsUseTheCertificatesName(t *testing.T) {
	authority := natstest.NewAuthority(t)
	c := settings(t)
	c.Server.Listen = "127.0.0.2:0" // which the certificate has not
	c.Server.TLS.CertFile, c.Server.TLS.KeyFile = authority.Issue(t, "server", time.Hour)
	s := start(t, c)
	var x Context
	err := natsconn.ReadContext(filepath.Join(c.Credentials.Dir, contextName(Viewer)), &x)
	_, port, _ := strings.Cut(s.ClientURL(), "127.0.0.2:")
	if err != nil || x.URL != "tls://localhost:"+port {
		t.Errorf("%+v, %v; the server is at %s", x, err, s.ClientURL())
	}
}

// A server that does not listen leaves nothing for clients.
func TestServerForThisProcessOnly(t *testing.T) {
	c := settings(t)
	c.Server.Listen = ""
	s := start(t, c)
	if err := self(t, s).Flush(); err != nil {
		t.Error(err)
	}
	if _, err := Find(c.Credentials.Dir); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

func TestServerAtFault(t *testing.T) {
	c := settings(t)
	c.Server.TLS.CertFile, c.Server.TLS.KeyFile = "/absent", "/absent"
	s, err := New(c, "n", subjects(), nil)
	if err == nil {
		err = s.Start(within(t))
	}
	if err == nil || !strings.HasPrefix(err.Error(), "nats_server.tls.cert_file: ") {
		t.Error(err)
	}
	c = settings(t)
	c.Credentials.Group = "no-such-group"
	if _, err := New(c, "n", subjects(), nil); err == nil || !strings.HasPrefix(err.Error(), "nats_server.credentials.group: ") {
		t.Error(err)
	}
}
