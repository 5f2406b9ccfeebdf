package sinks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
)

func natsTestFile(tb testing.TB, content []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// natsSeed makes a key pair.
func natsSeed(tb testing.TB, make func() (nkeys.KeyPair, error)) (pair nkeys.KeyPair, public string, seed []byte) {
	tb.Helper()
	pair, err := make()
	if err != nil {
		tb.Fatal(err)
	}
	if public, err = pair.PublicKey(); err != nil {
		tb.Fatal(err)
	}
	if seed, err = pair.Seed(); err != nil {
		tb.Fatal(err)
	}
	return pair, public, seed
}

// natsOperated makes a broker whose users have JWTs, and a credentials file.
func natsOperated(tb testing.TB) (*natstest.Broker, string) {
	tb.Helper()
	operator, operatorKey, _ := natsSeed(tb, nkeys.CreateOperator)
	account, accountKey, _ := natsSeed(tb, nkeys.CreateAccount)
	_, userKey, userSeed := natsSeed(tb, nkeys.CreateUser)
	claims := func(c jwt.Claims, by nkeys.KeyPair) string {
		text, err := c.Encode(by)
		if err != nil {
			tb.Fatal(err)
		}
		return text
	}
	operatorClaims := jwt.NewOperatorClaims(operatorKey)
	claims(operatorClaims, operator)
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(accountKey, claims(jwt.NewAccountClaims(accountKey), operator)); err != nil {
		tb.Fatal(err)
	}
	user := jwt.NewUserClaims(userKey)
	user.IssuerAccount = accountKey
	creds, err := jwt.FormatUserConfig(claims(user, account), userSeed)
	if err != nil {
		tb.Fatal(err)
	}
	b := natstest.Start(tb, func(c *natsconn.ServerConfig) {
		c.StoreDir = ""
		c.Adjust = func(o *server.Options) {
			o.TrustedOperators, o.AccountResolver = []*jwt.OperatorClaims{operatorClaims}, resolver
		}
	})
	return b, natsTestFile(tb, creds)
}

// Each kind of authentication, right and wrong.
func TestNATSAuth(t *testing.T) {
	operated, creds := natsOperated(t)
	_, userKey, userSeed := natsSeed(t, nkeys.CreateUser)
	_, _, strange := natsSeed(t, nkeys.CreateUser)
	keyed := natstest.Start(t, func(c *natsconn.ServerConfig) { c.NkeyUsers = []*server.NkeyUser{{Nkey: userKey}} })
	tokened := natstest.Start(t, func(c *natsconn.ServerConfig) { c.Token = option.NewSecret("right") })
	named := natstest.Start(t, func(c *natsconn.ServerConfig) { c.Users = []*server.User{natstest.User("ann", "right", nil, nil)} })
	ca := natstest.NewAuthority(t)
	cert, key := ca.Issue(t, "server", time.Hour)
	first := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.TLS = natsconn.ServerTLS{CertFile: cert, KeyFile: key, CAFile: ca.CAFile, Verify: true, HandshakeFirst: true}
	})
	clientCert, clientKey := ca.Issue(t, "client", time.Hour)
	for _, tt := range []struct {
		name         string
		broker       *natstest.Broker
		right, wrong func(*NATSOptions)
	}{
		{"creds", operated, func(o *NATSOptions) { o.CredsFile = creds }, func(o *NATSOptions) {}},
		{"nkey", keyed, func(o *NATSOptions) { o.NkeyFile = natsTestFile(t, userSeed) }, func(o *NATSOptions) { o.NkeyFile = natsTestFile(t, strange) }},
		{"token", tokened, func(o *NATSOptions) { o.Token = option.NewSecret("right") }, func(o *NATSOptions) { o.Token = option.NewSecret("wrong") }},
		{"token file", tokened, func(o *NATSOptions) { o.TokenFile = natsTestFile(t, []byte("right\n")) }, func(o *NATSOptions) { o.TokenFile = "/nowhere" }},
		{"password", named, func(o *NATSOptions) { o.User, o.Password = "ann", option.NewSecret("right") }, func(o *NATSOptions) { o.User, o.Password = "ann", option.NewSecret("wrong") }},
		{"password file", named, func(o *NATSOptions) { o.User, o.PasswordFile = "ann", natsTestFile(t, []byte("right")) }, func(o *NATSOptions) { o.User, o.PasswordFile = "ann", natsTestFile(t, []byte("wrong")) }},
		{"tls", first, func(o *NATSOptions) {
			o.TLS = option.TLS{CAFile: ca.CAFile, CertFile: clientCert, KeyFile: clientKey, MinVersion: "1.3"}
			o.TLSHandshakeFirst = true
		}, func(o *NATSOptions) { o.TLS, o.TLSHandshakeFirst = option.TLS{CAFile: ca.CAFile}, true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := openTestNATS(t, tt.broker.ClientURL(), tt.right, nil)
			if err := natsWrite(t, n, &Batch{Records: natsRecords(0, 10)}); err != nil {
				t.Fatal(err)
			}
			n = newTestNATS(t, tt.broker.ClientURL(), tt.wrong, nil)
			e := mustFail(t, n.Open(t.Context()), Configuration)
			if strings.Contains(e.Error(), "wrong") || strings.Contains(e.Error(), "right") {
				t.Fatalf("a secret in %v", e)
			}
		})
	}
}

// A password that is changed in its file counts at the next Open, and a broker
// that changed its mind while the sink was away is a fault for a person.
func TestNATSPasswordChanges(t *testing.T) {
	password := "old"
	b := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.Adjust = func(o *server.Options) { o.Users = []*server.User{natstest.User("ann", password, nil, nil)} }
	})
	file := natsTestFile(t, []byte("old"))
	n := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) { o.User, o.PasswordFile = "ann", file }, nil)
	natsFerry(t, n, natsRecords(0, 10))
	b.Stop()
	password = "new"
	b.Restart(t)
	var e *Error
	for deadline := time.Now().Add(natsPatience); e == nil || e.Class != Configuration; time.Sleep(50 * time.Millisecond) {
		err := natsWrite(t, n, &Batch{Records: natsRecords(10, 10)})
		e = mustFail(t, err, mustClass(t, err), "connect")
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", e.Class, e)
		}
	}
	if !e.Reopen {
		t.Fatal("the sink does not want to be opened again")
	}
	if err := os.WriteFile(file, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	natsOpen(t, n)
	natsFerry(t, n, natsRecords(10, 10))
}

func TestNATSUnreachable(t *testing.T) {
	n := newTestNATS(t, "nats://127.0.0.1:1", nil, nil)
	e := mustFail(t, n.Open(t.Context()), Retry, "nats://127.0.0.1:1", "connection refused")
	if !e.Reopen {
		t.Fatal("not to be opened again")
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
