package packaging

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

// TestReproducible builds a release twice, the second time from a copy of the
// tree in another folder with other times, and compares every byte.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("two builds for two architectures")
	}
	var sums []string
	for _, tree := range []string{"../..", copyTree(t)} {
		out := t.TempDir()
		if err := build(tree, out, "v1.0.0", "RELEASE=1", "amd64", "arm64"); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(out, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, string(text))
		complete(t, out, string(text))
	}
	t.Logf("%s", sums[0])
	if sums[0] != sums[1] {
		t.Errorf("the second build differs:\n%s", sums[1])
	}
}

// complete wants everything that a release has, and its sums right.
func complete(t *testing.T, dir, sums string) {
	t.Helper()
	for _, name := range []string{
		"ctferry_1.0.0_amd64.deb", "ctferry_1.0.0_arm64.deb", "ctferry-1.0.0-1.x86_64.rpm", "ctferry-1.0.0-1.aarch64.rpm",
		"ctferry-1.0.0-linux-amd64.tar.gz", "ctferry-1.0.0-linux-arm64.tar.gz",
		"ctferry-1.0.0-linux-amd64.cdx.json", "ctferry-1.0.0-linux-arm64.cdx.json",
	} {
		if !strings.Contains(sums, "  "+name+"\n") {
			t.Errorf("SHA256SUMS has no %s", name)
		}
	}
	check := exec.Command("sha256sum", "--check", "--quiet", "SHA256SUMS")
	check.Dir = dir
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1+strings.Count(sums, "\n") {
		t.Errorf("%d files: %v", len(files), err)
	}
}

// copyTree copies what git knows or would take; the copies are new files.
func copyTree(t *testing.T) string {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = "../.."
	out, err := list.Output()
	if err != nil {
		testnet.Unavailable(t, "not a git tree: %v", err)
	}
	dir := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if err := copyFile(filepath.Join("../..", name), filepath.Join(dir, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return dir
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, info.Mode().Perm()|0o020) // group-writable, as under umask 002
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// TestVersions: dpkg sorts what the script makes of git's words as git means them.
func TestVersions(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		testnet.Unavailable(t, "dpkg is not installed")
	}
	script, err := os.ReadFile("build")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(script), "case $version in")
	rule, _, ok := strings.Cut(rest, "esac")
	if !ok {
		t.Fatal("build no longer makes versions")
	}
	var made []string
	for _, version := range []string{"unknown", "v1.2.0-rc1", "v1.2.0-rc1-3-g0123abc", "v1.2.0", "v1.2.0-4-g0123abc", "v1.2.0-4-g0123abc-dirty", "v1.10.0"} {
		out, err := exec.Command("sh", "-c", "version=$0; case $version in"+rule+"esac; printf %s \"$PACKAGE_VERSION\"", version).Output()
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, string(out))
	}
	t.Logf("%q", made)
	for i, v := range made[1:] {
		if err := exec.Command("dpkg", "--compare-versions", made[i], "lt", v).Run(); err != nil {
			t.Errorf("%s is not before %s", made[i], v)
		}
		if strings.Contains(v, "-") { // rpm refuses it, dpkg takes it for a revision
			t.Errorf("%s", v)
		}
	}
	if slices.Contains(made, "") {
		t.Errorf("%q", made)
	}
}
