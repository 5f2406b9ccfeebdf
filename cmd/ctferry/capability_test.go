package main

import (
	"bytes"
	le "encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
)

// image lays out what the Dockerfile does: a root with the binary, whose file
// has CAP_NET_ADMIN as permitted, and a folder of the user's own.
func image(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		testnet.Unavailable(t, "file capabilities and chroot need root")
	}
	root := t.TempDir()
	for p := root; p != "/" && p != os.TempDir(); p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copyBinary(t, filepath.Join(root, "ctferry"))
	if err := os.Mkdir(filepath.Join(root, "log"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(root, "log"), 65532, 65532); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("/proc", filepath.Join(root, "proc"), "", unix.MS_BIND, ""); err != nil {
		testnet.Unavailable(t, "mounting is refused: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(filepath.Join(root, "proc"), unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	// struct vfs_cap_data, revision 2, without VFS_CAP_FLAGS_EFFECTIVE: cap_net_admin=p.
	data := le.LittleEndian.AppendUint32(nil, 0x02000000)
	data = le.LittleEndian.AppendUint32(data, 1<<unix.CAP_NET_ADMIN)
	data = append(data, make([]byte, 12)...)
	if err := unix.Setxattr(filepath.Join(root, "ctferry"), "security.capability", data, 0); err != nil {
		testnet.Unavailable(t, "file capabilities are refused: %v", err)
	}
	return root
}

func copyBinary(t *testing.T, to string) {
	t.Helper()
	in, err := os.Open(binary(t))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// inImage prepares a command as the image's user.
func inImage(root string, args ...string) *exec.Cmd {
	cmd := exec.Command("/ctferry", args...)
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	return cmd
}

// TestImageUserIsNotRoot runs the service as the image does, as a user without
// any right but the capability of the file.
func TestImageUserIsNotRoot(t *testing.T) {
	root, ns := image(t), loadedNamespace(t)
	cmd := inImage(root, "run", "--set", "sinks.f.type=file", "--set", "sinks.f.path=/log/flows")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() //nolint:errcheck // it may have ended
	flows := filepath.Join(root, "log/flows")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(flows); err == nil {
			break
		}
		if time.Now().After(deadline) {
			cmd.Process.Kill() //nolint:errcheck // the test fails already
			cmd.Wait()         //nolint:errcheck
			t.Fatalf("it does not start: %s", log.String())
		}
	}
	churn(t, ns, 50)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, log.String())
	}
	text, err := os.ReadFile(flows)
	if err != nil || strings.Count(string(text), `"event_type":"new"`) != 50 {
		t.Errorf("%v; log %s; records:\n%s", err, log.String(), text)
	}
}

// TestImageWithoutTheCapability: a container that grants nothing still prints
// the version and checks a configuration, and run says what it lacks.
func TestImageWithoutTheCapability(t *testing.T) {
	root, ns := image(t), loadedNamespace(t)
	for _, tt := range []struct{ command, want string }{
		{"version", "ctferry "}, {"run", "CAP_NET_ADMIN"},
	} {
		// The bounding set is dropped as a container engine does it, before the user changes.
		cmd := exec.Command("setpriv", "--bounding-set=-net_admin", "chroot", "--userspec=65532:65532", root, "/ctferry", tt.command)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := ns.Run(cmd)
		if (err == nil) != (tt.command == "version") || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: %v: %s", tt.command, err, out.String())
		}
	}
}
