package configs

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/sinks"
)

const withPassword = `connections:
  k1:
    type: kafka
    brokers: [a:1]
    sasl: {mechanism: plain, user: u, password: hunter2}
sinks:
  a: {type: kafka, connection: k1, topic: t}
  b:
    type: kafka
    connection: k1
    topic: t
    sasl: {password: hunter3}
`

// Every secret has a sibling that names a file.
func TestSecretsHaveSiblings(t *testing.T) {
	for kind, options := range sinks.Kinds() {
		siblings(t, kind, reflect.TypeOf(options()))
	}
}

func siblings(t *testing.T, path string, typ reflect.Type) {
	keys := keysOf(typ)
	for key, k := range keys {
		if _, isSecret := reflect.Zero(k).Interface().(revealer); isSecret {
			if file, ok := keys[key+"_file"]; !ok || file.Kind() != reflect.String {
				t.Errorf("%s.%s has no sibling %s_file", path, key, key)
			}
		}
		siblings(t, path+"."+key, k)
	}
}

func TestSecretReadableByEverybody(t *testing.T) {
	in, dir := file(withPassword).input(t)
	cfg, err := Load(in)
	if err != nil || len(cfg.Warnings) != 0 {
		t.Fatalf("%v, %v", err, cfg.Warnings)
	}
	if err := os.Chmod(in.File, 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err = Load(in)
	if err != nil {
		t.Fatal(err)
	}
	same(t, strings.ReplaceAll(cfg.Warnings.Error(), dir+"/", ""), `
a.yaml:5:39: connections.k1.sasl.password: a secret in a file that everybody on this host may read: use connections.k1.sasl.password_file, or chmod o-r
a.yaml:12:12: sinks.b.sasl.password: a secret in a file that everybody on this host may read: use sinks.b.sasl.password_file, or chmod o-r`)
}

func TestSecretInEnvironment(t *testing.T) {
	g := file("sinks: {k: {type: kafka, brokers: [a:1], topic: t, sasl: {mechanism: plain, user: u}}}\n")
	g.env = []string{"CTFERRY_SINKS__K__SASL__PASSWORD=0123"}
	cfg := g.load(t)
	if got := kafkaOf(cfg).SASL.Password.Reveal(); got != "0123" {
		t.Error(got)
	}
	same(t, cfg.Warnings.Error(), "environment CTFERRY_SINKS__K__SASL__PASSWORD: sinks.k.sasl.password: a secret in the environment is inherited by child processes and shown in /proc: better use sinks.k.sasl.password_file")
}

func TestSecretOnCommandLine(t *testing.T) {
	for _, c := range []struct {
		name string
		set  []string
		want string
	}{
		{"key", []string{"sinks.b.sasl.password=hunter4"}, `--set sinks.b.sasl.password: sinks.b.sasl.password: a secret is not taken from the command line, where every user can read it: use sasl.password_file`},
		{"section", []string{"sinks.b.sasl={password: hunter4}"}, `--set sinks.b.sasl: sinks.b.sasl.password: a secret is not taken from the command line, where every user can read it: use sasl.password_file`},
		{"sink", []string{"sinks.b={sasl: {password: hunter4}}"}, `--set sinks.b: sinks.b.sasl.password: a secret is not taken from the command line, where every user can read it: use sasl.password_file`},
		{"connection", []string{"connections.k1.sasl.password=hunter4"}, `--set connections.k1.sasl.password: connections.k1.sasl.password: a secret is not taken from the command line, where every user can read it: use sasl.password_file`},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := file(withPassword)
			g.set = c.set
			got := g.faults(t)
			same(t, got, c.want)
			if strings.Contains(got, "hunter") {
				t.Error("the secret is shown")
			}
		})
	}
}

// A file named on the command line is no secret.
func TestSecretFileOnCommandLine(t *testing.T) {
	g := file("sinks: {k: {type: kafka, brokers: [a:1], topic: t, sasl: {mechanism: plain, user: u}}}\n")
	g.set = []string{"sinks.k.sasl.password_file=/run/credentials/p"}
	if got := kafkaOf(g.load(t)).SASL.PasswordFile; got != "/run/credentials/p" {
		t.Error(got)
	}
}

func TestPrintedSecretIsRefused(t *testing.T) {
	text, err := file(withPassword).load(t).Effective()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter") || strings.Count(string(text), "***") != 2 {
		t.Fatalf("%s", text)
	}
	got := file(string(text)).faults(t)
	if strings.Count(got, "sasl.password: *** stands for a secret that was not printed") != 2 {
		t.Error(got)
	}
}

