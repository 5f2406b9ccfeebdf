package control

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
	"golang.org/x/sys/unix"
)

// bigTable is how many entries are listed. The kernel's default maximum is 262144.
const bigTable = 250_000

// most is how much more memory either side may have at its peak, bytes.
const most = 48 << 20

// TestBigTable lists a table of the real kernel over NATS, with the node and the
// caller each a process of its own, complete and in bounded memory on both sides.
func TestBigTable(t *testing.T) {
	if testing.Short() {
		t.Skip("a large table")
	}
	ns := testnet.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	made, err := testnet.Churn{NS: ns, Entries: bigTable, Keep: true}.Run(ctx)
	if err != nil {
		testnet.Unavailable(t, "a table of %d entries: %v after %d", bigTable, err, made.Created)
	}
	b := natstest.Start(t)
	node := runRole(t, ctx, "node", b.ClientURL(), ns.Path())
	node.until(t, "serving")
	caller := runRole(t, ctx, "caller", b.ClientURL(), "")
	report := caller.until(t, "listed")
	t.Logf("caller: %s", report)
	if rows, _ := strconv.Atoi(strings.Fields(report)[1]); rows != bigTable {
		t.Errorf("%d rows came, want %d", rows, bigTable)
	}
	sane(t, report)
	// A caller that is stopped in the middle costs the node no more.
	stopped := runRole(t, ctx, "stopper", b.ClientURL(), "")
	stopped.until(t, "stopped reading")
	fmt.Fprintln(node.in, "peak")
	report = node.until(t, "node")
	t.Logf("%s", report)
	sane(t, report)
}

// sane checks a role's report.
func sane(t *testing.T, report string) {
	t.Helper()
	if strings.Contains(report, tooMuch) {
		t.Error(report)
	}
}

// TestBigTableEntries: each entry of a large table comes once.
func TestBigTableEntries(t *testing.T) {
	if testing.Short() {
		t.Skip("a large table")
	}
	const entries = 50_000
	ns := testnet.New(t)
	if _, err := (testnet.Churn{NS: ns, Entries: entries, Keep: true}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := natstest.Start(t)
	x := executor(ns)
	o := newOrigin("edge-1", 1)
	x.Origin = func(string) *flow.Origin { return o }
	runNode(t, b.Dial(t), o, x).serving(t)
	seen := map[uint64]bool{}
	res, err := newClient(t, b.Dial(t), patiently).Node("edge-1").Call(within(t), listAll(), func(b *flow.Batch) error {
		for i := range b.Events() {
			seen[b.Events()[i].FlowID] = true
		}
		return nil
	})
	if err != nil || res.Count != entries || len(seen) != entries {
		t.Errorf("%d entries, %+v, %v", len(seen), res, err)
	}
}

// role is this program run again as one side of a test.
type role struct {
	in    io.WriteCloser
	lines *bufio.Scanner
}

const roleEnv = "CTFERRY_TEST_ROLE"

// runRole runs TestRole in a process of its own until the test ends.
func runRole(t *testing.T, ctx context.Context, name, url, netns string) *role {
	t.Helper()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", "^TestRole$", "-test.v")
	cmd.Env = append(os.Environ(), roleEnv+"="+name, "ROLE_URL="+url, "ROLE_NETNS="+netns)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &role{in: in, lines: bufio.NewScanner(out)}
}

// until reads up to a line that begins so.
func (r *role) until(t *testing.T, begin string) string {
	t.Helper()
	var all []string
	for r.lines.Scan() {
		if line := r.lines.Text(); strings.HasPrefix(line, begin) {
			return line
		}
		all = append(all, r.lines.Text())
	}
	t.Fatalf("no line begins with %q: %q", begin, all)
	return ""
}

// TestRole is one side of TestBigTable, in its own process.
func TestRole(t *testing.T) {
	name := os.Getenv(roleEnv)
	if name == "" {
		t.Skip("run by TestBigTable")
	}
	nc, err := natsDial(t, os.Getenv("ROLE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	switch name {
	case "node":
		o := newOrigin("edge-1", 1)
		x := &Executor{
			Open: func(string) (Session, error) {
				return ctnetlink.Dial(ctnetlink.DialConfig{NetNS: os.Getenv("ROLE_NETNS")})
			},
			Origin: func(string) *flow.Origin { return o },
		}
		n := runNode(t, nc, o, x).serving(t)
		before := resetPeak(t)
		fmt.Println("serving")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		eventually(t, "nothing is under way", func() bool { return n.underWay() == 0 })
		fmt.Println("node", peakReport(t, before))
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "caller", "stopper":
		begun, before, rows := time.Now(), resetPeak(t), 0
		_, err := newClient(t, nc, patiently).Node("edge-1").Call(within(t), listAll(), func(b *flow.Batch) error {
			if rows += b.Len(); name == "stopper" && rows > bigTable/2 {
				fmt.Println("stopped reading")
				return unix.Kill(os.Getpid(), unix.SIGSTOP)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("listed", rows, "rows in", time.Since(begun).Round(time.Millisecond), peakReport(t, before))
	}
}

// resetPeak begins a new peak of this process's resident memory (proc(5),
// clear_refs) and gives what it is now, bytes.
func resetPeak(t *testing.T) uint64 {
	t.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	return memory(t, "VmRSS")
}

// tooMuch stands in a report of a peak that is too high.
const tooMuch = "too much"

// peakReport tells this process's peak.
func peakReport(t *testing.T, before uint64) string {
	t.Helper()
	peak := memory(t, "VmHWM")
	report := fmt.Sprintf("peak %.1f MiB, before %.1f MiB", float64(peak)/(1<<20), float64(before)/(1<<20))
	if peak > before+most {
		report += ", " + tooMuch
	}
	return report
}

// memory reads a line of /proc/self/status, bytes.
func memory(t *testing.T, name string) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name+":" {
			n, err := strconv.ParseUint(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("/proc/self/status has no %s", name)
	return 0
}
