package testhost

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

func TestHostIsItsOwn(t *testing.T) {
	share := t.TempDir()
	if err := os.WriteFile(filepath.Join(share, "hello"), []byte("from outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("up", func(t *testing.T) {
		h := Boot(t, testnet.New(t), share)
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
	traces, _ := filepath.Glob(filepath.Join(os.TempDir(), "ctferry-host-*"))
	if _, err := os.Lstat("/etc/ctferry-test-trace"); err == nil || len(traces) > 0 {
		t.Errorf("left behind: %v", traces)
	}
	if _, err := os.Stat("/usr/bin/yes"); err != nil {
		t.Errorf("a change reached the machine: %v", err)
	}
	left, _ := filepath.Glob("/sys/fs/cgroup/*/ctferry-test-*")
	more, _ := filepath.Glob("/sys/fs/cgroup/ctferry-test-*")
	if left = append(left, more...); len(left) > 0 {
		t.Errorf("cgroups left behind: %v", left)
	}
}
