package encode_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// toolVersion is the conntrack that the oracle tests compare with: another one
// prints other lines.
const toolVersion = "v1.4.7"

// tool finds conntrack(8), or skips.
func tool(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("conntrack")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/conntrack")
	}
	if err != nil {
		testnet.Unavailable(tb, "conntrack(8) is not installed: %v", err)
	}
	out, err := exec.Command(path, "-V").Output()
	if err != nil || !strings.Contains(string(out), toolVersion) {
		testnet.Unavailable(tb, "the oracle is conntrack %s, this is %q: %v", toolVersion, out, err)
	}
	return path
}

// quiet makes a namespace that tracks and records.
func quiet(tb testing.TB, rules ...testnet.Rule) *testnet.Namespace {
	tb.Helper()
	ns := testnet.New(tb)
	if err := errors.Join(ns.Up(), ns.Record(), ns.Lay(append(rules, testnet.Track())...)); err != nil {
		tb.Fatal(err)
	}
	return ns
}

// watch is a conntrack -E.
type watch struct {
	tb    testing.TB
	cmd   *exec.Cmd
	diag  bytes.Buffer
	ended chan error

	mu    sync.Mutex
	lines []string
}

// watching starts conntrack -E with the given options and returns when it listens.
// Own are the ports of sockets that were there before.
func watching(tb testing.TB, ns *testnet.Namespace, table flow.Table, env []string, options ...string) *watch {
	tb.Helper()
	w := &watch{tb: tb, ended: make(chan error, 1)}
	args := []string{"-E", table.String()}
	if len(options) > 0 && options[0] != "" {
		args = append(args, "-o", strings.Join(options, ","))
	}
	w.cmd = exec.Command(tool(tb), args...)
	w.cmd.Env = append(os.Environ(), env...)
	w.start(ns, table)
	return w
}

func (w *watch) start(ns *testnet.Namespace, table flow.Table) {
	w.tb.Helper()
	w.cmd.Stderr = &w.diag
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		w.tb.Fatal(err)
	}
	before := listeners(w.tb, ns, table)
	if err := ns.Start(w.cmd); err != nil {
		w.tb.Fatal(err)
	}
	go w.read(out)
	w.tb.Cleanup(func() { w.cmd.Process.Kill() })
	for end := time.Now().Add(10 * time.Second); listeners(w.tb, ns, table) == before; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			w.tb.Fatalf("%s does not listen: %s", w.cmd, &w.diag)
		}
	}
}

// listeners counts the sockets that are in the groups of a table.
func listeners(tb testing.TB, ns *testnet.Namespace, table flow.Table) (n int) {
	tb.Helper()
	groups := "00000007"
	if table == flow.TableExpect {
		groups = "00000038"
	}
	err := ns.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/netlink")
		for line := range strings.Lines(string(text)) {
			// sk Eth Pid Groups …
			if f := strings.Fields(line); len(f) > 4 && f[1] == fmt.Sprint(unix.NETLINK_NETFILTER) && f[3] == groups {
				n++
			}
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func (w *watch) read(out io.Reader) {
	for sc := bufio.NewScanner(out); sc.Scan(); {
		w.mu.Lock()
		w.lines = append(w.lines, sc.Text())
		w.mu.Unlock()
	}
	w.ended <- w.cmd.Wait()
}

// count is how many lines were printed so far.
func (w *watch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.lines)
}

// await waits until there are n lines.
func (w *watch) await(n int) {
	w.tb.Helper()
	for end := time.Now().Add(10 * time.Second); w.count() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.tb.Fatalf("%s: %d of %d lines: %s", w.cmd, w.count(), n, &w.diag)
		}
	}
}

// idle waits until conntrack sleeps. Its signal handler ends it by exit(3), and
// if that interrupts the flushing of a line, the line is written twice.
func (w *watch) idle() {
	w.tb.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.cmd.Process.Pid))
		if err != nil {
			w.tb.Fatal(err)
		}
		if strings.Contains(string(stat), ") S ") {
			return
		}
		if time.Now().After(end) {
			w.tb.Fatalf("%s is busy: %s", w.cmd, stat)
		}
	}
}

// stop ends conntrack and gives its lines. It fails if conntrack lost events.
func (w *watch) stop() []string {
	w.tb.Helper()
	w.idle()
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		w.tb.Fatalf("%s: %v: %s", w.cmd, err, &w.diag)
	}
	select {
	case err := <-w.ended:
		if err != nil || strings.Contains(w.diag.String(), "WARNING") {
			w.tb.Fatalf("%s: %v: %s", w.cmd, err, &w.diag)
		}
	case <-time.After(10 * time.Second):
		w.tb.Fatalf("%s does not end", w.cmd)
	}
	return slices.Clone(w.lines)
}
