package connect

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
)

// place is a host with files of the test.
type place struct {
	dir  string
	host Host
}

// newPlace writes files below a directory: etc/… is configuration, keys/… are a
// server's, xdg/… is the nats tool's. In the texts and in the environment DIR
// stands for the directory.
func newPlace(t *testing.T, files map[string]string, environ ...string) place {
	t.Helper()
	p := place{dir: t.TempDir()}
	for name, text := range files {
		path := filepath.Join(p.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", p.dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.host = Host{Config: filepath.Join(p.dir, "etc/ctferry.yaml"), KeysDir: filepath.Join(p.dir, "keys"), Environ: []string{"XDG_CONFIG_HOME=" + p.dir + "/xdg"}}
	for _, kv := range environ {
		p.host.Environ = append(p.host.Environ, strings.ReplaceAll(kv, "DIR", p.dir))
	}
	return p
}

func hub() string {
	return "connections: {hub: {type: nats, urls: [nats://hub], creds_file: /hub.creds}}\ncontrol: {connection: hub, site: paris}\n"
}

func keys() map[string]string {
	return map[string]string{
		"keys/viewer.json": `{"url": "nats://local:1", "nkey": "DIR/keys/viewer.nk", "inbox_prefix": "_INBOX_viewer", "ctferry_site": "lyon", "ctferry_prefix": "ct"}`,
		"keys/viewer.nk":   "SU",
	}
}

func with(base map[string]string, more ...string) map[string]string {
	files := map[string]string{}
	for k, v := range base {
		files[k] = v
	}
	for i := 0; i < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	return files
}

// found is a target in short.
func found(urls, auth, site string) Target {
	t := Target{Subjects: control.Subjects{Prefix: "ctferry", Site: site}}
	t.Conn.URLs = strings.Split(urls, " ")
	kind, value, _ := strings.Cut(auth, "=")
	switch kind {
	case "creds":
		t.Conn.CredsFile = value
	case "nkey":
		t.Conn.NkeyFile = value
	case "token":
		t.Conn.Token = option.NewSecret(value)
	case "user":
		t.Conn.User, t.Conn.Password = value, option.NewSecret("pw")
	}
	return t
}

func TestFind(t *testing.T) {
	selected := map[string]string{"xdg/nats/context.txt": "mine", "xdg/nats/context/mine.json": `{"url": "mine", "creds": "/mine.creds"}`, "xdg/nats/context/other.json": `{"url": "other", "ctferry_site": "rome"}`}
	local := found("nats://local:1", "nkey=DIR/keys/viewer.nk", "lyon")
	local.Conn.InboxPrefix, local.Subjects.Prefix = "_INBOX_viewer", "ct"
	inParis := local
	inParis.Subjects.Site = "paris"
	config := with(selected, "etc/ctferry.yaml", hub())
	tls := found("nats://env", "", "default")
	tls.Conn.TLS = option.TLS{CAFile: "/ca", CertFile: "/c", KeyFile: "/k"}
	tls.Conn.InboxPrefix = "_MINE"
	for name, tt := range map[string]struct {
		files   map[string]string
		environ []string
		o       Options
		want    Target
		from    string
	}{
		"server":                  {config, nil, Options{Server: "a,tls://b:1"}, found("nats://a tls://b:1", "", "default"), "--server"},
		"server and creds":        {config, []string{"NATS_NKEY=/n"}, Options{Server: "a", Creds: "/c"}, found("nats://a", "creds=/c", "default"), "--server"},
		"server over environment": {nil, []string{"NATS_URL=env", "NATS_CREDS=/env"}, Options{Server: "a", Site: "x"}, found("nats://a", "creds=/env", "x"), "--server"},
		"environment":             {config, []string{"NATS_URL=nats://env", "NATS_NKEY=/n"}, Options{}, found("nats://env", "nkey=/n", "default"), "NATS_URL"},
		"environment's TLS":       {nil, []string{"NATS_URL=env", "NATS_CA=/ca", "NATS_CERT=/c", "NATS_KEY=/k", "NATS_INBOX_PREFIX=_MINE"}, Options{}, tls, "NATS_URL"},
		"environment's token":     {nil, []string{"NATS_URL=env", "NATS_TOKEN=tok"}, Options{}, found("nats://env", "token=tok", "default"), "NATS_URL"},
		"environment's password":  {nil, []string{"NATS_URL=env", "NATS_USER=ann", "NATS_PASSWORD=pw"}, Options{}, found("nats://env", "user=ann", "default"), "NATS_URL"},
		"creds over environment":  {nil, []string{"NATS_URL=env", "NATS_NKEY=/n"}, Options{Creds: "/c"}, found("nats://env", "creds=/c", "default"), "NATS_URL"},
		"context":                 {config, []string{"NATS_URL=env", "NATS_CREDS=/env"}, Options{Context: "mine"}, found("nats://mine", "creds=/mine.creds", "default"), "DIR/xdg/nats/context/mine.json"},
		"context's file":          {keys(), nil, Options{Context: "DIR/keys/viewer.json", Site: "paris"}, inParis, "DIR/keys/viewer.json"},
		"context's site":          {config, nil, Options{Context: "other"}, found("nats://other", "", "rome"), "DIR/xdg/nats/context/other.json"},
		"context and creds":       {config, nil, Options{Context: "mine", Creds: "/c"}, found("nats://mine", "creds=/c", "default"), "DIR/xdg/nats/context/mine.json"},
		"context and server":      {config, nil, Options{Context: "mine", Server: "a"}, found("nats://a", "creds=/mine.creds", "default"), "--server"},
		"environment's context":   {config, []string{"NATS_CONTEXT=other"}, Options{}, found("nats://other", "", "rome"), "DIR/xdg/nats/context/other.json"},
		"URL over its context":    {config, []string{"NATS_CONTEXT=other", "NATS_URL=env"}, Options{}, found("nats://env", "", "default"), "NATS_URL"},
		"config":                  {with(selected, "c.yaml", hub()), []string{"NATS_URL=env"}, Options{Config: "DIR/c.yaml"}, found("nats://hub", "creds=/hub.creds", "paris"), "DIR/c.yaml"},
		"config and its layers":   {with(nil, "c.yaml", hub()), []string{"CTFERRY_CONTROL__SITE=oslo"}, Options{Config: "DIR/c.yaml"}, found("nats://hub", "creds=/hub.creds", "oslo"), "DIR/c.yaml"},
		"config with a server":    {with(keys(), "c.yaml", "nats_server: {enabled: true, credentials: {dir: DIR/keys}}\ncontrol: {enabled: true}\nsinks: {out: {type: stdout}}"), nil, Options{Config: "DIR/c.yaml"}, local, "DIR/keys/viewer.json"},
		"looking: config":         {with(keys(), "etc/ctferry.yaml", hub()), nil, Options{}, found("nats://hub", "creds=/hub.creds", "paris"), "DIR/etc/ctferry.yaml"},
		"looking: config, as him": {config, []string{"NATS_CREDS=/me"}, Options{}, found("nats://hub", "creds=/me", "paris"), "DIR/etc/ctferry.yaml"},
		"looking: keys":           {with(keys(), "etc/ctferry.yaml", "sinks: {out: {type: stdout}}"), nil, Options{}, local, "DIR/keys/viewer.json"},
		"looking: selected":       {selected, nil, Options{}, found("nats://mine", "creds=/mine.creds", "default"), "DIR/xdg/nats/context/mine.json"},
		"looking: keys, then his": {with(keys(), "xdg/nats/context.txt", "mine"), nil, Options{}, local, "DIR/keys/viewer.json"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, tt.files, tt.environ...)
			tt.o.Context, tt.o.Config = strings.ReplaceAll(tt.o.Context, "DIR", p.dir), strings.ReplaceAll(tt.o.Config, "DIR", p.dir)
			got, err := p.host.Find(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.From = strings.ReplaceAll(tt.from, "DIR", p.dir)
			tt.want.Conn.NkeyFile = strings.ReplaceAll(tt.want.Conn.NkeyFile, "DIR", p.dir)
			got.Conn.ConnectTimeout = 0 // which the configuration has a default for
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got\n%+v\nwant\n%+v", *got, tt.want)
			}
		})
	}
}

func TestFindFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		files   map[string]string
		environ []string
		o       Options
		want    string
	}{
		"nothing":            {nil, nil, Options{}, "no NATS server known: neither DIR/etc/ctferry.yaml nor a server inside ctferry run nor a selected context of the nats tool says one: say --server, --nats-context or --config, or set NATS_URL"},
		"both":               {nil, nil, Options{Context: "a", Config: "b"}, "--nats-context and --config cannot stand together"},
		"password on line":   {nil, nil, Options{Server: "nats://u:hunter2@a"}, "--server: a user, a password or a token is not taken from the command line"},
		"server":             {nil, nil, Options{Server: "http://a"}, `--server: urls[0]: "http://a": expected nats://, tls://, ws:// or wss:// with host:port`},
		"no server in it":    {nil, nil, Options{Server: ","}, "--server: no server: expected nats://host:port"},
		"site":               {nil, nil, Options{Server: "a", Site: "a.b"}, `--site: "a.b" cannot be a subject's token`},
		"NATS_URL":           {nil, []string{"NATS_URL=%zz"}, Options{}, "NATS_URL: a server's address cannot be read"},
		"two kinds":          {nil, []string{"NATS_URL=a", "NATS_CREDS=/c", "NATS_NKEY=/n"}, Options{}, "NATS_URL: nkey_file: creds_file is set too"},
		"no such context":    {nil, nil, Options{Context: "nope"}, "--nats-context: context nope: open DIR/xdg/nats/context/nope.json: no such file or directory"},
		"NATS_CONTEXT":       {nil, []string{"NATS_CONTEXT=.."}, Options{}, `NATS_CONTEXT: ".." is no name of a context`},
		"context at fault":   {map[string]string{"x.json": `{"nsc": "nsc://a"}`}, nil, Options{Context: "DIR/x.json"}, "--nats-context: context DIR/x.json: nsc: is not supported here"},
		"selected, and gone": {map[string]string{"xdg/nats/context.txt": "gone"}, nil, Options{}, "no NATS server known"},
		"no such config":     {nil, nil, Options{Config: "DIR/no.yaml"}, "configuration: open DIR/no.yaml: no such file or directory"},
		"config at fault":    {map[string]string{"c.yaml": "control: {sit: a}"}, nil, Options{Config: "DIR/c.yaml"}, "DIR/c.yaml:1:11: control.sit: unknown key; did you mean site?"},
		"config of none":     {map[string]string{"c.yaml": "node: a"}, nil, Options{Config: "DIR/c.yaml"}, "DIR/c.yaml: control.connection: missing"},
		"own config broken":  {with(keys(), "etc/ctferry.yaml", "nod: a"), nil, Options{}, "DIR/etc/ctferry.yaml:1:1: nod: unknown key"},
		"no keys yet": {map[string]string{"c.yaml": "nats_server: {enabled: true, credentials: {dir: DIR/none}}"}, nil, Options{Config: "DIR/c.yaml"},
			"DIR/none: no server inside ctferry run has left its keys here: is ctferry run running, with nats_server.enabled: true?"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, tt.files, tt.environ...)
			tt.o.Context, tt.o.Config = strings.ReplaceAll(tt.o.Context, "DIR", p.dir), strings.ReplaceAll(tt.o.Config, "DIR", p.dir)
			_, err := p.host.Find(tt.o)
			var usage *UsageError
			want := strings.ReplaceAll(tt.want, "DIR", p.dir)
			if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.As(err, &usage) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestDial(t *testing.T) {
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.Token = option.NewSecret("tok") })
	at := strings.TrimPrefix(b.ClientURL(), "nats://")
	absent := filepath.Join(t.TempDir(), "absent")
	for name, tt := range map[string]struct {
		environ []string
		want    string
	}{
		"right":   {[]string{"NATS_URL=tok@" + at}, ""},
		"wrong":   {[]string{"NATS_URL=not@" + at}, "NATS_URL: the server refuses these credentials: nats: cannot connect to nats://" + at + ": authorization violation"},
		"nobody":  {[]string{"NATS_URL=127.0.0.1:1"}, "NATS_URL: nats: cannot connect to nats://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused"},
		"no file": {[]string{"NATS_URL=" + at, "NATS_CREDS=" + absent}, "NATS_URL: creds_file: open " + absent},
	} {
		t.Run(name, func(t *testing.T) {
			target, err := newPlace(t, nil, tt.environ...).host.Find(Options{})
			if err != nil {
				t.Fatal(err)
			}
			nc, err := target.Dial(t.Context())
			if tt.want == "" {
				if err != nil || nc.FlushTimeout(10*time.Second) != nil {
					t.Fatal(err)
				}
				nc.Close()
			} else if err == nil || !strings.HasPrefix(strings.ToLower(err.Error()), strings.ToLower(tt.want)) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestUser(t *testing.T) {
	t.Setenv("SUDO_USER", "ann")
	if name, _, _ := strings.Cut(User(), "@"); name != "ann" {
		t.Error(User())
	}
	t.Setenv("SUDO_USER", "")
	if name, host, ok := strings.Cut(User(), "@"); !ok || name == "" || host == "" {
		t.Error(User())
	}
}
