package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/testnet"
)

// embeddedConfig has everything inside the process: %[1]s is a directory, %[2]s
// what more stands in nats_server, %[3]s in control.
const embeddedConfig = `
node: edge-1
source: {buffer: {size: 8MiB, max: 8MiB}}
nats_server: {enabled: true, listen: "127.0.0.1:0", store_dir: %[1]s/nats%[2]s}
control: {enabled: true, audit: {path: %[1]s/audit.jsonl}%[3]s}
sinks:
  stream: {type: nats, connection: nats_server, jetstream: {stream: CTFERRY, manage: create, max_bytes: 64MiB}}
`

// embeddedDir is a directory that others than root can reach.
func embeddedDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for path := dir; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ended is what a command line came to.
type ended struct {
	code        int
	out, errOut string
}

// ferryLine runs the program to its end inside ns (nil: where the test is), as uid.
func ferryLine(t *testing.T, ns *testnet.Namespace, uid uint32, args ...string) ended {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary(t), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	return runInside(t, ns, cmd)
}

// runInside runs a command to its end inside ns (nil: where the test is).
func runInside(t *testing.T, ns *testnet.Namespace, cmd *exec.Cmd) ended {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	start := cmd.Start
	if ns != nil {
		start = func() error { return ns.Start(cmd) }
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ended{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// want checks an ended; each of the texts must stand somewhere.
func (o ended) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if o.code != code || !strings.Contains(o.out+o.errOut, text) {
			t.Errorf("code %d, output:\n%s%s\nexpected code %d and %q", o.code, o.out, o.errOut, code, text)
		}
	}
}

// served waits until the program serves requests.
func (p *process) served(t *testing.T) {
	t.Helper()
	waitFor(t, "control to serve", func() bool { return len(p.said("control serves")) > 0 || p.ended() })
}

// inside dials within ns with the context of a role.
func inside(t *testing.T, ns *testnet.Namespace, dir, role string) *nats.Conn {
	t.Helper()
	var x natsconn.ClientContext
	if err := natsconn.ReadContext(filepath.Join(dir, "credentials", role+".json"), &x); err != nil {
		t.Fatal(err)
	}
	conf, err := x.Config(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	var nc *nats.Conn
	if err := ns.Do(func() error { nc, err = natsconn.Dial(t.Context(), conf, natsconn.Callbacks{}, nil); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// stored is how many messages the stream has.
func stored(t *testing.T, nc *nats.Conn) uint64 {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "CTFERRY")
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// TestServerInsideKeepsEverything runs twice: keys, and what was delivered into
// the stream, are there the second time; the books balance with the stream.
func TestServerInsideKeepsEverything(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(embeddedConfig, dir, "", ""))
	var keys []byte
	total := 0
	for turn := range 2 {
		p := startFerry(t, ns, "run", "-c", cfg)
		churn(t, ns, 200)
		p.served(t)
		nc := inside(t, ns, dir, "admin")
		waitFor(t, "the stream", func() bool { return stored(t, nc) >= uint64(total+401) })
		key, err := os.ReadFile(filepath.Join(dir, "credentials", "admin.nk"))
		if err != nil || turn > 0 && !bytes.Equal(key, keys) {
			t.Errorf("another key: %v", err)
		}
		keys = key
		books := p.stop(t)
		if n := books.sink(t, "stream", "delivered"); n != books.sink(t, "stream", "offered") || n < 402 {
			t.Errorf("%d of %d records delivered", n, books.sink(t, "stream", "offered"))
		}
		total += books.sink(t, "stream", "delivered")
	}
	p := startFerry(t, ns, "run", "-c", cfg)
	p.served(t)
	nc := inside(t, ns, dir, "admin")
	waitFor(t, "the first gap and status", func() bool { return stored(t, nc) == uint64(total+2) })
	p.stop(t)
}

// TestServerInsideWhereAPortIsTaken names the key and the address, whoever has it.
func TestServerInsideWhereAPortIsTaken(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	var taken net.Listener
	if err := ns.Do(func() (err error) { taken, err = net.Listen("tcp", "127.0.0.1:4222"); return err }); err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(embeddedConfig, dir, "", ""))
	o := ferryLine(t, ns, 0, "run", "-c", cfg, "--set", "nats_server.listen=127.0.0.1:4222")
	o.want(t, exitError, "ctferry: nats_server.listen: address 127.0.0.1:4222 is in use\n")
	p := startFerry(t, ns, "run", "-c", cfg)
	o = ferryLine(t, ns, 0, "run", "-c", cfg)
	o.want(t, exitError, "ctferry: nats_server.store_dir: "+dir+"/nats is in use by another server\n")
	p.served(t)
	p.stop(t)
}

// TestCredentialsForTheGroup lets members of the group in, and tells others
// which group it is.
func TestCredentialsForTheGroup(t *testing.T) {
	if os.Getuid() != 0 {
		testnet.Unavailable(t, "becoming somebody else needs root")
	}
	const member, stranger = 54321, 54322
	ns, dir := loadedNamespace(t), embeddedDir(t)
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(embeddedConfig, dir, fmt.Sprintf(", credentials: {group: %d}", member), ""))
	if err := os.Chmod(cfg, 0o644); err != nil {
		t.Fatal(err)
	}
	p := startFerry(t, ns, "run", "-c", cfg)
	p.served(t)
	ferryLine(t, ns, member, "nodes", "-c", cfg).want(t, exitOK, "edge-1", "2 of 2 well")
	ferryLine(t, ns, stranger, "nodes", "-c", cfg).want(t, exitUsage, "permission denied", fmt.Sprintf("you are not in group %d", member))
	ferryLine(t, ns, stranger, "-L", "--node", "edge-1", "--config", cfg).want(t, exitError, fmt.Sprintf("you are not in group %d", member))
	if err := os.Chmod(cfg, 0o600); err != nil {
		t.Fatal(err)
	}
	ferryLine(t, ns, stranger, "nodes", "-c", cfg).want(t, exitUsage, "c.yaml: permission denied")
	ferryLine(t, ns, member, "nodes", "--nats-context", filepath.Join(dir, "credentials", "viewer.json")).want(t, exitOK, "edge-1")
	p.stop(t)
}

// TestServerInsideWithTLS needs nothing more of the command line.
func TestServerInsideWithTLS(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	cert, key := natstest.NewAuthority(t).Issue(t, "edge", time.Hour)
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(embeddedConfig, dir, fmt.Sprintf(", tls: {cert_file: %s, key_file: %s}", cert, key), ""))
	p := startFerry(t, ns, "run", "-c", cfg)
	p.served(t)
	ferryLine(t, ns, 0, "nodes", "-c", cfg).want(t, exitOK, "edge-1")
	text, err := os.ReadFile(filepath.Join(dir, "credentials", "viewer.json"))
	if err != nil || !strings.Contains(string(text), `"url": "tls://127.0.0.1:`) {
		t.Errorf("%s, %v", text, err)
	}
	p.stop(t)
}

// TestServerInsideJoinsAHub: what the node delivers arrives at the hub, and who
// is at the hub asks the node.
func TestServerInsideJoinsAHub(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	leaf := free.Addr().String()
	free.Close()
	hub := natstest.Start(t, func(c *natsconn.ServerConfig) { c.LeafListen = leaf; c.JetStream.Domain = "hub" })
	sub, err := hub.Dial(t).SubscribeSync("ctferry.v1.default.evt.edge-1.>")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(embeddedConfig, dir, fmt.Sprintf(`, jetstream: {domain: edge}, leafnodes: [{urls: ["nats://%s"]}]`, leaf), ""))
	p := startFerry(t, nil, "run", "-c", cfg)
	p.served(t)
	waitFor(t, "a record at the hub", func() bool {
		p.sighup(t, reloaded) // which is a status record; those before the leaf was joined stay here
		_, err := sub.NextMsg(200 * time.Millisecond)
		return err == nil
	})
	at := []string{"--server", hub.ClientURL()}
	ferryLine(t, nil, 0, append([]string{"nodes", "edge-1"}, at...)...).want(t, exitOK, "edge-1")
	ferryLine(t, nil, 0, append([]string{"-C", "--node", "edge-1"}, at...)...).want(t, exitOK, "")
	p.stop(t)
}
