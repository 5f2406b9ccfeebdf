package testhost

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

func TestHostIsItsOwn(t *testing.T) {
	share := t.TempDir()
	if err := os.WriteFile(filepath.Join(share, "hello"), []byte("from outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	var h *Host
	t.Run("up", func(t *testing.T) {
		h = Boot(t, testnet.New(t), share)
		if got := h.Run(t, "cat", Share+"/hello"); got != "from outside" {
			t.Errorf("the shared folder holds %q", got)
		}
		if got := h.Run(t, "cat", "/proc/1/comm"); got != "systemd\n" {
			t.Errorf("process 1 is %q", got)
		}
		if got := strings.TrimSpace(h.Run(t, "hostname")); got != "test-host" {
			t.Errorf("the host's name is %q", got)
		}
		h.Run(t, "sh", "-c", "echo trace >/etc/ctferry-test-trace && rm /usr/bin/yes")
		h.Run(t, "systemctl", "restart", "systemd-journald")
		if _, code := h.Try("sh", "-c", "echo 1 >/proc/sys/kernel/sysrq"); code == 0 {
			t.Error("the machine's sysctls can be written")
		}
		if out, code := h.Try("sh", "-c", "exit 7"); code != 7 {
			t.Errorf("code %d: %s", code, out)
		}
		if got := h.Property(t, "sysinit.target", "ActiveState"); got != "active" {
			t.Errorf("sysinit.target is %q", got)
		}
	})
	if t.Failed() || h == nil {
		return // or it was skipped
	}
	if _, err := os.Lstat("/etc/ctferry-test-trace"); err == nil {
		t.Error("a file written in there is out here")
	}
	if _, err := os.Stat("/usr/bin/yes"); err != nil {
		t.Errorf("a change reached the machine: %v", err)
	}
	if left := litter(t, h); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestKilledHostIsSwept kills what would have cleaned up, as the end of a session
// does, and lets another host live and die beside a third.
func TestKilledHostIsSwept(t *testing.T) {
	ns := testnet.New(t)
	alive := Boot(t, ns, t.TempDir())
	killed, err := boot(ns, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.boot.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(killed.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := killed.off.Close(); err != nil { // for what it had started
		t.Fatal(err)
	}
	_ = killed.boot.Wait() // says that it was killed
	if len(litter(t, killed)) == 0 {
		t.Fatal("the killed host left nothing, so this test is none")
	}
	long := time.Now().Add(-time.Hour)
	for _, h := range []*Host{alive, killed} {
		if err := os.Chtimes(h.folder, long, long); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); len(litter(t, killed)) > 0; { // what was killed takes a while to be gone
		if time.Now().After(deadline) {
			t.Fatalf("still there: %v", litter(t, killed))
		}
		next, err := boot(ns, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := next.end(); err != nil {
			t.Fatal(err)
		}
	}
	if got := alive.Run(t, "cat", "/proc/1/comm"); got != "systemd\n" {
		t.Errorf("process 1 of the host beside it is %q", got)
	}
	if _, err := os.Lstat(alive.folder); err != nil {
		t.Errorf("a living host was swept: %v", err)
	}
}

// TestTerminatedHostCleansUp sends what a process group gets that is ended by a
// time limit: the host goes when the test's end of its standard input does.
func TestTerminatedHostCleansUp(t *testing.T) {
	need(t)
	h, err := boot(testnet.New(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.boot.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := h.off.Close(); err != nil {
		t.Fatal(err)
	}
	if err := h.boot.Wait(); err != nil {
		t.Error(err)
	}
	if left := litter(t, h); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// litter is what there is of a host outside it.
func litter(t *testing.T, h *Host) (paths []string) {
	t.Helper()
	if _, err := os.Lstat(h.folder); err == nil {
		paths = append(paths, h.folder)
	}
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), filepath.Base(h.folder)) {
			paths = append(paths, path)
		}
		return nil // cgroups come and go
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
