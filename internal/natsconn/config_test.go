package natsconn

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/nats-io/nats-server/v2/server"
)

const someURL = "nats://127.0.0.1:4222"

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		conf Config
		want []string // "field: start of the message", in order
	}{
		{"least", Config{URLs: []string{someURL}}, nil},
		{"no port, IPv6, TLS", Config{URLs: []string{"nats://hub", "tls://[::1]:4222"}}, nil},
		{"websockets", Config{URLs: []string{"ws://hub:80/nats", "wss://hub"}}, nil},
		{"password", Config{URLs: []string{someURL}, User: "a", Password: option.NewSecret("b")}, nil},
		{"password file", Config{URLs: []string{someURL}, User: "a", PasswordFile: "b"}, nil},
		{"certificate beside credentials", Config{URLs: []string{someURL}, CredsFile: "a", TLS: option.TLS{CertFile: "c", KeyFile: "k", MinVersion: "1.3"}}, nil},
		{"inbox", Config{URLs: []string{someURL}, InboxPrefix: "_INBOX.ann"}, nil},
		{"nothing", Config{}, []string{"urls: at least one"}},
		{"schemes", Config{URLs: []string{"hub:4222", "http://hub", "nats://", "://", "127.0.0.1:4222"}}, []string{
			`urls[0]: "hub:4222": expected nats://`, `urls[1]: "http://hub": expected`, `urls[2]: "nats://": the host`,
			`urls[3]: "://": expected`, `urls[4]: "127.0.0.1:4222": expected`,
		}},
		{"ports", Config{URLs: []string{"nats://hub:0", "nats://hub:65536", "nats://hub:x"}}, []string{
			`urls[0]: "nats://hub:0": expected a port`, `urls[1]: "nats://hub:65536": expected a port`, `urls[2]: "nats://hub:x": expected`,
		}},
		{"more in the URL", Config{URLs: []string{"nats://hub/path", "nats://hub?a=b", "nats://hub#x"}}, []string{
			`urls[0]: "nats://hub/path": nothing may follow`, `urls[1]: "nats://hub?a=b": nothing`, `urls[2]: "nats://hub#x": nothing`,
		}},
		{"mixed", Config{URLs: []string{someURL, "ws://hub"}}, []string{"urls: ws and wss cannot be mixed"}},
		{"two kinds", Config{URLs: []string{someURL}, CredsFile: "a", NkeyFile: "b", Token: option.NewSecret("t")}, []string{
			"nkey_file: creds_file is set too", "token: creds_file is set too",
		}},
		{"all kinds", Config{URLs: []string{someURL}, NkeyFile: "b", TokenFile: "t", User: "u", Password: option.NewSecret("p")}, []string{
			"token_file: nkey_file is set too", "user: nkey_file is set too",
		}},
		{"twice a token", Config{URLs: []string{someURL}, Token: option.NewSecret("a"), TokenFile: "b"}, []string{"token_file: token is set too"}},
		{"twice a password", Config{URLs: []string{someURL}, User: "u", Password: option.NewSecret("a"), PasswordFile: "b"}, []string{"password_file: password is set too"}},
		{"no password", Config{URLs: []string{someURL}, User: "u"}, []string{"password: missing beside user"}},
		{"no user", Config{URLs: []string{someURL}, PasswordFile: "b"}, []string{"user: missing beside"}},
		{"no key", Config{URLs: []string{someURL}, TLS: option.TLS{CertFile: "c"}}, []string{"tls.cert_file: cert_file and key_file"}},
		{"no certificate", Config{URLs: []string{someURL}, TLS: option.TLS{KeyFile: "k"}}, []string{"tls.cert_file: cert_file and key_file"}},
		{"old TLS", Config{URLs: []string{someURL}, TLS: option.TLS{MinVersion: "1.1"}}, []string{`tls.min_version: "1.1" is not known: expected`}},
		{"insecure with authority", Config{URLs: []string{someURL}, TLS: option.TLS{InsecureSkipVerify: true, CAFile: "c"}}, []string{"tls.insecure_skip_verify: "}},
		{"times", Config{URLs: []string{someURL}, ConnectTimeout: -1, ReconnectWait: time.Minute, ReconnectMaxWait: time.Second, PingInterval: -1, WriteTimeout: -1, DrainTimeout: -1, MaxPingsOut: -1}, []string{
			"connect_timeout: -1ns", "ping_interval: ", "write_timeout: ", "drain_timeout: ", "max_pings_out: -1", "reconnect_max_wait: 1s: shorter",
		}},
		{"inbox with a wildcard", Config{URLs: []string{someURL}, InboxPrefix: "a.>"}, []string{`inbox_prefix: "a.>"`}},
		{"inbox with a hole", Config{URLs: []string{someURL}, InboxPrefix: "a..b"}, []string{`inbox_prefix: "a..b"`}},
		{"two lines", Config{URLs: []string{someURL}, Name: "a\nb"}, []string{"name: must be one line"}},
	} {
		t.Run(tt.name, func(t *testing.T) { compare(t, tt.conf.Validate(), tt.want) })
	}
}

