package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

func TestMain(m *testing.M) {
	if testnet.Reexecuted() && len(os.Args) > 1 && os.Args[1] == "demo" {
		main() // the demo re-executed the test binary
		return
	}
	os.Exit(testnet.Main(m))
}

// binary builds the program once, as make build does, and gives its path.
func binary(tb testing.TB) string {
	tb.Helper()
	path, err := buildOnce()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

var buildOnce = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // one build a test run
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	// One place a working copy: two that are tested at once must not build over one another.
	path := filepath.Join(os.TempDir(), fmt.Sprintf("ctferry-test-%d-%x", os.Getuid(), crc32.ChecksumIEEE([]byte(folder))), "ctferry")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// process is the program as a process of its own.
type process struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	logs []map[string]any
	done chan struct{}
	err  error
}

// startFerry runs the program inside ns (nil: where the test is) and waits
// until it says that it has started.
func startFerry(tb testing.TB, ns *testnet.Namespace, args ...string) *process {
	tb.Helper()
	return startFerryTo(tb, ns, nil, args...)
}

// startFerryTo is startFerry with standard output to a file.
func startFerryTo(tb testing.TB, ns *testnet.Namespace, stdout *os.File, args ...string) *process {
	tb.Helper()
	cmd := exec.Command(binary(tb), append(args, "--log-format", "json")...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if stdout != nil {
		cmd.Stdout = stdout
	}
	start := cmd.Start
	if ns != nil {
		start = func() error { return ns.Start(cmd) }
	}
	if err := start(); err != nil {
		tb.Fatal(err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for sc := bufio.NewScanner(stderr); sc.Scan(); {
			p.note(sc.Bytes())
		}
		p.err = cmd.Wait()
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.done
		if tb.Failed() {
			tb.Logf("log of the program: %v", p.logs)
		}
	})
	waitFor(tb, "the program to start", func() bool { return len(p.said("started")) > 0 || p.ended() })
	if p.ended() {
		tb.Fatalf("the program ended: %v; log: %v", p.err, p.logs)
	}
	return p
}

func (p *process) note(line []byte) {
	entry := map[string]any{}
	if json.Unmarshal(line, &entry) != nil {
		entry["msg"] = string(line)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logs = append(p.logs, entry)
}

// said gives the log entries with a message.
func (p *process) said(msg string) []map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []map[string]any
	for _, e := range p.logs {
		if e["msg"] == msg {
			found = append(found, e)
		}
	}
	return found
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop sends SIGTERM and gives the final accounts.
func (p *process) stop(tb testing.TB) accounts {
	tb.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		tb.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(60 * time.Second):
		tb.Fatal("the program does not end")
	}
	if p.err != nil {
		tb.Fatalf("the program: %v; log: %v", p.err, p.logs)
	}
	if len(p.said("books do not balance: please report this")) > 0 {
		tb.Errorf("the books do not balance: %v", p.logs)
	}
	return accounts{p}
}

// accounts are the final log lines.
type accounts struct{ p *process }

// socket gives a figure of a namespace's event socket.
func (a accounts) socket(tb testing.TB, netns, figure string) int {
	tb.Helper()
	return a.figure(tb, "event socket closed", "netns", netns, figure)
}

// sink gives a figure of a sink.
func (a accounts) sink(tb testing.TB, name, figure string) int {
	tb.Helper()
	return a.figure(tb, "sink closed", "sink", name, figure)
}

func (a accounts) figure(tb testing.TB, msg, key, value, figure string) int {
	tb.Helper()
	for _, e := range a.p.said(msg) {
		if e[key] == value {
			n, ok := e[figure].(float64)
			if !ok {
				tb.Fatalf("%q has no figure %q: %v", msg, figure, e)
			}
			return int(n)
		}
	}
	tb.Fatalf("no %q for %s %q in %v", msg, key, value, a.p.logs)
	return 0
}

// waitFor waits, within a bound, until ok holds.
func waitFor(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain for %s", what)
		}
	}
}

// churn makes and deletes entries.
func churn(tb testing.TB, ns *testnet.Namespace, entries int) {
	tb.Helper()
	if _, err := (testnet.Churn{NS: ns, Entries: entries}).Run(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// writeFile writes a test's file and gives its path.
func writeFile(tb testing.TB, dir, name, text string) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// lines counts a file's lines.
func lines(tb testing.TB, path string) int {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

// linesSoFar counts the lines of a file that may not be there yet: a sink opens
// its file beside everything else.
func linesSoFar(tb testing.TB, path string) int {
	tb.Helper()
	if _, err := os.Stat(path); err != nil {
		return 0
	}
	return lines(tb, path)
}

// run runs one command line in this process and gives its exit code and output.
func run(args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = execute(args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}
