package natsconn_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
)

func getenv(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

func TestContextFile(t *testing.T) {
	home := getenv(map[string]string{"HOME": "/h"})
	xdg := getenv(map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "/x"})
	for _, tt := range []struct {
		name   string
		getenv func(string) string
		want   string
	}{
		{"ngs", home, "/h/.config/nats/context/ngs.json"},
		{"ngs.js", xdg, "/x/nats/context/ngs.js.json"},
		{"/a/b", home, "/a/b"},
		{"./b.json", home, "./b.json"},
		{"b.json", home, "b.json"},
		{"", home, ""},
		{"..", home, ""},
		{"ngs", getenv(nil), ""},
	} {
		got, err := natsconn.ContextFile(tt.name, tt.getenv)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestSelectedContext(t *testing.T) {
	dir := t.TempDir()
	env := getenv(map[string]string{"XDG_CONFIG_HOME": dir})
	if got := natsconn.SelectedContext(env); got != "" {
		t.Errorf("%q is selected in an empty folder", got)
	}
	if err := os.Mkdir(filepath.Join(dir, "nats"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "nats", "context.txt"), []byte("ngs\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := natsconn.SelectedContext(env); got != "ngs" {
		t.Errorf("%q is selected", got)
	}
	if got := natsconn.SelectedContext(getenv(nil)); got != "" {
		t.Errorf("%q is selected without a home", got)
	}
}

// asToolWrites is a context as the nats tool writes it, all of its members.
const asToolWrites = `{
  "description": "the hub",
  "url": "tls://a:4222, b",
  "socks_proxy": "",
  "token": "",
  "user": "",
  "password": "",
  "creds": "~/ngs.creds",
  "nkey": "",
  "cert": "$CERTS/c.pem",
  "key": "file:///k.pem",
  "ca": "/ca.pem",
  "nsc": "",
  "jetstream_domain": "hub",
  "jetstream_api_prefix": "",
  "jetstream_event_prefix": "",
  "inbox_prefix": "_INBOX_ann",
  "user_jwt": "",
  "color_scheme": "",
  "tls_first": true
}`

func TestContextConfig(t *testing.T) {
	env := getenv(map[string]string{"HOME": "/h", "CERTS": "/certs"})
	for name, tt := range map[string]struct {
		text string
		want natsconn.Config
	}{
		"whole": {asToolWrites, natsconn.Config{
			URLs: []string{"tls://a:4222", "nats://b"}, CredsFile: "/h/ngs.creds", InboxPrefix: "_INBOX_ann", TLSHandshakeFirst: true,
			TLS: option.TLS{CertFile: "/certs/c.pem", KeyFile: "/k.pem", CAFile: "/ca.pem"},
		}},
		"empty":         {`{}`, natsconn.Config{URLs: []string{"nats://localhost:4222"}}},
		"unknown":       {`{"url": "a", "windows_cert_store": "x"}`, natsconn.Config{URLs: []string{"nats://a"}}},
		"password":      {`{"user": "ann", "password": "pw"}`, natsconn.Config{URLs: []string{"nats://localhost:4222"}, User: "ann", Password: option.NewSecret("pw")}},
		"in the URL":    {`{"url": "nats://ann:p%40w@a:1,b:2"}`, natsconn.Config{URLs: []string{"nats://a:1", "nats://b:2"}, User: "ann", Password: option.NewSecret("p@w")}},
		"token in URL":  {`{"url": "nats://tok@a:1", "user": "x", "password": "y"}`, natsconn.Config{URLs: []string{"nats://a:1"}, Token: option.NewSecret("tok")}},
		"token":         {`{"token": "tok"}`, natsconn.Config{URLs: []string{"nats://localhost:4222"}, Token: option.NewSecret("tok")}},
		"nkey and inet": {`{"nkey": "/n", "url": "[::1]:4222"}`, natsconn.Config{URLs: []string{"nats://[::1]:4222"}, NkeyFile: "/n"}},
	} {
		t.Run(name, func(t *testing.T) {
			var x natsconn.ClientContext
			if err := natsconn.ReadContext(file(t, tt.text), &x); err != nil {
				t.Fatal(err)
			}
			got, err := x.Config(env)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, tt.want)
			}
			if err := got.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestContextAtFault(t *testing.T) {
	for text, want := range map[string]string{
		``:                                    "no context of the nats tool",
		`[]`:                                  "no context of the nats tool",
		`{"url": 4222}`:                       "no context of the nats tool",
		`{"socks_proxy": "x:1"}`:              "socks_proxy: is not supported here",
		`{"nsc": "nsc://o/a/u"}`:              "nsc: is not supported here",
		`{"user_jwt": "ey"}`:                  "user_jwt: is not supported here",
		`{"creds": "op://vault/item/secret"}`: "creds: op:// is not supported here",
		`{"url": "nats://u:hunter2@%zz"}`:     "url: a server's address cannot be read",
		`{"url": " , "}`:                      "url: no server",
	} {
		var x natsconn.ClientContext
		err := natsconn.ReadContext(file(t, text), &x)
		if err == nil {
			_, err = x.Config(getenv(nil))
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if err := natsconn.ReadContext(filepath.Join(t.TempDir(), "absent.json"), &natsconn.ClientContext{}); !os.IsNotExist(err) {
		t.Errorf("an absent file: %v", err)
	}
}

// A context that was written connects when it is read.
func TestContextConnects(t *testing.T) {
	noLeaks(t)
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.Token = option.NewSecret("tok") })
	text, err := json.Marshal(natsconn.ClientContext{URL: b.ClientURL(), Token: "tok", InboxPrefix: "_MINE"})
	if err != nil {
		t.Fatal(err)
	}
	var x struct {
		natsconn.ClientContext
		More string `json:"description"`
	}
	if err := natsconn.ReadContext(file(t, string(text)), &x); err != nil {
		t.Fatal(err)
	}
	conf, err := x.Config(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	nc := dial(t, conf, natsconn.Callbacks{})
	if inbox := nc.NewInbox(); !strings.HasPrefix(inbox, "_MINE.") {
		t.Errorf("inbox %s", inbox)
	}
	echo(t, nc)
}

func FuzzContext(f *testing.F) {
	f.Add(asToolWrites)
	f.Add(`{"url": "nats://a:b@c,d@e,[::1]:1,ws://x/path"}`)
	path := filepath.Join(f.TempDir(), "c.json")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var x natsconn.ClientContext
		if natsconn.ReadContext(path, &x) != nil {
			return
		}
		conf, err := x.Config(getenv(nil))
		if err != nil {
			return
		}
		for _, u := range conf.URLs {
			if strings.Contains(u, "@") && conf.Validate() == nil {
				t.Errorf("a user stayed in %q", u)
			}
		}
	})
}