func TestServerConfigValidate(t *testing.T) {
	users := []*server.User{{Username: "a", Password: "b"}}
	for _, tt := range []struct {
		name string
		conf ServerConfig
		want []string
	}{
		{"zero", ServerConfig{}, nil},
		{"all", ServerConfig{
			Name: "hub", Listen: "[::1]:0", LeafListen: ":7422", StoreDir: "d", Users: users,
			JetStream: JetStream{MaxMemory: 1, MaxStore: 1, Domain: "edge", SyncAlways: true},
			TLS:       ServerTLS{CertFile: "c", KeyFile: "k", CAFile: "a", Verify: true},
			Leafnodes: []Leafnode{{URLs: []string{someURL}}},
		}, nil},
		{"addresses", ServerConfig{Listen: "4222", LeafListen: "host:http"}, []string{
			`listen: "4222": expected host:port`, `leaf_listen: "host:http": expected`,
		}},
		{"port", ServerConfig{Listen: "h:65536"}, []string{`listen: "h:65536": expected`}},
		{"name", ServerConfig{Name: "a b"}, []string{`name: "a b"`}},
		{"sizes", ServerConfig{MaxPayload: -1, MaxConnections: -1}, []string{"max_payload: -1", "max_connections: -1"}},
		{"token and users", ServerConfig{Token: option.NewSecret("t"), Users: users}, []string{"token: cannot stand"}},
		{"jetstream", ServerConfig{StoreDir: "d", JetStream: JetStream{MaxMemory: -1, MaxStore: -2, SyncInterval: -1, Domain: "a b"}}, []string{
			"jetstream.max_memory: -1", "jetstream.max_store: -2", "jetstream.sync_interval: ", `jetstream.domain: "a b"`,
		}},
		{"sync twice", ServerConfig{StoreDir: "d", JetStream: JetStream{SyncInterval: 1, SyncAlways: true}}, []string{"jetstream.sync_interval: sync_always"}},
		{"no store", ServerConfig{JetStream: JetStream{MaxStore: 1}}, []string{"store_dir: missing"}},
		{"tls", ServerConfig{TLS: ServerTLS{KeyFile: "k", Verify: true, MinVersion: "1"}}, []string{
			"tls.cert_file: missing", "tls.ca_file: missing", "tls.min_version: ",
		}},
		{"tls without key", ServerConfig{TLS: ServerTLS{CertFile: "c", CAFile: "a"}}, []string{"tls.key_file: missing", "tls.verify: must"}},
		{"leaf", ServerConfig{Leafnodes: []Leafnode{{URLs: []string{someURL}}, {CredsFile: "c", User: "u"}}}, []string{
			"leafnodes[1].urls: at least", "leafnodes[1].password: missing", "leafnodes[1].user: creds_file is set too",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			compare(t, tt.conf.Validate(), tt.want)
			for i := range tt.want {
				tt.want[i] = "nats_server." + tt.want[i]
			}
			if _, err := NewServer(tt.conf, nil); true {
				compare(t, err, tt.want)
			}
		})
	}
}

// compare checks that err is FieldErrors that start so, in this order.
func compare(t *testing.T, err error, want []string) {
	t.Helper()
	var lines []string
	if err != nil {
		lines = strings.Split(err.Error(), "\n")
		var fe *FieldError
		if !errors.As(err, &fe) {
			t.Errorf("no FieldError: %v", err)
		}
	}
	if len(lines) != len(want) {
		t.Fatalf("got %q\nwant %q", lines, want)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) {
			t.Errorf("got %q, want %q", line, want[i])
		}
	}
}

// A URL with a password in it is refused without repeating the password.
func TestURLSecretIsNotRepeated(t *testing.T) {
	for _, url := range []string{"nats://ann:hunter2@hub", "nats://hunter2@hub:4222", "hunter2@hub", "nats://a:hunter2@hub:x%zz"} {
		err := Config{URLs: []string{url}}.Validate()
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.HasPrefix(err.Error(), "urls[0]: user, password") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestDefaultsAreValid(t *testing.T) {
	c := Config{URLs: []string{someURL}}.withDefaults()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.ConnectTimeout != DefaultConnectTimeout || c.ReconnectMaxWait != DefaultReconnectMaxWait {
		t.Errorf("got %+v", c)
	}
	slow := Config{URLs: []string{someURL}, ReconnectWait: time.Minute}.withDefaults()
	if err := slow.Validate(); err != nil || slow.ReconnectMaxWait != time.Minute {
		t.Errorf("%v, %v", slow.ReconnectMaxWait, err)
	}
}

func TestDelay(t *testing.T) {
	l := &link{conf: Config{ReconnectWait: 100 * time.Millisecond, ReconnectMaxWait: time.Second}}
	for n, most := range map[int]time.Duration{
		1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 4: 800 * time.Millisecond, 5: time.Second,
		16: time.Second, 17: time.Second, 1 << 40: time.Second,
	} {
		for range 100 {
			if d := l.delay(n); d < most/2 || d > most {
				t.Fatalf("round %d: %v, want %v to %v", n, d, most/2, most)
			}
		}
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{someURL, "tls://[::1]:4222", "ws://h/p", "nats://a:b@h", "h:1", "nats://h:99999", "%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		scheme, msg := checkURL(raw)
		if msg == "" && !isScheme(scheme) {
			t.Errorf("%q: accepted with scheme %q", raw, scheme)
		}
		if msg == "" && strings.Contains(raw, "@") {
			t.Errorf("%q: accepted", raw)
		}
	})
}