// TestSecretsAreNotRepeated has a secret where people put it by mistake: whatever is
// said of that, the secret is not.
func TestSecretsAreNotRepeated(t *testing.T) {
	const kafka = "sinks: {k: {type: kafka, brokers: [a:1], topic: t, "
	for _, text := range []string{
		"sinks: {n: {type: nats, subject: a, urls: nats://u:hunter2@h}}\n",
		"sinks: {n: {type: nats, subject: a, urls: nats://u:a@hunter2@h}}\n",
		"sinks: {n: {type: nats, subject: a, urls: [nats://u:hunter2@h]}}\n",
		kafka + "sasl: u:hunter2}}\n",
		kafka + "sasl: {mechanism: plain, user: u, password: *hunter2 }}}\n",
		kafka + "sasl: {mechanism: plain, user: u, password: !hunter2 }}}\n",
		kafka + "sasl: {mechanism: plain, user: u, password: [hunter2]}}}\n",
		"sinks: {out: {type: stdout}}\nadmin: {basic_auth: u:hunter2}\n",
		"sinks: {out: {type: stdout}}\nadmin: {basic_auth: {user: u:hunter2, password_file: /p}}\n",
		"sinks: {out: {type: stdout}}\nnats_server: {leafnodes: [nats://u:hunter2@h]}\n",
		"sinks: {out: {type: stdout}}\nnats_server: {leafnodes: [{urls: nats://u:hunter2@h}]}\n",
		kafka + "headers: \"authorization: hunter2\"}}\n",
		"sinks: {n: {type: nats, subject: a, urls: [nats://h], headers: authorization=hunter2}}\n",
		kafka + "headers: {authorization: [hunter2]}}}\n",
		kafka + "headers: {authorization: hunter2}, acks: none}}\n",
		"sinks: {n: {type: nats, subject: a, urls: [nats://h], headers: {authorization: \"hunter2\\n\"}}}\n",
		"connections:\n  hub:\n    type: kafka\n    headers: hunter2\nsinks: {out: {type: stdout}}\n",
		"connections:\n  hub:\n    type: kafka\n    sasl:\n      password:hunter2\nsinks: {out: {type: stdout}}\n",
	} {
		if got := file(text).faults(t); strings.Contains(got, "hunter2") {
			t.Errorf("%s", got)
		}
	}
}

const withCredentials = `connections:
  k1: {type: kafka, brokers: [a:1], headers: {X-Api-Key: hunter1, plain: shown}}
sinks:
  a: {type: kafka, connection: k1, topic: t}
  b:
    type: nats
    urls: [nats://h]
    subject: s
    headers: {authorization: Bearer hunter2, Set-Cookie: hunter3, session_token: hunter4, Proxy-Password: hunter5, content: shown, secret: ""}
`

// TestHeadersHoldSecrets has credentials in headers treated as other secrets are.
func TestHeadersHoldSecrets(t *testing.T) {
	cfg := file(withCredentials).load(t)
	text, err := cfg.Effective()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(text); strings.Contains(got, "hunter") || strings.Count(got, "***") != 5 || strings.Count(got, ": shown") != 2 {
		t.Errorf("%s", got)
	}
	got := file(string(text)).faults(t)
	if strings.Count(got, ": *** stands for a secret that was not printed: give the secret itself\n") != 4 || !strings.Contains(got, "sinks.a.headers.X-Api-Key: ***") {
		t.Error(got)
	}
	if kafkaOf(cfg).Headers["X-Api-Key"] != "hunter1" {
		t.Error("the sink has no key")
	}

	g := file(withCredentials)
	g.set = []string{"sinks.b.headers.authorization=hunter6"}
	same(t, g.faults(t), "--set sinks.b.headers.authorization: sinks.b.headers.authorization: a secret is not taken from the command line, where every user can read it: use the configuration's file")
	in, dir := file(withCredentials).input(t)
	if err := os.Chmod(in.File, 0o644); err != nil {
		t.Fatal(err)
	}
	if cfg, err = Load(in); err != nil {
		t.Fatal(err)
	}
	warnings := strings.ReplaceAll(cfg.Warnings.Error(), dir+"/", "")
	if strings.Contains(warnings, "hunter") || strings.Count(warnings, ": a secret in a file that everybody on this host may read: chmod o-r") != 5 ||
		!strings.HasPrefix(warnings, "a.yaml:2:47: connections.k1.headers.X-Api-Key: ") {
		t.Error(warnings)
	}
}
