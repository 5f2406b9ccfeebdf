package testnet

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// insideEnv tells TestInside that it runs in a re-executed copy of this test.
const insideEnv = "TESTNET_INSIDE"

// TestInside is the part of the tests below that runs in a copy of this program. It does
// what ctferry demo does: takes the namespace it was born in and makes traffic there.
func TestInside(t *testing.T) {
	if os.Getenv(insideEnv) == "" {
		t.Skip("runs only inside the others")
	}
	ns, err := Inherited()
	if err != nil || !Reexecuted() {
		t.Fatalf("re-executed %v: %v", Reexecuted(), err)
	}
	defer ns.Close()
	if err := errors.Join(ns.Up(), ns.Record(), ns.Lay(Track())); err != nil {
		t.Fatal(err)
	}
	tally, err := Mix{NS: ns, Flows: 50}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := ns.ConntrackCount(t); got != 50 || tally.Total() != 50 {
		t.Errorf("%d entries of %v", got, tally)
	}
	done, err := Churn{NS: ns, Entries: 100}.Run(t.Context())
	if err != nil || done.Events() != 200 {
		t.Errorf("churned %+v: %v", done, err)
	}
	if os.Geteuid() != 0 {
		t.Errorf("user %d inside, expected root", os.Geteuid())
	}
}

func TestReexec(t *testing.T) {
	New(t) // skips where namespaces are refused
	t.Setenv(insideEnv, "1")
	cmd, err := Reexec(t.Context(), "-test.run=^TestInside$", "-test.v", "-test.count=1")
	if err != nil {
		t.Fatal(err)
	}
	passed(t, cmd)
}

// TestAsNobody runs a copy without any privilege: Main gives it a user namespace.
func TestAsNobody(t *testing.T) {
	if os.Geteuid() != 0 || Reexecuted() {
		t.Skip("this test becomes nobody, which only root can")
	}
	t.Setenv(insideEnv, "1")
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestInside$|^TestRules$|^TestTraffic$|^TestUp", "-test.v", "-test.count=1")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	passed(t, cmd)
}

// passed runs a copy of the tests and expects that TestInside ran and none failed.
func passed(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if strings.Contains(out.String(), "need root or unprivileged user namespaces") {
		Unavailable(t, "unprivileged user namespaces are refused")
	}
	if err != nil || !strings.Contains(out.String(), "--- PASS: TestInside") || strings.Contains(out.String(), "--- SKIP: TestRules") {
		t.Errorf("%v: %s", err, out.Bytes())
	}
}

func TestReexecEndsWithItsContext(t *testing.T) {
	New(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	t.Setenv(sleepEnv, "1")
	cmd, err := Reexec(ctx, "-test.run=^TestSleep$")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = nil
	start := time.Now()
	if err := cmd.Run(); err == nil || time.Since(start) > 4*time.Second {
		t.Errorf("ended after %v: %v; expected a signal at 200 ms", time.Since(start), err)
	}
}

// sleepEnv makes TestSleep sleep.
const sleepEnv = "TESTNET_SLEEP"

func TestSleep(t *testing.T) {
	if os.Getenv(sleepEnv) == "" {
		t.Skip("runs only inside the others")
	}
	time.Sleep(20 * time.Second)
}

func TestInheritedOnlyAfterReexec(t *testing.T) {
	if Reexecuted() {
		t.Skip("this process was re-executed")
	}
	for _, value := range []string{"", "nonsense", "0x5"} {
		t.Setenv(marker, value)
		if ns, err := Inherited(); err == nil {
			ns.Close()
			t.Errorf("marker %q: the machine's own namespace was handed out", value)
		}
	}
}

func TestPrivateAttr(t *testing.T) {
	root, user := privateAttr(0, 0), privateAttr(1000, 100)
	if root.Cloneflags != unix.CLONE_NEWNET || root.UidMappings != nil {
		t.Errorf("root: %+v", root)
	}
	if user.Cloneflags != unix.CLONE_NEWNET|unix.CLONE_NEWUSER || user.UidMappings[0].HostID != 1000 || user.GidMappings[0].HostID != 100 {
		t.Errorf("user: %+v", user)
	}
}
