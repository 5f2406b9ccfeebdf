package packaging

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

const examples = "/usr/share/ctferry/examples"

// example lays an example over a unit.
func (m machine) example(unit, name string) {
	m.t.Helper()
	m.Run(m.t, "install", "-D", "-m", "0644", examples+"/systemd/"+name, "/etc/systemd/system/"+unit+".d/"+name)
	m.Run(m.t, "systemctl", "daemon-reload")
}

// TestExamplesAreAccepted lays every drop-in over the units: systemd has
// nothing to say, and the service starts with all of them.
func TestExamplesAreAccepted(t *testing.T) {
	m := installed(t)
	const units = "/usr/lib/systemd/system/"
	if out, code := m.Try("systemd-analyze", "verify", "--man=no", units+service, units+"ctferry@.service"); code != 0 || strings.Contains(out, "ctferry") {
		t.Errorf("the units: code %d: %s", code, out)
	}
	for _, name := range []string{"addresses.conf", "clock.conf", "ebpf.conf", "netns.conf", "progname.conf", "credentials.conf"} {
		m.example(service, name)
	}
	m.write("/etc/ctferry/secrets/nats.creds", "secret")
	if out, code := m.Try("systemd-analyze", "verify", "--man=no", units+service); code != 0 || strings.Contains(out, "ctferry") {
		t.Errorf("with every example: code %d: %s", code, out)
	}
	m.Run(t, "systemctl", "start", service)
	m.active(service)
	status := m.status(service)
	if want := fmt.Sprintf("%016x", 1<<12|1<<21|uint64(1)<<39); status["CapEff"] != want {
		t.Errorf("capabilities %s, expected %s (NET_ADMIN, SYS_ADMIN, BPF)", status["CapEff"], want)
	}
	m.Run(t, "nsenter", "-t", m.pid(service), "-m", "setpriv", "--reuid=ctferry", "--regid=ctferry", "--clear-groups",
		"test", "-r", "/run/credentials/ctferry.service/nats.creds")
	m.churn(1)
	m.records(flows, "status", 1)
	line := m.Run(t, "grep", "-m1", `"event_type":"status"`, flows)
	if !strings.Contains(line, `"synced":`) {
		t.Errorf("with clock.conf: %s", line)
	}
	// What the package says to do with the two files, done.
	m.Run(t, "cp", examples+"/systemd/sysctl.conf", "/etc/sysctl.d/90-ctferry.conf")
	m.Run(t, "sh", "-c", "echo 0 >/proc/sys/net/netfilter/nf_conntrack_acct && /lib/systemd/systemd-sysctl --prefix=net.netfilter")
	if got := m.Run(t, "sh", "-c", "cd /proc/sys/net/netfilter && cat nf_conntrack_acct nf_conntrack_timestamp nf_conntrack_events"); got != "1\n1\n1\n" {
		t.Errorf("after systemd-sysctl: %q", got)
	}
}

// TestRing reads the kernel's events through the ring, which the drop-in allows;
// without it the log says why that is not so.
func TestRing(t *testing.T) {
	m := installed(t)
	const without = "events are received without the ring"
	log := func() string { return m.Run(t, "journalctl", "--no-pager", "-o", "cat", "-u", service) }
	m.Run(t, "systemctl", "start", service)
	if !strings.Contains(log(), without) {
		t.Errorf("without CAP_BPF:\n%s", log())
	}
	m.example(service, "ebpf.conf")
	m.Run(t, "systemctl", "restart", service)
	m.active(service)
	m.churn(100)
	m.records(flows, "destroy", 100)
	all := log()
	if since := all[strings.LastIndex(all, "Starting"):]; strings.Contains(since, without) {
		t.Errorf("with CAP_BPF:\n%s", since)
	}
}

// TestNetNS reads another namespace through source.netns, with the drop-in
// that allows it; without, the log says what is wrong and the service lives.
func TestNetNS(t *testing.T) {
	m := installed(t)
	m.Run(t, "ip", "netns", "add", "edge")
	m.write("/etc/ctferry/conf.d/netns.yaml", "source: {netns: [edge]}\n")
	m.Run(t, "systemctl", "start", service)
	m.eventually("the refusal is logged", func() bool {
		out, _ := m.Try("journalctl", "--no-pager", "-o", "cat", "-u", service)
		return strings.Contains(out, "edge") && strings.Contains(out, "not permitted")
	})
	m.active(service)
	m.example(service, "netns.conf")
	m.Run(t, "systemctl", "restart", service)
	want := capabilities(t, append(unitValues(t, "CapabilityBoundingSet"), "CAP_SYS_ADMIN"))
	if got := m.status(service)["CapEff"]; got != want {
		t.Errorf("capabilities %s, expected %s", got, want)
	}
	m.eventually("the other namespace is read", func() bool {
		m.traffic("edge")
		out, _ := m.Try("grep", "-c", `"netns":"edge"`, flows)
		return strings.TrimSpace(out) != "0"
	})
}

// traffic sends something that is tracked in a named namespace of the machine.
func (m machine) traffic(name string) {
	m.t.Helper()
	m.Run(m.t, "ip", "netns", "exec", name, "sh", "-ec", `ip link set lo up
		nft list table inet t >/dev/null 2>&1 || nft 'table inet t { chain c { type filter hook output priority 0; ct state new accept; }; }'
		echo x | timeout 1 bash -c 'cat >/dev/udp/127.0.0.1/9'`)
}

