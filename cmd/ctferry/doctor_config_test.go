package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/testnet"
)

// doctorStage is a sound host with brokers that want names and rights.
type doctorStage struct {
	ns     *testnet.Namespace
	hub    *natstest.Broker // users all, some, each with password pw
	admin  *nats.Conn
	js     jetstream.JetStream
	kafka  string // users writer and reader, each with password pw; topic flows
	issuer *natstest.Authority
}

func newDoctorStage(t *testing.T) *doctorStage {
	t.Helper()
	s := &doctorStage{ns: soundNamespace(t), issuer: natstest.NewAuthority(t)}
	s.hub = natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.StoreDir = t.TempDir()
		c.Users = append(c.Users, natstest.User("all", "pw", nil, nil),
			natstest.User("some", "pw", []string{"$JS.API.STREAM.INFO.*", "good.>", "_INBOX.>"}, []string{"_INBOX.>"}))
	})
	s.admin = s.hub.Dial(t, func(c *natsconn.Config) { c.User, c.PasswordFile = "all", writeFile(t, t.TempDir(), "pw", "pw") })
	var err error
	if s.js, err = jetstream.New(s.admin); err != nil {
		t.Fatal(err)
	}
	may := func(op kmsg.ACLOperation) kfake.ACL {
		return kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: "flows", Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true}
	}
	brokers, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "flows"), kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.Superuser("PLAIN", "writer", "pw"),
		kfake.User("PLAIN", "reader", "pw", may(kmsg.ACLOperationRead), may(kmsg.ACLOperationDescribe)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(brokers.Close)
	s.kafka = brokers.ListenAddrs()[0]
	return s
}

// addStream makes a stream.
func (s *doctorStage) addStream(t *testing.T, name string, subjects ...string) {
	t.Helper()
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: subjects}); err != nil {
		t.Fatal(err)
	}
}

// kafkaSink is a sink's configuration.
func (s *doctorStage) kafkaSink(user, topic string) string {
	return fmt.Sprintf("sinks: {siem: {type: kafka, brokers: [%s], topic: %s, sasl: {mechanism: plain, user: %s, password: pw}}}\n", s.kafka, topic, user)
}

// natsSink is a sink's configuration.
func (s *doctorStage) natsSink(user, subject, more string) string {
	return fmt.Sprintf("sinks: {bus: {type: nats, urls: [%s], user: %s, password: pw, subject: %q%s}}\n", s.hub.Config().URLs[0], user, subject, more)
}

// planted is a fault of a configuration's surroundings.
type planted struct {
	name  string
	want  string // what is found; "" is that nothing is wrong
	found string // in the text
	fix   string // in the command
	plant func(*testing.T, *doctorStage) (config string, mend func(fix string))
}

// TestDoctorFindsFaultsOfTheConfiguration plants one fault at a time; once it is
// mended, by the command that is given where it can be run here, there is silence.
func TestDoctorFindsFaultsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	s := newDoctorStage(t)
	for _, tt := range slices.Concat(plantedKafka(), plantedNATS(), plantedDisks(), plantedServer()) {
		t.Run(tt.name, func(t *testing.T) {
			config, mend := tt.plant(t, s)
			cfg := writeFile(t, t.TempDir(), "c.yaml", "node: edge-1\n"+config)
			x := examineHost(t, s.ns, "--json", "-c", cfg)
			x.want(t, tt.want)
			f := x.finding(t, strings.Fields(tt.want)[1])
			if !strings.Contains(f.Found, tt.found) || f.Fix == "" && f.ID != "configuration" || !strings.Contains(f.Fix, tt.fix) {
				t.Errorf("%+v", f)
			}
			if mend == nil {
				return
			}
			mend(f.Fix)
			x = examineHost(t, s.ns, "--json", "-c", cfg)
			x.want(t)
		})
	}
}

func plantedKafka() []planted {
	return []planted{
		{"kafka: no topic", "fail broker", "topic absent: does not exist", "--create --topic absent", func(_ *testing.T, s *doctorStage) (string, func(string)) {
			return s.kafkaSink("writer", "absent"), nil
		}},
		{"kafka: not authorised", "fail broker", "topic flows: not authorised", "--allow-principal User:reader --operation Write", func(_ *testing.T, s *doctorStage) (string, func(string)) {
			return s.kafkaSink("reader", "flows"), nil
		}},
		{"kafka: a stranger", "fail broker", "broker 127.0.0.1:", "kafka-broker-api-versions.sh", func(_ *testing.T, s *doctorStage) (string, func(string)) {
			return s.kafkaSink("stranger", "flows"), nil
		}},
		{"kafka: nobody there", "fail broker", "refused", "--bootstrap-server 127.0.0.1:1", func(*testing.T, *doctorStage) (string, func(string)) {
			return "sinks: {siem: {type: kafka, brokers: [127.0.0.1:1], topic: flows}}\n", nil
		}},
	}
}

