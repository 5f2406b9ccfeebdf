package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
)

// TestDoctorFindsFaultsOfTheHost plants one fault at a time into a sound
// namespace. The report has it and nothing else; the command that it gives,
// pasted into a shell, or else the fault's end, makes it silent again.
func TestDoctorFindsFaultsOfTheHost(t *testing.T) {
	t.Parallel()
	sysctl := func(name, value string) func(*testing.T, *testnet.Namespace) func() {
		return func(t *testing.T, ns *testnet.Namespace) func() {
			if err := ns.Sysctl("net.netfilter.nf_conntrack_"+name, value); err != nil {
				t.Fatal(err)
			}
			return nil
		}
	}
	for _, tt := range []struct {
		name, want, found string
		args              []string
		plant             func(*testing.T, *testnet.Namespace) (mend func()) // nil: the fix does
	}{
		{"no events", "fail events", "is 0", nil, sysctl("events", "0")},
		{"events when listened to", "warn events", "is 2", nil, sysctl("events", "2")},
		{"no counters", "warn acct", "is 0", nil, sysctl("acct", "0")},
		{"no times", "warn timestamp", "is 0", nil, sysctl("timestamp", "0")},
		{"narrowed events", "warn event_mask", "1 rule sets ct event", nil, narrowed},
		{"another listener", "warn listeners", "has lost", nil, stuckListener},
		{"labels", "warn labels", "no rule gives any", []string{"-c", "labels.yaml"}, nil},
		{"a zone", "warn zones", "zone 5 is asked for", []string{"-c", "zones.yaml"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ns, args := soundNamespace(t), []string{"--json"}
			if tt.args != nil {
				args = append(args, "-c", wanting(t, tt.args[1]))
			}
			var mend func()
			if tt.plant != nil {
				mend = tt.plant(t, ns)
			}
			x := examineHost(t, ns, args...)
			x.want(t, tt.want)
			f := x.finding(t, strings.Fields(tt.want)[1])
			if !strings.Contains(f.Found, tt.found) || f.Why == "" || f.Fix == "" {
				t.Errorf("%+v", f)
			}
			if mend == nil {
				mend = func() { paste(t, f.Fix) }
			}
			mend()
			x = examineHost(t, ns, args...)
			x.want(t)
		})
	}
}

// wanting writes a configuration that asks something of the kernel.
func wanting(t *testing.T, name string) string {
	t.Helper()
	filter := map[string]string{"labels.yaml": "label: 3", "zones.yaml": "zone: 5"}[name]
	return writeFile(t, t.TempDir(), name, fmt.Sprintf("sinks: {f: {type: file, path: %s/out, filter: {include: [{%s}]}, rotate: {size: 1MiB, keep: 1}}}\n", t.TempDir(), filter))
}

// narrowed lays a rule that sets which events a flow makes.
func narrowed(t *testing.T, ns *testnet.Namespace) func() {
	nft := func(command string) {
		t.Helper()
		paste(t, "nsenter --net="+ns.Path()+" nft '"+command+"'")
	}
	nft("table inet narrow { chain c { type filter hook output priority 0; ct event set new; }; }")
	return func() { nft("delete table inet narrow") }
}

// stuckListener joins the group of new flows with a tiny buffer and never reads.
func stuckListener(t *testing.T, ns *testnet.Namespace) func() {
	var fd int
	err := ns.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER); err != nil {
			return err
		}
		return errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096),
			unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}))
	})
	if err != nil {
		t.Fatal(err)
	}
	churn(t, ns, 300)
	x := examineHost(t, ns, "--json")
	f := x.finding(t, "listeners")
	if !strings.Contains(f.Subject, fmt.Sprintf("pid %d", os.Getpid())) || !strings.Contains(f.Fix, strconv.Itoa(os.Getpid())) {
		t.Errorf("it does not name this process, %d: %+v", os.Getpid(), f)
	}
	return func() {
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	}
}

// TestDoctorFindsNoTracking pastes the fix into a namespace without a rule.
func TestDoctorFindsNoTracking(t *testing.T) {
	t.Parallel()
	ns := testnet.New(t)
	if err := errors.Join(ns.Up(), ns.Record()); err != nil {
		t.Fatal(err)
	}
	x := examineHost(t, ns, "--json")
	x.want(t, "fail tracking")
	paste(t, x.finding(t, "tracking").Fix)
	x = examineHost(t, ns, "--json")
	x.want(t)
	if n, err := (testnet.Traffic{NS: ns}).UDP(t.Context(), 3, false); err != nil || n != 3 {
		t.Fatal(n, err)
	}
	if n := ns.ConntrackCount(t); n != 3 {
		t.Errorf("with the rule that doctor gave, %d of 3 flows are tracked", n)
	}
}

