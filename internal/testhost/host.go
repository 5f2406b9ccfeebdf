package testhost

import (
	"bufio"
	"bytes"
	_ "embed" // boot.sh
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

//go:embed boot.sh
var bootScript string

// Share is where [Boot]'s folder is in there.
const Share = "/mnt"

// systemd is process 1; it has this path on every distribution.
const systemd = "/lib/systemd/systemd"

// Host is a machine of its own. Its methods may be called by several goroutines.
type Host struct {
	pid    int // process 1, as it is called out here
	boot   *exec.Cmd
	off    io.Closer // closing it ends the host
	folder string    // where its file systems are mounted, for boot alone; its cgroup has the same name
}

// Boot makes a host in the network namespace ns and waits until it is up; share
// is a folder of this machine that is [Share] in there. The host ends with the
// test. It skips the test where the machine cannot do this.
func Boot(tb testnet.TB, ns *testnet.Namespace, share string) *Host {
	tb.Helper()
	need(tb)
	h, err := boot(ns, share)
	if err != nil {
		tb.Fatalf("boot a host: %v", err)
	}
	tb.Cleanup(func() {
		if err := h.end(); err != nil {
			tb.Fatalf("end the host: %v", err)
		}
	})
	if err := h.wait(30 * time.Second); err != nil {
		tb.Fatalf("boot a host: %v", err)
	}
	return h
}

// need skips where something lacks.
func need(tb testnet.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		testnet.Unavailable(tb, "a host of its own needs root")
	}
	if _, err := os.Stat(systemd); err != nil {
		testnet.Unavailable(tb, "a host of its own needs systemd: %v", err)
	}
	for _, tool := range []string{"unshare", "nsenter", "pivot_root", "flock"} {
		if _, err := exec.LookPath(tool); err != nil {
			testnet.Unavailable(tb, "a host of its own needs util-linux: %v", err)
		}
	}
	if out, err := exec.Command("unshare", "-m", "-p", "-C", "-f", "true").CombinedOutput(); err != nil {
		testnet.Unavailable(tb, "a host of its own needs mount, process and cgroup namespaces: %v: %s", err, out)
	}
}

func boot(ns *testnet.Namespace, share string) (*Host, error) {
	folder, err := os.MkdirTemp("", "ctferry-host-")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("unshare", "-m", "sh", "-c", bootScript, "boot.sh", folder, share)
	var diag bytes.Buffer
	cmd.Stderr = &diag
	off, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := ns.Start(cmd); err != nil {
		return nil, err
	}
	h := &Host{boot: cmd, off: off, folder: folder}
	line, err := bufio.NewReader(out).ReadString('\n')
	if h.pid, _ = strconv.Atoi(strings.TrimSpace(line)); h.pid == 0 {
		h.end() //nolint:errcheck // it has failed already
		return nil, fmt.Errorf("process 1: %q, %v: %s", line, err, diag.Bytes())
	}
	return h, nil
}

// wait waits until systemd has started what it starts.
func (h *Host) wait(patience time.Duration) error {
	var state string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		out, _ := h.Command("systemctl", "is-system-running").CombinedOutput()
		if state = strings.TrimSpace(string(out)); state == "running" || state == "degraded" {
			return nil
		}
	}
	return fmt.Errorf("after %v systemd says %q", patience, state)
}

// end stops everything and removes what the host left.
func (h *Host) end() error {
	err := errors.Join(h.off.Close(), h.boot.Wait())
	if left := os.Remove(h.folder); !errors.Is(left, fs.ErrNotExist) { // boot.sh has removed it, unless it failed
		err = errors.Join(err, left)
	}
	return err
}

// Command prepares a command that runs in there, as root.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	enter := []string{"-t", strconv.Itoa(h.pid), "-m", "-p", "-n", "-i", "-u", "-C", "--",
		"env", "-i", "-C", "/", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", name}
	return exec.Command("nsenter", append(enter, args...)...)
}

// Try runs a command in there and gives what it printed and its exit code, -1
// where it did not end by itself.
func (h *Host) Try(name string, args ...string) (out string, code int) {
	cmd := h.Command(name, args...)
	text, _ := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return string(text), -1
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// Run is Try for what must work: it fails the test otherwise.
func (h *Host) Run(tb testnet.TB, name string, args ...string) string {
	tb.Helper()
	out, code := h.Try(name, args...)
	if code != 0 {
		tb.Fatalf("%s %s: exit code %d:\n%s", name, strings.Join(args, " "), code, out)
	}
	return out
}

// Property is a unit's property, as systemctl shows it.
func (h *Host) Property(tb testnet.TB, unit, name string) string {
	tb.Helper()
	return strings.TrimSpace(h.Run(tb, "systemctl", "show", "--value", "--property="+name, unit))
}
