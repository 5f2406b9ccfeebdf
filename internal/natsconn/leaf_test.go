package natsconn_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// What is published at a leaf arrives at its hub, for every way to say who the
// leaf is.
func TestLeafnode(t *testing.T) {
	noLeaks(t)
	pair := newPair(t, nkeys.CreateUser)
	seed, _ := pair.Seed()
	ca := natstest.NewAuthority(t)
	cert, key := ca.Issue(t, "hub", time.Hour)
	adjust, creds := operator(t, func(*jwt.UserClaims) {})
	users := func(c *natsconn.ServerConfig) {
		c.Users = []*server.User{natstest.User("edge", "pw", nil, nil)}
		c.NkeyUsers = []*server.NkeyUser{{Nkey: public(t, pair)}}
	}
	secure := func(c *natsconn.ServerConfig) {
		users(c)
		c.Adjust = func(o *server.Options) {
			conf, err := server.GenTLSConfig(&server.TLSConfigOpts{CertFile: cert, KeyFile: key, CaFile: ca.CAFile})
			if err != nil {
				t.Error(err)
			}
			o.LeafNode.TLSConfig = conf
		}
	}
	byOperator := func(c *natsconn.ServerConfig) { c.StoreDir, c.Adjust = "", adjust }
	for _, tt := range []struct {
		name string
		hub  func(*natsconn.ServerConfig)
		leaf natsconn.Leafnode
		as   natsconn.Config // the client of the hub
	}{
		{"password", users, natsconn.Leafnode{User: "edge", Password: option.NewSecret("pw")}, natsconn.Config{User: "edge", Password: option.NewSecret("pw")}},
		{"password file", users, natsconn.Leafnode{User: "edge", PasswordFile: file(t, "pw\n")}, natsconn.Config{User: "edge", Password: option.NewSecret("pw")}},
		{"nkey", users, natsconn.Leafnode{NkeyFile: file(t, string(seed))}, natsconn.Config{User: "edge", Password: option.NewSecret("pw")}},
		{"tls", secure, natsconn.Leafnode{User: "edge", Password: option.NewSecret("pw"), TLS: option.TLS{CAFile: ca.CAFile}}, natsconn.Config{User: "edge", Password: option.NewSecret("pw")}},
		{"creds", byOperator, natsconn.Leafnode{CredsFile: creds}, natsconn.Config{CredsFile: creds}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := freeAddress(t)
			hub := natstest.Start(t, tt.hub, func(c *natsconn.ServerConfig) { c.LeafListen = address })
			tt.leaf.URLs = []string{"nats://" + address}
			edge := newServer(t, natsconn.ServerConfig{Leafnodes: []natsconn.Leafnode{tt.leaf}})
			if err := edge.Start(within(t)); err != nil {
				t.Fatal(err)
			}
			crosses(t, dialLike(t, hub, tt.as), edge)
		})
	}
}

// dialLike connects to a broker as someone.
func dialLike(t *testing.T, b *natstest.Broker, as natsconn.Config) (recv func() bool) {
	t.Helper()
	as.URLs = []string{b.ClientURL()}
	nc := dial(t, as, natsconn.Callbacks{})
	sub, err := nc.SubscribeSync("from.edge")
	if err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
	return func() bool {
		_, err := sub.NextMsg(100 * time.Millisecond)
		return err == nil
	}
}

// crosses publishes at the edge until the hub has seen it; the leaf connects in
// the background.
func crosses(t *testing.T, seen func() bool, edge *natsconn.Server) {
	t.Helper()
	nc := dial(t, natsconn.Config{}, natsconn.Callbacks{}, edge.InProcess())
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if err := nc.Publish("from.edge", nil); err != nil {
			t.Fatal(err)
		}
		if seen() {
			return
		}
	}
	t.Error("nothing crossed to the hub")
}

func TestLeafnodeFilesAtFault(t *testing.T) {
	noLeaks(t)
	urls := []string{"tls://127.0.0.1"}
	for want, leaf := range map[string]natsconn.Leafnode{
		"creds_file: ":    {URLs: urls, CredsFile: file(t, "")},
		"nkey_file: ":     {URLs: urls, NkeyFile: file(t, "")},
		"password_file: ": {URLs: urls, User: "a", PasswordFile: file(t, "")},
		"tls.ca_file: ":   {URLs: urls, TLS: option.TLS{CAFile: file(t, "")}},
	} {
		good := natsconn.Leafnode{URLs: urls}
		s := newServer(t, natsconn.ServerConfig{Leafnodes: []natsconn.Leafnode{good, leaf}})
		err := s.Start(within(t))
		if err == nil || !strings.HasPrefix(err.Error(), "nats_server.leafnodes[1]."+want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// An account that is not there is found at Start.
func TestLeafnodeUnknownAccount(t *testing.T) {
	noLeaks(t)
	s := newServer(t, natsconn.ServerConfig{
		StoreDir:  t.TempDir(),
		Leafnodes: []natsconn.Leafnode{{URLs: []string{"nats://127.0.0.1"}, Account: "NONE"}},
	})
	for range 2 { // the second would find the store still locked
		err := s.Start(within(t))
		if err == nil || !strings.HasPrefix(err.Error(), "nats_server: ") || !strings.Contains(err.Error(), "NONE") {
			t.Errorf("got %v", err)
		}
	}
}
