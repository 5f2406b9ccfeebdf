// Package packaging holds the recipe of the packages, and no code: its tests
// build them, and install, run, upgrade and remove them on a host of their own
// with the real dpkg, rpm and systemd.
package packaging

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testhost"
	"github.com/ctferry/ctferry/internal/testnet"
)

func TestMain(m *testing.M) {
	code := testnet.Main(m)
	os.RemoveAll(builtDir())
	os.Exit(code)
}

// builtDir is where this test run keeps its packages.
func builtDir() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("ctferry-packages-%d", os.Getpid()))
}

// built makes the packages of this machine's architecture once, in two
// versions, and gives their folder.
var built = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // one build a test run
	dir := builtDir()
	if err := os.RemoveAll(dir); err != nil { // of a killed run that had the same number
		return dir, err
	}
	for _, version := range []string{"v1.0.0", "v1.1.0"} {
		if err := build("../..", dir, version, "RELEASE=0", runtime.GOARCH); err != nil {
			return dir, err
		}
	}
	return dir, nil
})

// build runs the script of a tree.
func build(tree, out, version, release string, archs ...string) error {
	cmd := exec.Command(filepath.Join(tree, "configs/package/build"), append([]string{out, version}, archs...)...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1790000000", release)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", version, err, text)
	}
	return nil
}

// packages gives the folder of the built packages.
func packages(t *testing.T) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// machine is a host with the folder of packages, in a namespace that tracks.
type machine struct {
	*testhost.Host
	t  *testing.T
	ns *testnet.Namespace
}

func newMachine(t *testing.T) machine {
	t.Helper()
	ns := testnet.New(t)
	for _, err := range []error{ns.Up(), ns.Record(), ns.Lay(testnet.Track())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	m := machine{testhost.Boot(t, ns, packages(t)), t, ns}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := m.Try("journalctl", "--no-pager", "-o", "cat", "-u", "ctferry*", "-n", "100")
			t.Logf("journal:\n%s", out)
		}
	})
	return m
}

// deb is where a version's .deb is on the machine.
func deb(version string) string {
	return fmt.Sprintf("%s/ctferry_%s_%s.deb", testhost.Share, version, runtime.GOARCH)
}

// installed is a machine with the first version installed.
func installed(t *testing.T) machine {
	t.Helper()
	if _, err := exec.LookPath("dpkg"); err != nil {
		testnet.Unavailable(t, "no dpkg: %v", err)
	}
	m := newMachine(t)
	m.Run(t, "dpkg", "-i", deb("1.0.0"))
	return m
}

// write writes a file on the machine.
func (m machine) write(path, text string) {
	m.t.Helper()
	cmd := m.Command("sh", "-c", `mkdir -p "$(dirname "$0")" && cat >"$0"`, path)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("write %s: %v: %s", path, err, out)
	}
}

// dropIn adds directives to a unit.
func (m machine) dropIn(unit, name, text string) {
	m.t.Helper()
	m.write("/etc/systemd/system/"+unit+".d/"+name, text)
	m.Run(m.t, "systemctl", "daemon-reload")
}

// pid is a unit's main process, as it is called on the machine; "0" for none.
func (m machine) pid(unit string) string {
	m.t.Helper()
	return m.Property(m.t, unit, "MainPID")
}

// active wants a unit to run.
func (m machine) active(unit string) {
	m.t.Helper()
	if got := m.Property(m.t, unit, "ActiveState"); got != "active" {
		m.t.Fatalf("%s is %s", unit, got)
	}
}

// records waits until a file has so many records of a type.
func (m machine) records(path, eventType string, want int) {
	m.t.Helper()
	var got string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		out, _ := m.Try("grep", "-c", `"event_type":"`+eventType+`"`, path)
		if got = strings.TrimSpace(out); got == fmt.Sprint(want) {
			return
		}
	}
	m.t.Fatalf("%s has %s %s records, expected %d", path, got, eventType, want)
}

// churn makes entries in the machine's table and deletes them.
func (m machine) churn(entries int) {
	m.t.Helper()
	if _, err := (testnet.Churn{NS: m.ns, Entries: entries}).Run(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// eventually waits until ok holds.
func (m machine) eventually(what string, ok func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("waited in vain: %s", what)
		}
	}
}