func plantedNATS() []planted {
	return []planted{
		{"nats: no stream", "fail broker", "stream LATE: does not exist", "stream add LATE --subjects 'late.*.*'", func(t *testing.T, s *doctorStage) (string, func(string)) {
			return s.natsSink("all", "late.{node}.{event_type}", ", jetstream: {stream: LATE}"), func(string) { s.addStream(t, "LATE", "late.*.*") }
		}},
		{"nats: subjects not covered", "fail broker", "does not take subject narrow.edge-1.destroy", "", func(t *testing.T, s *doctorStage) (string, func(string)) {
			s.addStream(t, "NARROW", "narrow.*.status", "narrow.*.gap", "narrow.*.new", "narrow.*.update")
			return s.natsSink("all", "narrow.{node}.{event_type}", ", jetstream: {stream: NARROW}"), func(string) {
				_, err := s.js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: "NARROW", Subjects: []string{"narrow.>"}})
				if err != nil {
					t.Error(err)
				}
			}
		}},
		{"nats: may not publish", "fail broker", `no permission to publish "secret.edge-1.status"`, `allow: ["secret.*.*"]`, func(t *testing.T, s *doctorStage) (string, func(string)) {
			s.addStream(t, "SECRET", "secret.>")
			return s.natsSink("some", "secret.{node}.{event_type}", ", jetstream: {stream: SECRET}"), nil
		}},
		{"nats: a stranger", "fail broker", "Authorization Violation", "server check connection", func(t *testing.T, s *doctorStage) (string, func(string)) {
			s.addStream(t, "GOOD", "good.>")
			return s.natsSink("stranger", "good.{node}", ", jetstream: {stream: GOOD}"), nil
		}},
		{"nats: best effort", "warn best_effort", "core NATS acknowledges nothing", "--set sinks.bus.jetstream.stream=", func(_ *testing.T, s *doctorStage) (string, func(string)) {
			return s.natsSink("some", "good.{node}.{event_type}", ""), nil
		}},
		{"nats: a name twice", "fail node", "run-a, run-b", "ctferry nodes edge-1", func(t *testing.T, s *doctorStage) (string, func(string)) {
			var subs []*nats.Subscription
			for _, run := range []string{"run-a", "run-b"} {
				sub, err := s.admin.Subscribe("ctferry.v1.default.node.edge-1.agent.who", func(m *nats.Msg) {
					_ = m.Respond([]byte(`{"node":"edge-1","run":"` + run + `","serving":true}`))
				})
				if err != nil {
					t.Fatal(err)
				}
				subs = append(subs, sub)
			}
			if err := s.admin.Flush(); err != nil {
				t.Fatal(err)
			}
			hub := fmt.Sprintf("connections: {hub: {type: nats, urls: [%s], user: all, password: pw}}\n", s.hub.Config().URLs[0])
			return hub + "control: {enabled: true, connection: hub}\n" + fileSink(t.TempDir(), ""), func(string) {
				for _, sub := range subs {
					_ = sub.Unsubscribe()
				}
				_ = s.admin.Flush()
			}
		}},
	}
}

func fileSink(dir, more string) string {
	return fmt.Sprintf("sinks: {f: {type: file, path: %s/flows.jsonl, rotate: {size: 1MiB, keep: 2}%s}}\n", dir, more)
}

// remount changes a small disk.
func remount(t *testing.T, dir string, flags uintptr, options string) {
	t.Helper()
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|flags, options); err != nil {
		t.Fatal(err)
	}
}

func plantedDisks() []planted {
	return []planted{
		{"disk: no directory", "fail disk", "does not exist", "install -d", func(t *testing.T, _ *doctorStage) (string, func(string)) {
			return fileSink(filepath.Join(t.TempDir(), "no", "such folder"), ""), func(fix string) { paste(t, fix) }
		}},
		{"disk: no directory but a file", "fail disk", "not a directory", "stat ", func(t *testing.T, _ *doctorStage) (string, func(string)) {
			return fileSink(writeFile(t, t.TempDir(), "file", ""), ""), nil
		}},
		{"disk: read only", "fail disk", "cannot be written: read-only file system", "remount,rw", func(t *testing.T, _ *doctorStage) (string, func(string)) {
			dir := smallDisk(t, "2m")
			remount(t, dir, unix.MS_RDONLY, "size=2m")
			return strings.Replace(fileSink(dir, ""), "keep: 2", "max_total: 1MiB", 1), func(fix string) { paste(t, fix) }
		}},
		{"disk: rotation finds no room", "warn disk", "may come to take 3 MiB, and has room for 2 MiB", "df -h", func(t *testing.T, _ *doctorStage) (string, func(string)) {
			dir := smallDisk(t, "2m")
			return fileSink(dir, ""), func(string) { remount(t, dir, 0, "size=8m") }
		}},
		{"disk: spool finds no room", "warn disk", "of which 1 MiB must stay free", "df -h", func(t *testing.T, _ *doctorStage) (string, func(string)) {
			dir := smallDisk(t, "2m")
			return fileSink(t.TempDir(), "") + fmt.Sprintf("spool: {mode: always, dir: %s/spool, max: 1536KiB, min_free: 1MiB, segment: 256KiB}\n", dir), func(string) { remount(t, dir, 0, "size=8m") }
		}},
	}
}

