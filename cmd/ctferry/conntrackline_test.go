package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

// TestRowsJoinEvents holds that a row of -L -o json has the flow id of the
// event that -E -o json tells of it, and the namespace's name with --netns.
func TestRowsJoinEvents(t *testing.T) {
	name := fmt.Sprintf("ctferry-join-%d", os.Getpid())
	ns := testnet.NewNamed(t, name)
	if err := ns.Up(); err != nil {
		t.Fatal(err)
	}
	events := listen(t, ns, binary(t), []string{"-E", "-o", "json", "-e", "NEW"})
	run := tool(binary(t), "ctferry")
	create := strings.Fields("-I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2 -t 100")
	if o := run(t, ns, &parityLine{argv: create}, false); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	row := struct {
		FlowID string `json:"flow_id"`
		Time   string `json:"time"`
		NetNS  string `json:"netns"`
		Seq    any    `json:"seq"`
	}{}
	event := row
	out, err := exec.Command(binary(t), "-L", "-o", "json", "--netns", name).Output() // from outside
	if err != nil || json.Unmarshal(out, &row) != nil || row.NetNS != name || row.Time == "" {
		t.Fatalf("%v: %s", err, out)
	}
	o := events.end(t)
	if err := json.Unmarshal([]byte(o.stdout), &event); err != nil || event.FlowID == "" || event.FlowID != row.FlowID {
		t.Errorf("row %+v, event %+v: %v", row, event, err)
	}
}

// TestNoSuchNamespace: the name that is wrong is told, and not only the kernel's
// word, which would be one about entries.
func TestNoSuchNamespace(t *testing.T) {
	var out, errOut strings.Builder
	code := conntrackLine([]string{"ctferry", "-L", "--netns", "no-such"}, strings.NewReader(""), &out, &errOut)
	if code != exitError || out.String() != "" || !strings.Contains(errOut.String(), "--netns: stat /run/netns/no-such: no such file") {
		t.Errorf("code %d, output %q, error %q", code, out.String(), errOut.String())
	}
}

// TestSaveAndLoad saves a table, loads it into an empty one, and loads it once
// more: -A takes what exists for done, however much that is.
func TestSaveAndLoad(t *testing.T) {
	ns := loadedNamespace(t)
	if _, err := (testnet.Churn{NS: ns, Entries: 700, Keep: true, Mark: 7, Zone: 9}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := func(stdin string, words ...string) outcome {
		t.Helper()
		o := tool(binary(t), "ctferry")(t, ns, &parityLine{argv: words, stdin: stdin}, false)
		if o.code != 0 {
			t.Fatalf("%q: %+v", words, o)
		}
		return o
	}
	saved := run("", "-L", "-o", "save").stdout
	list := func() []string { // without what runs
		rows, _ := normalLines(run("", "-L", "-o", "extended").stdout, false)
		return rows
	}
	before := list()
	run("", "-F")
	for range 2 {
		if o := run(saved, "-R", "-"); o.stderr != "" {
			t.Errorf("%+v", o)
		}
		if after := list(); !slices.Equal(before, after) {
			t.Fatalf("%d rows, then %d", len(before), len(after))
		}
	}
}

// TestReaderThatGoesAway ends quietly when nobody reads any more, as head does.
func TestReaderThatGoesAway(t *testing.T) {
	ns := loadedNamespace(t)
	if _, err := (testnet.Churn{NS: ns, Entries: 20000, Keep: true}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{{"-L"}, {"-L", "-o", "json"}, {"-D"}} {
		cmd := exec.Command(binary(t), argv...)
		var diag strings.Builder
		cmd.Stderr = &diag
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := ns.Start(cmd); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		out.Close()
		_ = cmd.Wait()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if diag.Len() > 0 || !status.Signaled() || status.Signal() != syscall.SIGPIPE {
			t.Errorf("%q: %v, %s", argv, cmd.ProcessState, &diag)
		}
	}
}

// TestInterruptedList ends by the signal, as any tool that a shell starts.
func TestInterruptedList(t *testing.T) {
	ns := loadedNamespace(t)
	if _, err := (testnet.Churn{NS: ns, Entries: 20000, Keep: true}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary(t), "-L")
	out, err := cmd.StdoutPipe() // and nobody reads
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("%v", cmd.ProcessState)
	}
}

// TestWithoutRights says what is missing.
func TestWithoutRights(t *testing.T) {
	if os.Getuid() != 0 {
		testnet.Unavailable(t, "only root can drop root's rights")
	}
	for _, argv := range [][]string{{"-L"}, {"-D", "-p", "50"}, {"-E"}, {"-C"}} {
		cmd := exec.Command(binary(t), argv...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			testnet.Unavailable(t, "another user cannot run the test's program: %v", err)
		}
		if cmd.ProcessState.ExitCode() != exitError || !strings.Contains(string(out), "you must be root or get CAP_NET_ADMIN") {
			t.Errorf("%q: %v: %s", argv, err, out)
		}
	}
}

// TestNobodyToAsk: how NATS is to be found is part of the command line, so a
// line that does not say it is a wrong one, as with nodes.
func TestNobodyToAsk(t *testing.T) {
	for _, args := range [][]string{
		{"-L", "--node", "x", "--nats-context", "/absent.json"},
		{"-R", "-", "--node", "x", "--nats-context", "/absent.json"},
	} {
		cmd := exec.CommandContext(t.Context(), binary(t), args...)
		cmd.Stdin = strings.NewReader("-F\n")
		runInside(t, nil, cmd).want(t, exitUsage, "/absent.json")
	}
}