// TestDoctorFindsAFullTable fills a table to four fifths, then to the brim.
func TestDoctorFindsAFullTable(t *testing.T) {
	t.Parallel()
	ns := soundNamespace(t)
	text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_max")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || most > 300_000 {
		testnet.Unavailable(t, "a table of %s entries takes too long to fill", text)
	}
	all := testnet.Churn{NS: ns, Entries: most*4/5 + 1, Keep: true}
	if _, err := all.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	x := examineHost(t, ns, "--json")
	x.want(t, "warn table")
	if f := x.finding(t, "table"); f.Fix != fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", 2*most) {
		t.Errorf("%+v", f)
	}
	rest := testnet.Churn{NS: ns, First: all.Entries, Entries: most - all.Entries, Keep: true}
	if _, err := rest.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	// New flows now find no room: others end early for them, or they are refused.
	_, _ = (testnet.Traffic{NS: ns}).UDP(t.Context(), 20, false)
	x = examineHost(t, ns, "--json")
	x.want(t, "fail table", "warn drops")
	if err := ns.Run(exec.Command(binary(t), "-F")); err != nil {
		t.Fatal(err)
	}
	x = examineHost(t, ns, "--json")
	x.want(t, "warn drops") // a count since the namespace was made
}

// TestDoctorFindsNoRights runs as a user without the capability, and pastes the
// setcap that it gives.
func TestDoctorFindsNoRights(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		testnet.Unavailable(t, "file capabilities need root")
	}
	ns, dir := soundNamespace(t), t.TempDir()
	for p := dir; p != "/" && p != os.TempDir(); p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copied := filepath.Join(dir, "ctferry")
	copyBinary(t, copied)
	examine := func() examined {
		cmd := exec.Command(copied, soundArgs("--json")...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		var x examined
		if err := ns.Do(func() error { x = runDoctor(t, cmd); return nil }); err != nil {
			t.Fatal(err)
		}
		return x
	}
	x := examine()
	x.want(t, "fail capability", "unknown module", "unknown tracking", "unknown event_mask", "unknown drops", "unknown offload")
	paste(t, x.finding(t, "capability").Fix)
	x = examine()
	x.want(t)
}

// TestDoctorFindsASmallBuffer looks from a user namespace, where rmem_max bounds
// the buffer and there can be no ring.
func TestDoctorFindsASmallBuffer(t *testing.T) {
	t.Parallel()
	inside := func(args ...string) examined {
		cmd := exec.Command(binary(t), append([]string{"doctor", "--json"}, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
		return runDoctor(t, cmd)
	}
	x := inside("--set", "source.receive=ring")
	if f := x.finding(t, "buffer"); f.Fix != "sysctl -w net.core.rmem_max=134217728" || !strings.Contains(f.Found, "64 MiB and may grow to 256 MiB") {
		t.Errorf("%+v", f)
	}
	if f := x.finding(t, "receive"); !strings.Contains(f.Found, "CAP_BPF") || !strings.Contains(f.Fix, "cap_bpf") {
		t.Errorf("%+v", f)
	}
	x = inside("--set", smallBuffer)
	for _, f := range x.bad() {
		if strings.Contains(f, "buffer") || strings.Contains(f, "receive") {
			t.Errorf("with a small buffer: %s", x.out)
		}
	}
}

// TestRunWarnsOfTheHost starts the service where things are wrong: a line each,
// and it runs all the same.
func TestRunWarnsOfTheHost(t *testing.T) {
	t.Parallel()
	ns := testnet.New(t)
	if err := errors.Join(ns.Up(), ns.Sysctl("net.netfilter.nf_conntrack_events", "0"), ns.Sysctl("net.netfilter.nf_conntrack_timestamp", "1"),
		ns.Sysctl("net.netfilter.nf_conntrack_acct", "1")); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p := startFerryTo(t, ns, out, "run", "--set", smallBuffer)
	got := map[any]any{}
	for _, e := range p.said("host check") {
		got[e["check"]] = e["fix"]
	}
	delete(got, "clock")
	if len(got) != 2 || got["events"] != "sysctl -w net.netfilter.nf_conntrack_events=1" || !strings.HasPrefix(fmt.Sprint(got["tracking"]), "nft ") {
		t.Errorf("the log says %v", got)
	}
	p.stop(t)
}
