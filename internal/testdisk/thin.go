// Package testdisk gives tests a disk that fails: a real file system, on a real
// block device that has less room than it promised. It is imported by tests alone.
package testdisk

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
)

// Thin is an ext4 without a journal on a device that is thinly provisioned: it
// takes what is written, and the disk finds out later, in an fsync or by itself,
// that there is no place for it. What fsync has told of once the kernel takes to be
// written, and is gone when the file system is mounted anew.
type Thin struct {
	Dir     string // where it is mounted
	image   string
	backing string
}

// NewThin makes and mounts one of 16 MiB of which there are really some hundred
// KiB. A test is skipped where that cannot be done; with REQUIRE_ALL=1 it fails.
func NewThin(t testing.TB) *Thin {
	t.Helper()
	d := &Thin{Dir: t.TempDir(), backing: t.TempDir()}
	d.image = filepath.Join(d.backing, "image")
	if err := unix.Mount("tmpfs", d.backing, "tmpfs", 0, "size=1m"); err != nil {
		lacking(t, err)
	}
	t.Cleanup(func() { detach(t, d.backing) })
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, 16<<20); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.ext4", "-q", "-O", "^has_journal", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", d.image)
	d.mount(t)
	t.Cleanup(func() { detach(t, d.Dir) })
	return d
}

// Keep makes true what the disk has promised, from now on.
func (d *Thin) Keep(t testing.TB) {
	t.Helper()
	if err := unix.Mount("", d.backing, "", unix.MS_REMOUNT, "size=32m"); err != nil {
		t.Fatal(err)
	}
}

// Remount shows what the disk really has. No file of it may be open.
func (d *Thin) Remount(t testing.TB) {
	t.Helper()
	if err := unix.Unmount(d.Dir, 0); err != nil {
		t.Fatal(err)
	}
	d.mount(t)
}

func (d *Thin) mount(t testing.TB) {
	t.Helper()
	device := run(t, "losetup", "--find", "--show", d.image)
	defer run(t, "losetup", "--detach", device) // once it is not mounted any more
	// A page at a time: of a larger write that fails half way loop(4) says that it is done.
	most := filepath.Join("/sys/block", filepath.Base(device), "queue/max_sectors_kb")
	if err := os.WriteFile(most, []byte("4"), 0); err != nil {
		lacking(t, err)
	}
	run(t, "mount", "-o", "errors=continue", device, d.Dir)
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Logf("%s: %s", name, out)
		lacking(t, err)
	}
	return strings.TrimSpace(string(out))
}

func lacking(t testing.TB, err error) {
	t.Helper()
	testnet.Unavailable(t, "a disk that fails needs mkfs.ext4, and the right to mount: %v", err)
}

func detach(t testing.TB, dir string) {
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Error(err)
	}
}
