package natsconn_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// operator sets up a server in operator mode and returns a credentials file for
// a user of its one account.
func operator(t *testing.T, user func(*jwt.UserClaims)) (adjust func(*server.Options), creds string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	opKey, accKey, userKey := newPair(t, nkeys.CreateOperator), newPair(t, nkeys.CreateAccount), newPair(t, nkeys.CreateUser)
	op := jwt.NewOperatorClaims(public(t, opKey))
	opJWT, err := op.Encode(opKey)
	must(err)
	op, err = jwt.DecodeOperatorClaims(opJWT)
	must(err)
	accJWT, err := jwt.NewAccountClaims(public(t, accKey)).Encode(opKey)
	must(err)
	claims := jwt.NewUserClaims(public(t, userKey))
	user(claims)
	userJWT, err := claims.Encode(accKey)
	must(err)
	seed, err := userKey.Seed()
	must(err)
	text, err := jwt.FormatUserConfig(userJWT, seed)
	must(err)
	resolver := &server.MemAccResolver{}
	must(resolver.Store(public(t, accKey), accJWT))
	return func(o *server.Options) {
		o.TrustedOperators, o.AccountResolver = []*jwt.OperatorClaims{op}, resolver
	}, file(t, string(text))
}

func newPair(t *testing.T, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	t.Helper()
	pair, err := create()
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func public(t *testing.T, pair nkeys.KeyPair) string {
	t.Helper()
	key, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestCreds(t *testing.T) {
	noLeaks(t)
	adjust, creds := operator(t, func(*jwt.UserClaims) {})
	_, stranger := operator(t, func(*jwt.UserClaims) {})
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.StoreDir, c.Adjust = "", adjust })
	conf := b.Config()
	conf.CredsFile = creds
	echo(t, dial(t, conf, natsconn.Callbacks{}))
	echo(t, dial(t, natsconn.Config{CredsFile: creds}, natsconn.Callbacks{}, b.InProcess()))
	conf.CredsFile = stranger
	wantAuth(t, refused(t, conf), nats.ErrAuthorization)
	conf.CredsFile = ""
	wantAuth(t, refused(t, conf), nats.ErrAuthorization)
}

func TestCredsExpire(t *testing.T) {
	noLeaks(t)
	adjust, creds := operator(t, func(u *jwt.UserClaims) { u.Expires = time.Now().Add(2 * time.Second).Unix() })
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.StoreDir, c.Adjust = "", adjust })
	errs := make(chan error, 100)
	conf := b.Config()
	conf.CredsFile = creds
	nc := dial(t, conf, natsconn.Callbacks{Error: func(err error) {
		select {
		case errs <- err:
		default:
		}
	}})
	if err := wait(t, "expiry", errs); !natsconn.IsAuth(err) || !errors.Is(err, nats.ErrAuthExpired) {
		t.Errorf("got %v", err)
	}
	for range 3 { // several refusals, and still it has not given up
		if err := wait(t, "refusal", errs); !natsconn.IsAuth(err) {
			t.Errorf("got %v", err)
		}
	}
	if nc.IsClosed() {
		t.Error("the connection gave up for good")
	}
}

func TestNkey(t *testing.T) {
	noLeaks(t)
	pair := newPair(t, nkeys.CreateUser)
	seed, _ := pair.Seed()
	otherSeed, _ := newPair(t, nkeys.CreateUser).Seed()
	b := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.NkeyUsers = []*server.NkeyUser{{Nkey: public(t, pair)}}
	})
	conf := b.Config()
	conf.NkeyFile = file(t, string(seed)+"\n")
	echo(t, dial(t, conf, natsconn.Callbacks{}))
	echo(t, dial(t, natsconn.Config{NkeyFile: conf.NkeyFile}, natsconn.Callbacks{}, b.InProcess()))
	conf.NkeyFile = file(t, string(otherSeed))
	wantAuth(t, refused(t, conf), nats.ErrAuthorization)
}

// A server without any nkey sends no nonce to sign.
func TestNkeyUnknownToServer(t *testing.T) {
	noLeaks(t)
	seed, _ := newPair(t, nkeys.CreateUser).Seed()
	conf := natstest.Start(t).Config()
	conf.NkeyFile = file(t, string(seed))
	wantAuth(t, refused(t, conf), nats.ErrNkeysNotSupported)
}

func TestToken(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.Token = option.NewSecret("s3cret ") })
	for name, change := range map[string]func(*natsconn.Config){
		"inline": func(c *natsconn.Config) { c.Token = option.NewSecret("s3cret ") },
		"file":   func(c *natsconn.Config) { c.TokenFile = file(t, "s3cret \n") },
		"crlf":   func(c *natsconn.Config) { c.TokenFile = file(t, "s3cret \r\n") },
		"bare":   func(c *natsconn.Config) { c.TokenFile = file(t, "s3cret ") },
	} {
		t.Run(name, func(t *testing.T) { echo(t, b.Dial(t, change)) })
	}
	for name, change := range map[string]func(*natsconn.Config){
		"none":         func(*natsconn.Config) {},
		"wrong":        func(c *natsconn.Config) { c.Token = option.NewSecret("s3cret") },
		"two newlines": func(c *natsconn.Config) { c.TokenFile = file(t, "s3cret \n\n") },
	} {
		t.Run(name, func(t *testing.T) {
			conf := b.Config()
			change(&conf)
			wantAuth(t, refused(t, conf), nats.ErrAuthorization)
		})
	}
}

