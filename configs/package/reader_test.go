package packaging

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/ctferry/ctferry/internal/testnet"
)

// stageConfig is the service that runs while a page is read which starts none
// itself: a node that lets everything be done.
const stageConfig = `
nats_server: {enabled: true}
admin: {listen: 127.0.0.1:9479}
sinks: {bus: {type: nats, connection: nats_server, jetstream: {stream: CTFERRY, manage: create, max_bytes: 64MiB, discard: old}}}
control:
  enabled: true
  connection: nats_server
  allow: [list, get, count, stats, watch, delete, create, update, flush, zero]
  fleet_writes: true
`

const stageService = "ctferry run -c /root/stage.yaml"

// readersMachine is what the reader of a page has before him: the package is
// installed, the tree is where he cloned it, and the tools that a page names
// are there.
type readersMachine struct{ machine }

// reader's home, where the tree is.
const home = "/root/ctferry"

func newReadersMachine(t *testing.T) readersMachine {
	t.Helper()
	tree, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"curl", "kcat"} {
		if _, err := exec.LookPath(tool); err != nil {
			testnet.Unavailable(t, "the pages name %s: %v", tool, err)
		}
	}
	nats := filepath.Join(tree, "bin/nats")
	if _, err := os.Stat(nats); err != nil {
		testnet.Unavailable(t, "the pages name the nats tool: %v", err)
	}
	m := readersMachine{installed(t)}
	m.Run(t, "hostname", "edge-1")
	m.write("/usr/local/bin/sudo", "#!/bin/sh\nexec \"$@\"\n")
	m.write("/root/stage.yaml", stageConfig)
	m.carry(tree, home, "configs", "bin/nats")
	m.Run(t, "sh", "-ec", `chmod +x /usr/local/bin/sudo
		mv "$0/bin/nats" /usr/local/bin/
		ln -s /usr/bin/ctferry "$0/bin/ctferry"
		cp "$0/configs/single.yaml" "$0/"
		mkdir -p /root/.config/nats/context && cd /root/.config/nats
		ln -s /var/lib/ctferry/credentials/admin.json context/edge-1.json
		printf edge-1 >context.txt # as "nats context select" does`, home)
	m.kafka()
	m.traffic()
	return m
}

// carry copies parts of a tree out here to a folder in there.
func (m readersMachine) carry(tree, folder string, parts ...string) {
	m.t.Helper()
	pack := exec.Command("tar", append([]string{"-C", tree, "-c"}, parts...)...)
	unpack := m.Command("sh", "-ec", `mkdir -p "$0" && tar -C "$0" -x`, folder)
	var err error
	if unpack.Stdin, err = pack.StdoutPipe(); err != nil {
		m.t.Fatal(err)
	}
	if err := pack.Start(); err != nil {
		m.t.Fatal(err)
	}
	if out, err := unpack.CombinedOutput(); err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	if err := pack.Wait(); err != nil {
		m.t.Fatal(err)
	}
}

// kafka is a broker where pages expect one.
func (m readersMachine) kafka() {
	m.t.Helper()
	listen := func(network, address string) (l net.Listener, err error) {
		err = m.ns.Do(func() error { l, err = net.Listen(network, address); return err })
		return l, err
	}
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092), kfake.SeedTopics(3, "conntrack"), kfake.ListenFn(listen))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(c.Close)
}

// traffic goes on until the test ends.
func (m readersMachine) traffic() {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			testnet.Churn{NS: m.ns, Entries: 20}.Run(ctx) //nolint:errcheck // the test may end in the middle
			time.Sleep(50 * time.Millisecond)
		}
	})
	m.t.Cleanup(func() { cancel(); done.Wait() })
}

// reader goes through one page.
type reader struct {
	readersMachine
	serving *exec.Cmd
}

// opens puts the page's files where its commands look for them.
func (m readersMachine) opens(t *testing.T, d document) *reader {
	t.Helper()
	for name, text := range d.files {
		m.write(filepath.Join(home, name), text)
	}
	m.Run(t, "sh", "-c", "rm -f /var/log/ctferry/*") // root's, of the page before
	r := &reader{readersMachine: m}
	t.Cleanup(func() { r.stop(t) })
	r.serve(t, stageService)
	return r
}

// environment is the reader's.
const environment = `export PATH=/usr/local/bin:$PATH HOME=/root; `

// shell prepares a line of the page; before stands in front of what runs it.
func (r *reader) shell(before, line string) *exec.Cmd {
	return r.Command("bash", "-c", "cd "+home+"; "+environment+"exec "+before+` bash -c "$0"`, line)
}

// run runs one command of the page.
func (r *reader) run(t *testing.T, c told, w way) {
	t.Helper()
	if w.elsewhere != "" {
		return
	}
	if w.stage {
		r.serve(t, stageService)
	}
	if w.before != "" {
		if out, err := r.shell("", w.before).CombinedOutput(); err != nil {
			t.Fatalf("before %s: %s: %v: %s", c.place, w.before, err, out)
		}
	}
	if w.serves {
		r.serve(t, c.line)
		return
	}
	limit := "timeout 30"
	if w.interrupt {
		limit = "timeout -s INT --preserve-status 2"
	}
	out, err := r.shell(limit, c.line).CombinedOutput()
	if exit := (*exec.ExitError)(nil); w.finds && errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil
	}
	if err != nil && !w.interrupt || !regexp.MustCompile(w.want).Match(out) {
		t.Errorf("%s: %s: %v, expected %q:\n%s", c.place, c.line, err, w.want, out[:min(len(out), 2000)])
	}
}

// serve runs a service until the next one or the page's end.
func (r *reader) serve(t *testing.T, line string) {
	t.Helper()
	r.stop(t)
	var log lockedBuffer
	r.serving = r.shell("", "exec "+line)
	r.serving.Stdout, r.serving.Stderr = nil, &log
	if err := r.serving.Start(); err != nil {
		t.Fatal(err)
	}
	ready := "msg=started"
	if strings.Contains(line, "single") || line == stageService {
		ready = `msg="control serves"`
	}
	for deadline := time.Now().Add(15 * time.Second); !bytes.Contains(log.bytes(), []byte(ready)); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not start:\n%s", line, log.bytes())
		}
	}
}

func (r *reader) stop(t *testing.T) {
	t.Helper()
	if r.serving == nil {
		return
	}
	r.Try("pkill", "-TERM", "-f", "^ctferry run|/ctferry run")
	if err := r.serving.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
	r.serving = nil
}

// lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}
