package natstest_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// A broker that was stopped comes back on its port, with its users and streams.
func TestRestartKeepsEverything(t *testing.T) {
	b := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.Users = []*server.User{natstest.User("ann", "pw", nil, nil)}
	})
	ann := func(c *natsconn.Config) { c.User, c.Password = "ann", option.NewSecret("pw") }
	url := b.ClientURL()
	js, err := b.Dial(t, ann).JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	for want := uint64(1); want <= 3; want++ {
		js, err := b.Dial(t, ann).JetStream()
		if err != nil {
			t.Fatal(err)
		}
		if ack, err := js.Publish("s", nil); err != nil || ack.Sequence != want {
			t.Fatalf("got %+v, %v; want sequence %d", ack, err, want)
		}
		b.Stop()
		b.Restart(t)
		if b.ClientURL() != url {
			t.Fatalf("moved from %s to %s", url, b.ClientURL())
		}
	}
}

func TestUserPermissions(t *testing.T) {
	u := natstest.User("ann", "pw", []string{"a"}, nil)
	if u.Permissions.Publish == nil || u.Permissions.Publish.Allow[0] != "a" || u.Permissions.Subscribe != nil {
		t.Errorf("got %+v", u.Permissions)
	}
}

func TestAuthority(t *testing.T) {
	ca := natstest.NewAuthority(t)
	data, err := os.ReadFile(ca.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		t.Fatal("no certificate in the CA's file")
	}
	for life, ok := range map[time.Duration]bool{time.Hour: true, -time.Minute: false} {
		pair, err := tls.LoadX509KeyPair(ca.Issue(t, "name", life))
		if err != nil {
			t.Fatal(err)
		}
		_, err = pair.Leaf.Verify(x509.VerifyOptions{
			Roots: pool, DNSName: "localhost", KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if (err == nil) != ok {
			t.Errorf("life %v: %v", life, err)
		}
	}
}
