package packaging

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const service = "ctferry.service"

// unitValues gives what the unit file itself says under a key.
func unitValues(t *testing.T, key string) (values []string) {
	t.Helper()
	text, err := os.ReadFile("../systemd/" + service)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && k == key {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		t.Fatalf("%s has no %s=", service, key)
	}
	return values
}

// capabilities turns names into the mask that /proc shows.
func capabilities(t *testing.T, names []string) string {
	t.Helper()
	known := map[string]int{"CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN}
	var mask uint64
	for name := range strings.FieldsSeq(strings.Join(names, " ")) {
		bit, ok := known[name]
		if !ok {
			t.Fatalf("capability %s is not known to this test", name)
		}
		mask |= 1 << bit
	}
	return fmt.Sprintf("%016x", mask)
}

// status is /proc/PID/status of a unit's main process.
func (m machine) status(unit string) map[string]string {
	m.t.Helper()
	status := map[string]string{}
	for line := range strings.Lines(m.Run(m.t, "cat", "/proc/"+m.pid(unit)+"/status")) {
		k, v, _ := strings.Cut(line, ":")
		status[k] = strings.TrimSpace(v)
	}
	return status
}

// TestSandbox runs the service under its unit and looks at what the kernel
// holds it to: the capabilities, the filter and the user that the file names.
func TestSandbox(t *testing.T) {
	m := installed(t)
	m.Run(t, "systemctl", "start", service)
	m.churn(100)
	m.records(flows, "destroy", 100)
	status := m.status(service)
	caps := capabilities(t, unitValues(t, "CapabilityBoundingSet"))
	uid := strings.TrimSpace(m.Run(t, "id", "-u", unitValues(t, "User")[0]))
	for key, want := range map[string]string{
		"CapBnd": caps, "CapEff": caps, "CapPrm": caps, "CapAmb": caps, "NoNewPrivs": "1", "Seccomp": "2",
		"Uid": strings.Join([]string{uid, uid, uid, uid}, "\t"),
	} {
		if status[key] != want {
			t.Errorf("%s is %q, expected %q", key, status[key], want)
		}
	}
	if uid == "0" {
		t.Error("it is root")
	}
	m.cannotWrite()
	// The lines about the buffer are the proof that CAP_NET_ADMIN is enough for all of it.
	// What it says of the host is of the host's settings, which no package touches.
	log, _ := m.Try("journalctl", "--no-pager", "-o", "cat", "-u", service)
	log = regexp.MustCompile(`.*msg="host check".*\n`).ReplaceAllString(log, "")
	if strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
		t.Errorf("log:\n%s", log)
	}
}

// cannotWrite looks with the service's eyes: its mounts, its user.
func (m machine) cannotWrite() {
	m.t.Helper()
	inside := func(command string) int {
		_, code := m.Try("nsenter", "-t", m.pid(service), "-m", "setpriv", "--reuid=ctferry", "--regid=ctferry", "--clear-groups", "sh", "-c", command)
		return code
	}
	asRoot := func(command string) int {
		_, code := m.Try("nsenter", "-t", m.pid(service), "-m", "sh", "-c", command)
		return code
	}
	for _, path := range []string{"/var/lib/ctferry/x", "/var/log/ctferry/x", "/run/ctferry/x", "/tmp/x"} {
		if inside("echo 1 >"+path) != 0 {
			m.t.Errorf("the service cannot write %s", path)
		}
	}
	for _, path := range []string{"/etc/ctferry/x", "/usr/bin/x", "/var/lib/x", "/var/log/x", "/x", "/proc/sys/net/netfilter/nf_conntrack_acct", "/sys/fs/cgroup/x"} {
		if asRoot("echo 1 >"+path) == 0 {
			m.t.Errorf("in the service's mounts even root can write %s", path)
		}
	}
	if inside("echo 1 >/run/x") == 0 { // root can: systemd 252 leaves /run so beside ProtectKernelTunables
		m.t.Error("the service can write /run/x")
	}
	for _, path := range []string{"/root/.", "/home/.", "/dev/kmsg", "/dev/mem"} {
		if inside("ls "+path+" && test -n \"$(ls -A "+path+")\"") == 0 {
			m.t.Errorf("the service sees %s", path)
		}
	}
}

// everything is a configuration that uses what the binary has: every kind of
// sink, compression, rotation, names to resolve, dumps, the server inside, and
// control of the table.
const everything = `
nats_server: {enabled: true}
control: {enabled: true, connection: nats_server, allow: [list, get, count, stats, watch, delete], audit: {path: /var/lib/ctferry/audit.jsonl}}
source: {dump: {at_start: true, interval: 1s}, tables: [conntrack, expect]}
sinks:
  flows: {type: file, path: /var/log/ctferry/flows.jsonl, events: [new, destroy], rotate: {size: 1MiB, keep: 4, compress: zstd}}
  gz: {type: file, path: /var/log/ctferry/all.xml, encoding: xml, events: [new, update, destroy, dump], rotate: {size: 1MiB, keep: 4, compress: gzip}}
  kafka: {type: kafka, brokers: ["localhost:9"], topic: t, drain: 0s}
  bus: {type: nats, connection: nats_server, jetstream: {stream: CT, manage: create, max_bytes: 16MiB, max_age: 1h, discard: old}}
`

