package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/testnet"
)

const chaosStrangersConfig = embeddedConfig + `
  file: {type: file, path: %[1]s/out, encoding: protobuf, rotate: {size: 0}}
admin: {listen: "127.0.0.1:9479"}
`

// chaosStrangers lets 200 strangers talk nonsense to the server inside and 200
// to the admin port, sends
// malformed and oversized requests as somebody who may, and 10,000 forged and
// damaged datagrams to the event socket: requests are answered and events
// ferried afterwards, by as many goroutines and descriptors as before.
func chaosStrangers(t *testing.T, f *figures) {
	ns, dir := loadedNamespace(t), t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(chaosStrangersConfig, dir, "", ""))
	goroutines := func(attack func(*process)) int {
		p := startFerry(t, ns, "run", "-c", cfg)
		p.served(t)
		attack(p)
		churn(t, ns, 500)
		ferryLine(t, ns, 0, "-C", "--node", "edge-1", "--config", cfg).want(t, exitOK, "0\n")
		p.sighup(t, reloaded) // which is a status record
		time.Sleep(500 * time.Millisecond)
		return p.stacks(t)
	}
	calm := goroutines(func(*process) {}) // two more are those of the connection below
	if err := os.Remove(filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	var answers, descriptors, descriptorsAfter, before, after int
	hit := goroutines(func(p *process) {
		admin := inside(t, ns, dir, "admin")
		descriptors, before = openFiles(t, p.cmd.Process.Pid), resident(p.cmd.Process.Pid)>>10
		talkNonsense(t, ns, dir, 200)
		pesterAdmin(t, ns, 200)
		answers = askNonsense(t, admin)
		forge(t, ns, p, 10_000)
		waitFor(t, "the strangers to be let go", func() bool {
			descriptorsAfter = openFiles(t, p.cmd.Process.Pid)
			return descriptorsAfter <= descriptors+2
		})
		after = resident(p.cmd.Process.Pid) >> 10
	})
	a := trailOfFiles(t, "protobuf", filepath.Join(dir, "out"))
	if hit > calm+4 || after > before+64 {
		t.Errorf("%d goroutines, %d without the strangers; %d MiB before, %d after", hit, calm, before, after)
	}
	if a.foreign != 0 || a.records != 1000 {
		t.Errorf("%d of 10000 forged datagrams came in; %d of 1000 events are in the file", a.foreign, a.records)
	}
	f.tell("200 connections to NATS, 200 to the admin port, %d malformed or oversized requests (all answered), 10000 forged datagrams (all refused)", answers)
	f.tell("goroutines %d, %d in a run without; descriptors %d before, %d after; resident %d MiB before, %d after", hit, calm, descriptors, descriptorsAfter, before, after)
	f.tell("decoder: ctnetlink.TestMutatedDatagrams (10,000), FuzzDecode")
}

// stacks ends the process by SIGQUIT and counts the goroutines that it had.
func (p *process) stacks(t *testing.T) (n int) {
	t.Helper()
	p.signal(t, syscall.SIGQUIT)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Fatal("the program does not end")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.logs {
		if text, _ := e["msg"].(string); strings.HasPrefix(text, "goroutine ") && strings.HasSuffix(text, ":") {
			n++
		}
	}
	if n == 0 {
		t.Fatal("no goroutines told")
	}
	return n
}

// talkNonsense opens connections to the server inside and says what no client says.
func talkNonsense(t *testing.T, ns *testnet.Namespace, dir string, connections int) {
	t.Helper()
	var x natsconn.ClientContext
	if err := natsconn.ReadContext(filepath.Join(dir, "credentials", "viewer.json"), &x); err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(x.URL)
	if err != nil {
		t.Fatal(err)
	}
	nonsense := [][]byte{nil, []byte("PUB x 99999999999\r\n"), []byte("GET / HTTP/1.1\r\n\r\n"), []byte("CONNECT {\"verbose\":[[[\r\nPING\r\n"),
		bytes.Repeat([]byte{0xff}, 64<<10), bytes.Repeat([]byte("SUB "), 64<<10), []byte("CONNECT {}\r\nPUB ctferry.v1.default.node.edge-1.conntrack.flush 2\r\n{}\r\n")}
	say(t, ns, server.Host, nonsense, connections)
}