// TestInstance runs ctferry@edge beside the service: its own folders and
// configuration, in the network namespace of its name, without CAP_SYS_ADMIN.
func TestInstance(t *testing.T) {
	m := installed(t)
	const unit = "ctferry@edge.service"
	m.Run(t, "ip", "netns", "add", "edge")
	m.Run(t, "sh", "-c", "mkdir /etc/ctferry/edge && sed 's#/var/\\(log\\|lib\\)/ctferry#&-edge#' "+config+" >/etc/ctferry/edge/ctferry.yaml && chgrp -R ctferry /etc/ctferry/edge")
	m.example("ctferry@edge.service", "instance-netns.conf")
	m.Run(t, "systemctl", "start", service, unit)
	m.churn(10)
	m.traffic("edge")
	m.records("/var/log/ctferry-edge/flows.jsonl", "new", 1)
	m.records(flows, "new", 10)
	if got, want := m.status(unit)["CapEff"], capabilities(t, unitValues(t, "CapabilityBoundingSet")); got != want {
		t.Errorf("capabilities %s, expected %s", got, want)
	}
	if _, code := m.Try("nsenter", "-t", m.pid(unit), "-m", "sh", "-c", "echo 1 >/var/log/ctferry/x"); code == 0 {
		t.Error("the instance can write to the folder of the other service")
	}
	m.Run(t, "systemctl", "reload", unit)
	m.Run(t, "dpkg", "-i", deb("1.1.0")) // an upgrade restarts instances too
	for _, u := range []string{service, unit} {
		m.active(u)
		if exe := m.Run(t, "readlink", "/proc/"+m.pid(u)+"/exe"); exe != "/usr/bin/ctferry\n" {
			t.Errorf("%s runs %s", u, exe)
		}
	}
	m.Run(t, "dpkg", "-r", "ctferry")
	if got := m.Property(t, unit, "ActiveState"); got != "inactive" {
		t.Errorf("after removing %s is %s", unit, got)
	}
}

// TestRPM installs, upgrades and erases the .rpm: the same scripts, told by
// rpm what happens.
func TestRPM(t *testing.T) {
	m := newMachine(t)
	if _, code := m.Try("rpm", "--version"); code != 0 {
		testnet.Unavailable(t, "no rpm")
	}
	rpm := func(args ...string) string {
		return m.Run(t, "rpm", append([]string{"--force-debian", "--nodeps"}, args...)...)
	}
	found, err := filepath.Glob(filepath.Join(packages(t), "ctferry-1.*.rpm"))
	if err != nil || len(found) != 2 {
		t.Fatalf("%v, %v", found, err)
	}
	rpm("-i", "/mnt/"+filepath.Base(found[0]))
	if got := m.Property(t, service, "ActiveState"); got != "inactive" {
		t.Errorf("after installing it is %s", got)
	}
	if got := m.Run(t, "stat", "-c", "%A %U:%G", config); got != "-rw-r----- root:ctferry\n" {
		t.Errorf("%s: %s", config, got)
	}
	m.Run(t, "systemctl", "enable", "--now", service)
	m.Run(t, "sed", "-i", "s/events: .*/events: [new, update, destroy]/", config)
	before := m.pid(service)
	rpm("-U", "/mnt/"+filepath.Base(found[1]))
	m.active(service)
	exe := m.Run(t, "readlink", "/proc/"+m.pid(service)+"/exe")
	if got := m.Run(t, "cat", config); !strings.Contains(got, "update") || m.pid(service) == before || exe != "/usr/bin/ctferry\n" {
		t.Errorf("process %s became %s, which runs %s; configuration:\n%s", before, m.pid(service), exe, got)
	}
	m.churn(10)
	m.records(flows, "new", 10)
	m.Run(t, "sed", "-i", "s/type: file/type: fiel/", config)
	before = m.pid(service)
	if out := rpm("-U", "--force", "/mnt/"+filepath.Base(found[1])); !strings.Contains(out, "goes on with the version that it runs") || m.pid(service) != before {
		t.Errorf("process %s became %s: %s", before, m.pid(service), out)
	}
	rpm("-e", "ctferry")
	if got := m.Property(t, service, "ActiveState"); got != "inactive" {
		t.Errorf("after erasing it is %s", got)
	}
	// An edited configuration stays, under rpm's name for it; records stay.
	m.Run(t, "sh", "-c", "test -s "+flows+" && ls "+config+".rpmsave && ! test -e /usr/bin/ctferry")
	if links := m.Run(t, "find", "/etc/systemd", "-name", "ctferry*"); links != "" {
		t.Errorf("still enabled: %s", links)
	}
}

// TestEnvironmentCounts: the check at an upgrade sees the variables that the
// service runs with.
func TestEnvironmentCounts(t *testing.T) {
	m := installed(t)
	env, err := json.Marshal("CTFERRY_NODE=named by the unit")
	if err != nil {
		t.Fatal(err)
	}
	m.dropIn(service, "env.conf", "[Service]\nEnvironment="+string(env)+" CTFERRY_SINKS__FLOWS__TYPE=file\n")
	m.write(config, "sinks: {flows: {path: /var/log/ctferry/flows.jsonl}}\n") // no type: only with the variable is it right
	m.Run(t, "systemctl", "start", service)
	before := m.pid(service)
	out := m.Run(t, "dpkg", "-i", "--force-confold", deb("1.1.0"))
	m.active(service)
	if m.pid(service) == before {
		t.Errorf("not restarted: %s", out)
	}
}