// TestNoForbiddenCall runs a whole life of the service under the unit's filter,
// made deadly: a call that it does not let through kills the process instead of
// failing.
func TestNoForbiddenCall(t *testing.T) {
	m := installed(t)
	// The one call that is made and refused, and known to be (clock.conf).
	m.dropIn(service, "deadly.conf", "[Service]\nSystemCallErrorNumber=\nSystemCallFilter=~adjtimex:EPERM\nRestart=no\n")
	if _, code := m.Try("sh", "-c", "systemctl show -p SystemCallErrorNumber "+service+" | grep -q EPERM"); code == 0 {
		t.Fatal("the filter is not deadly")
	}
	m.write(config, everything)
	m.Run(t, "systemctl", "start", service)
	for range 3 {
		m.churn(3000)
		m.Run(t, "systemctl", "reload", service)
	}
	m.eventually("the node answers over its own server", func() bool {
		_, code := m.Try("ctferry", "-C", "--node", "test-host")
		return code == 0
	})
	m.Run(t, "ctferry", "-L", "--node", "test-host")
	m.Run(t, "ctferry", "-S", "--node", "test-host")
	if out, code := m.Try("ctferry", "-D", "-p", "udp", "--node", "test-host"); code != 1 || !strings.Contains(out, "0 flow entries") {
		t.Errorf("delete: code %d: %s", code, out)
	}
	m.Run(t, "test", "-s", "/var/lib/ctferry/audit.jsonl")
	m.eventually("a file is rotated and compressed", func() bool {
		out, _ := m.Try("sh", "-c", "ls /var/log/ctferry | grep -c '[.]\\(zst\\|gz\\)$'")
		return strings.TrimSpace(out) > "1"
	})
	m.active(service)
	m.Run(t, "systemctl", "stop", service)
	if got := m.Property(t, service, "Result"); got != "success" {
		t.Errorf("result %s", got)
	}
}

// TestFilterIsDeadly proves that the test above can fail: a call that the unit
// forbids does kill under that drop-in, and fails with EPERM without it.
func TestFilterIsDeadly(t *testing.T) {
	m := installed(t)
	m.dropIn(service, "other.conf", "[Service]\nType=oneshot\nExecStart=\nExecStart=/usr/sbin/chroot /\nRestart=no\n")
	m.Try("systemctl", "start", service)
	if got := m.Property(t, service, "Result"); got != "exit-code" {
		t.Errorf("with EPERM the result is %s", got)
	}
	m.dropIn(service, "deadly.conf", "[Service]\nSystemCallErrorNumber=\n")
	m.Try("systemctl", "start", service)
	if got := m.Property(t, service, "Result"); got != "core-dump" && got != "signal" {
		t.Errorf("made deadly the result is %s", got)
	}
}

// TestManager is what systemd sees: the rates, a reload that is refused, a hang,
// a configuration that is wrong.
func TestManager(t *testing.T) {
	m := installed(t)
	m.dropIn(service, "watchdog.conf", "[Service]\nWatchdogSec=4s\nTimeoutAbortSec=1s\nRestartSec=100ms\n")
	m.Run(t, "systemctl", "start", service)
	m.churn(500)
	want := regexp.MustCompile(`^\d+(\.\d)? events/s, 0 lost of \d+; 1 of 1 sinks up; flows \S+/s$`)
	m.eventually("a status line with rates", func() bool { return want.MatchString(m.Property(t, service, "StatusText")) })
	t.Logf("status: %s", m.Property(t, service, "StatusText"))

	m.Run(t, "cp", config, "/etc/ctferry/good")
	m.write(config, "sinks: {}\nnonsense: 1\n")
	before := m.pid(service)
	if out, code := m.Try("systemctl", "reload", service); code == 0 {
		t.Errorf("a wrong configuration is reloaded: %s", out)
	}
	m.active(service)
	if m.pid(service) != before {
		t.Error("a refused reload restarted it")
	}
	m.Run(t, "cp", "/etc/ctferry/good", config)
	m.Run(t, "systemctl", "reload", service)

	m.Run(t, "kill", "-STOP", before)
	m.eventually("the watchdog restarts a service that hangs", func() bool {
		n, _ := strconv.Atoi(m.Property(t, service, "NRestarts"))
		return n == 1 && m.Property(t, service, "ActiveState") == "active"
	})

	m.write(config, "nonsense: 1\n")
	if out, code := m.Try("systemctl", "restart", service); code == 0 {
		t.Errorf("a wrong configuration starts: %s", out)
	}
	m.eventually("it is not tried for ever", func() bool { return m.Property(t, service, "ActiveState") == "failed" })
	if got := m.Property(t, service, "ExecMainStatus"); got != "2" {
		t.Errorf("exit code %s", got)
	}
}