// serverConfig has a server inside the process with a certificate.
func serverConfig(t *testing.T, listen, cert, key string) string {
	return fileSink(t.TempDir(), "") + fmt.Sprintf("nats_server: {enabled: true, listen: %q, store_dir: %s, jetstream: {max_store: 1MiB}, tls: {cert_file: %q, key_file: %q}}\n",
		listen, t.TempDir(), cert, key)
}

func plantedServer() []planted {
	lasting := func(life time.Duration) func(*testing.T, *doctorStage) (string, func(string)) {
		return func(t *testing.T, s *doctorStage) (string, func(string)) {
			cert, key := s.issuer.Issue(t, "server", life)
			return serverConfig(t, "127.0.0.1:0", cert, key), func(fix string) {
				paste(t, fix)
				good, _ := s.issuer.Issue(t, "server", 1000*time.Hour)
				if err := os.Rename(good, cert); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return []planted{
		{"certificate: ended", "fail certificate", "CN=server ended on", "openssl x509", lasting(-time.Minute)},
		{"certificate: ends soon", "warn certificate", "in 4 days", "openssl x509", lasting(100 * time.Hour)},
		{"certificate: not there", "fail certificate", "no such file", "", func(t *testing.T, _ *doctorStage) (string, func(string)) {
			return serverConfig(t, "127.0.0.1:0", "/absent.pem", "/absent.key"), nil
		}},
		{"port: in use", "fail port", fmt.Sprintf("(pid %d)", os.Getpid()), "ss -ltnp", func(t *testing.T, s *doctorStage) (string, func(string)) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			cert, key := s.issuer.Issue(t, "server", 1000*time.Hour)
			return serverConfig(t, l.Addr().String(), cert, key), func(string) { _ = l.Close() }
		}},
		{"port: in use for the admin port", "fail port", "is in use by", "ss -ltnp", func(t *testing.T, _ *doctorStage) (string, func(string)) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("admin: {listen: %q}\n", l.Addr()) + fileSink(t.TempDir(), ""), func(string) { _ = l.Close() }
		}},
		{"certificate: of the admin port", "fail certificate", "/absent.pem: no such file", "openssl x509", func(t *testing.T, _ *doctorStage) (string, func(string)) {
			return "admin: {listen: 127.0.0.1:0, tls: {cert_file: /absent.pem, key_file: /absent.key}}\n" + fileSink(t.TempDir(), ""), nil
		}},
		{"configuration: no password", "fail configuration", "admin.basic_auth.password_file: secret file: open ", "", func(t *testing.T, _ *doctorStage) (string, func(string)) {
			dir := t.TempDir()
			config := fmt.Sprintf("admin: {listen: 127.0.0.1:0, basic_auth: {user: ann, password_file: %s/pw}}\n", dir)
			return config + fileSink(dir, ""), func(string) { writeFile(t, dir, "pw", "secret\n") }
		}},
		{"configuration: unwise", "warn configuration", "other machines reach it without TLS", "", func(t *testing.T, _ *doctorStage) (string, func(string)) {
			return serverConfig(t, "0.0.0.0:0", "", ""), nil
		}},
	}
}

// TestDoctorFindsNoNamespace warns of a name in source.netns that nothing has, as run does.
func TestDoctorFindsNoNamespace(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", "node: n\nsource: {buffer: {size: 8MiB, max: 8MiB}, netns: [absent-ns, absent-*]}\nsinks: {out: {type: stdout}}\n")
	const want = "source.netns: there is no network namespace absent-ns under /run/netns now"
	if x := examineHost(t, ns, "-c", cfg); !strings.Contains(x.out, want) || strings.Contains(x.out, "absent-*") {
		t.Errorf("code %d, output:\n%s", x.code, x.out)
	}
	p := startFerry(t, ns, "run", "-c", cfg)
	waitFor(t, "word of it", func() bool { return len(p.said("there is no network namespace of this name yet")) == 1 })
	p.stop(t)
}