// pesterAdmin opens connections to the admin port and says what no browser says;
// afterwards it answers.
func pesterAdmin(t *testing.T, ns *testnet.Namespace, connections int) {
	t.Helper()
	nonsense := [][]byte{nil, []byte("GET"), []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), []byte("GET /stats.json HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		[]byte("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"), bytes.Repeat([]byte{0xff}, 64<<10), []byte("GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\n\r\n"),
		[]byte("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")}
	say(t, ns, adminAddress, nonsense, connections)
	waitFor(t, "the admin port to answer", func() bool {
		_, status := fetch(t, adminClient(t, ns), "/healthz")
		return status == http.StatusOK
	})
}

// say opens connections, says on each of them one of the texts, and reads what is
// answered for a moment.
func say(t *testing.T, ns *testnet.Namespace, address string, texts [][]byte, connections int) {
	t.Helper()
	var all sync.WaitGroup
	for i := range connections {
		var c net.Conn
		if err := ns.Do(func() (err error) { c, err = net.DialTimeout("tcp", address, 10*time.Second); return err }); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
			_, _ = c.Write(texts[i%len(texts)])
			_, _ = io.Copy(io.Discard, c)
		})
	}
	all.Wait()
}

// askNonsense sends requests that nobody should; each is to be answered.
func askNonsense(t *testing.T, nc *nats.Conn) (answers int) {
	t.Helper()
	bodies := [][]byte{nil, []byte("{"), []byte("null"), []byte("[]"), []byte(`{"v":99}`), []byte(`{"v":1,"table":"x"}`), []byte(`{"v":"1"}`),
		[]byte(`{"v":1,"filter":{"include":[{"proto":"nonsense"}]}}`), []byte(`{"v":1,"unknown":1}`), bytes.Repeat([]byte("["), 500<<10),
		append(append([]byte(`{"v":1,"request_id":"`), bytes.Repeat([]byte("a"), 900<<10)...), '"', '}'), bytes.Repeat([]byte{0}, 1000<<10)}
	for _, verb := range []string{"list", "get", "count", "stats", "delete", "create", "update", "flush"} {
		for i, body := range bodies {
			if _, err := nc.Request("ctferry.v1.default.node.edge-1.conntrack."+verb, body, 10*time.Second); err != nil {
				t.Fatalf("%s with body %d (%d bytes): %v", verb, i, len(body), err)
			}
			answers++
		}
	}
	return answers
}

// forge sends damaged datagrams, by root's own hand, to the event socket, which
// hears nobody but the kernel: each is refused.
func forge(t *testing.T, ns *testnet.Namespace, p *process, datagrams int) {
	t.Helper()
	files, err := filepath.Glob("../../source/ctnetlink/testdata/*.bin")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	r, to := rand.New(rand.NewPCG(1, 2)), unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: eventPort(t, p)}
	err = ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for i := range datagrams {
			datagram, err := os.ReadFile(files[i%len(files)])
			if err != nil {
				return err
			}
			for range i % 4 {
				datagram[r.IntN(len(datagram))] ^= 1 << r.IntN(8)
			}
			if err := unix.Sendto(fd, datagram, 0, &to); !errors.Is(err, unix.ECONNREFUSED) {
				return fmt.Errorf("the event socket takes what a process sends: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// eventPort is the netlink address of the process's event socket.
func eventPort(t *testing.T, p *process) uint32 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/netlink", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if f := strings.Fields(string(line)); len(f) == 10 && f[1] == strconv.Itoa(syscall.NETLINK_NETFILTER) && f[3] != "00000000" {
			port, err := strconv.ParseUint(f[2], 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			return uint32(port)
		}
	}
	t.Fatalf("no event socket in\n%s", text)
	return 0
}