func TestUserPassword(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.Users = []*server.User{natstest.User("ann", "right", nil, nil)}
	})
	echo(t, b.Dial(t, func(c *natsconn.Config) { c.User, c.Password = "ann", option.NewSecret("right") }))
	echo(t, b.Dial(t, func(c *natsconn.Config) { c.User, c.PasswordFile = "ann", file(t, "right\n") }))
	conf := b.Config()
	wantAuth(t, refused(t, conf), nats.ErrAuthorization) // a client without a name
	conf.User, conf.Password = "ann", option.NewSecret("wrong")
	err := refused(t, conf)
	wantAuth(t, err, nats.ErrAuthorization)
	if text := err.Error(); !strings.Contains(text, b.ClientURL()) || strings.Contains(text, "wrong") {
		t.Errorf("error %q", text)
	}
	_, err = natsconn.Dial(within(t), natsconn.Config{}, natsconn.Callbacks{}, nil, b.InProcess())
	wantAuth(t, err, nats.ErrAuthorization)
}

// A password that is changed at the server and in its file is picked up by a
// connection that meanwhile was refused, for as long as it takes.
func TestPasswordFileChanges(t *testing.T) {
	noLeaks(t)
	password := "one"
	b := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.Adjust = func(o *server.Options) {
			o.Users = []*server.User{natstest.User("ann", password, nil, nil)}
		}
	})
	refusals, back := make(chan error, 1), make(chan string, 1)
	conf := b.Config()
	conf.User, conf.PasswordFile = "ann", file(t, "one\n")
	nc := dial(t, conf, natsconn.Callbacks{
		ReconnectFailed: func(err error) {
			if natsconn.IsAuth(err) {
				select {
				case refusals <- err:
				default:
				}
			}
		},
		Reconnected: func(url string) { back <- url },
	})
	b.Stop()
	password = "two"
	b.Restart(t)
	wait(t, "refusal", refusals)
	wait(t, "second refusal", refusals)
	wait(t, "third refusal", refusals)
	if err := os.WriteFile(conf.PasswordFile, []byte("two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wait(t, "reconnect", back)
	echo(t, nc)
}

func TestFilesAtFault(t *testing.T) {
	noLeaks(t)
	conf := natstest.Start(t).Config()
	missing := t.TempDir() + "/missing"
	ca := natstest.NewAuthority(t)
	cert, key := ca.Issue(t, "client", time.Hour)
	_, otherKey := ca.Issue(t, "client", time.Hour)
	for _, tt := range []struct {
		want   string
		change func(*natsconn.Config)
	}{
		{"creds_file: open " + missing, func(c *natsconn.Config) { c.CredsFile = missing }},
		{"creds_file: ", func(c *natsconn.Config) { c.CredsFile = file(t, "nothing") }},
		{"nkey_file: open " + missing, func(c *natsconn.Config) { c.NkeyFile = missing }},
		{"nkey_file: ", func(c *natsconn.Config) { c.NkeyFile = file(t, "SUnothing") }},
		{"token_file: open " + missing, func(c *natsconn.Config) { c.TokenFile = missing }},
		{"token_file: ", func(c *natsconn.Config) { c.TokenFile = file(t, "\n") }},
		{"password_file: open " + missing, func(c *natsconn.Config) { c.User, c.PasswordFile = "a", missing }},
		{"password_file: ", func(c *natsconn.Config) { c.User, c.PasswordFile = "a", file(t, strings.Repeat("x", 2<<20)) }},
		{"tls.ca_file: open " + missing, func(c *natsconn.Config) { c.TLS.CAFile = missing }},
		{"tls.ca_file: ", func(c *natsconn.Config) { c.TLS.CAFile = file(t, "nothing") }},
		{"tls.cert_file: open " + missing, func(c *natsconn.Config) { c.TLS.CertFile, c.TLS.KeyFile = missing, key }},
		{"tls.key_file: open " + missing, func(c *natsconn.Config) { c.TLS.CertFile, c.TLS.KeyFile = cert, missing }},
		{"tls.cert_file: " + cert, func(c *natsconn.Config) { c.TLS.CertFile, c.TLS.KeyFile = cert, otherKey }},
	} {
		t.Run(tt.want, func(t *testing.T) {
			c := conf
			tt.change(&c)
			err := refused(t, c)
			if !strings.HasPrefix(err.Error(), tt.want) || !natsconn.IsConfig(err) || natsconn.IsAuth(err) {
				t.Errorf("got %v (config %v, auth %v)", err, natsconn.IsConfig(err), natsconn.IsAuth(err))
			}
		})
	}
}

// wantAuth checks that err is target and of the class of refusals.
func wantAuth(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) || !natsconn.IsAuth(err) || !natsconn.IsConfig(err) {
		t.Errorf("got %v, want %v (auth %v, config %v)", err, target, natsconn.IsAuth(err), natsconn.IsConfig(err))
	}
}
