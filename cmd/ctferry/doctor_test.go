package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/doctor"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"
)

// smallBuffer is one that a process in a user namespace of its own may have too.
const smallBuffer = "source.buffer={size: 256KiB, max: 256KiB}"

// soundNamespace is one in which nothing is wrong.
func soundNamespace(t *testing.T) *testnet.Namespace {
	t.Helper()
	ns := testnet.New(t)
	if err := errors.Join(ns.Up(), ns.Lay(testnet.Track()), ns.Record()); err != nil {
		t.Fatal(err)
	}
	return ns
}

// soundArgs leave out what a test cannot prepare: the machine's clock, where
// nothing keeps it right.
func soundArgs(args ...string) []string {
	args = append([]string{"doctor", "--set", smallBuffer}, args...)
	var tx unix.Timex
	if state, err := unix.Adjtimex(&tx); err == nil && (state == unix.TIME_ERROR || tx.Status&unix.STA_UNSYNC != 0) {
		args = append(args, "--skip", "clock")
	}
	return args
}

// examined is what the program said.
type examined struct {
	code        int
	out, errOut string
	findings    []doctor.Finding // of --json
}

// examineHost runs the program on a namespace.
func examineHost(t *testing.T, ns *testnet.Namespace, args ...string) examined {
	t.Helper()
	return runDoctor(t, exec.Command(binary(t), soundArgs(append(args, "--netns", ns.Path())...)...))
}

func runDoctor(t *testing.T, cmd *exec.Cmd) examined {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	x := examined{code: cmd.ProcessState.ExitCode(), out: out.String(), errOut: errOut.String()}
	if slices.Contains(cmd.Args, "--json") && x.code != exitUsage {
		x.read(t)
	}
	return x
}

// read reads the report, strictly.
func (x *examined) read(t *testing.T) {
	t.Helper()
	var report struct {
		Schema                    string
		NetNS                     string
		Sound                     bool
		Faults, Warnings, Unknown int
		Checks                    []doctor.Finding
	}
	dec := json.NewDecoder(strings.NewReader(x.out))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&report); err != nil {
		t.Fatalf("%v in %s%s", err, x.out, x.errOut)
	}
	if report.Schema != "ctferry.doctor.v1" || report.Sound != (report.Faults+report.Warnings == 0) || (x.code == exitError) != (report.Faults > 0) {
		t.Errorf("code %d with %s", x.code, x.out)
	}
	x.findings = report.Checks
}

// bad gives what is not good, as "severity id" in order, each once.
func (x *examined) bad() []string {
	var bad []string
	for _, f := range x.findings {
		if s := f.Severity.String() + " " + f.ID; f.Severity != doctor.OK && !slices.Contains(bad, s) {
			bad = append(bad, s)
		}
	}
	return bad
}

// want wants exactly these findings that are not good.
func (x *examined) want(t *testing.T, bad ...string) {
	t.Helper()
	if got := x.bad(); !slices.Equal(got, bad) {
		t.Errorf("found %q, expected %q:\n%s%s", got, bad, x.out, x.errOut)
	}
}

// finding gives the first of a check that is not good.
func (x *examined) finding(t *testing.T, id string) doctor.Finding {
	t.Helper()
	for _, f := range x.findings {
		if f.ID == id && f.Severity != doctor.OK {
			return f
		}
	}
	t.Fatalf("no finding of %s in %s", id, x.out)
	return doctor.Finding{}
}

// paste runs a fix as one would.
func paste(t *testing.T, fix string) {
	t.Helper()
	if program := strings.Fields(fix + " ?")[0]; program != "(" {
		if _, err := exec.LookPath(program); err != nil {
			testnet.Unavailable(t, "%v", err)
		}
	}
	if out, err := exec.Command("sh", "-c", fix).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", fix, err, out)
	}
}

const soundConfig = `
node: edge-1
connections:
  hub: {type: nats, urls: [%[1]s]}
sinks:
  file: {type: file, path: %[2]s/flows.jsonl, rotate: {size: 1MiB, keep: 2}}
  siem: {type: kafka, brokers: [%[3]s], topic: flows}
  bus: {type: nats, connection: hub, subject: "flows.{node}.{event_type}", jetstream: {stream: FLOWS}}
spool: {mode: always, dir: %[2]s/spool, max: 16MiB, min_free: 1MiB, segment: 1MiB}
control: {enabled: true, connection: hub}
nats_server: {enabled: true, listen: "127.0.0.1:0", store_dir: %[2]s/nats, jetstream: {max_store: 16MiB}, tls: {cert_file: %[4]s, key_file: %[5]s}}
`

// TestDoctorIsSilentOnASoundHost prepares a host and what its configuration
// names: one line, and nothing is left behind where it asked.
func TestDoctorIsSilentOnASoundHost(t *testing.T) {
	t.Parallel()
	ns, dir := soundNamespace(t), t.TempDir()
	hub := natstest.Start(t, func(c *natsconn.ServerConfig) { c.StoreDir = t.TempDir() })
	js, err := jetstream.New(hub.Dial(t))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "FLOWS", Subjects: []string{"flows.>"}})
	if err != nil {
		t.Fatal(err)
	}
	brokers, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "flows"))
	if err != nil {
		t.Fatal(err)
	}
	defer brokers.Close()
	cert, key := natstest.NewAuthority(t).Issue(t, "server", 90*24*3600*1e9)
	cfg := writeFile(t, t.TempDir(), "c.yaml", fmt.Sprintf(soundConfig, hub.Config().URLs[0], dir, brokers.ListenAddrs()[0], cert, key))

	x := examineHost(t, ns, "-c", cfg)
	if x.code != exitOK || x.errOut != "" || !strings.HasPrefix(x.out, "sound: ") || strings.Count(x.out, "\n") != 1 || strings.Contains(x.out, "could not") {
		t.Errorf("code %d, output:\n%s%s", x.code, x.out, x.errOut)
	}
	x = examineHost(t, ns, "-c", cfg, "--json", "--strict")
	x.want(t)
	seen := map[string]bool{"clock": true, "best_effort": true, "labels": true, "zones": true} // nothing to say of these
	for _, f := range x.findings {
		seen[f.ID] = true
		if f.Title == "" || f.Found == "" || f.Why == "" || f.Fix != "" {
			t.Errorf("%+v", f)
		}
	}
	for _, id := range doctor.IDs() {
		if !seen[id] {
			t.Errorf("nothing was said of %s", id)
		}
	}
	if info, err := stream.Info(t.Context()); err != nil || info.State.Msgs != 0 {
		t.Errorf("the stream after it: %+v, %v", info, err)
	}
	if left, err := filepath.Glob(dir + "/*"); err != nil || len(left) > 0 {
		t.Errorf("it left %q", left)
	}
	if x := examineHost(t, ns, "-c", cfg, "-v"); x.code != exitOK || strings.Count(x.out, "\nok ") < 20 {
		t.Errorf("-v: code %d, output:\n%s", x.code, x.out)
	}
}

func TestDoctorRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"doctor", "extra"}, "expected no argument"},
		{[]string{"doctor", "--skip", "moon"}, `--skip: "moon" is no check: expected some of capability`},
		{[]string{"doctor", "--netns", "absent-ns"}, "--netns: open /run/netns/absent-ns: no such file or directory: expected a name under /run/netns"},
		{[]string{"doctor", "-c", "/absent.yaml"}, "no such file"},
	} {
		if code, out, errOut := run(tt.args...); code != exitUsage || out != "" || !strings.Contains(errOut, tt.want) {
			t.Errorf("%q: code %d, output %q, error %q", tt.args, code, out, errOut)
		}
	}
}
