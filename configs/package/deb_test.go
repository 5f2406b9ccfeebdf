package packaging

import (
	"strings"
	"testing"
)

const (
	config = "/etc/ctferry/ctferry.yaml"
	flows  = "/var/log/ctferry/flows.jsonl"
)

// repack makes another version of the second package: sed is applied to the
// shipped configuration. It answers where the new package is.
func (m machine) repack(version, sed string) string {
	m.t.Helper()
	m.Run(m.t, "sh", "-ec", `rm -rf /tmp/p && dpkg-deb -R "$0" /tmp/p
		sed -i "s/^Version: .*/Version: $1/" /tmp/p/DEBIAN/control
		sed -i "$2" /tmp/p/etc/ctferry/ctferry.yaml
		dpkg-deb -Znone -b /tmp/p "/tmp/$1.deb"`, deb("1.1.0"), version, sed)
	return "/tmp/" + version + ".deb"
}

// TestInstallingStartsNothing: nothing runs, nothing is enabled, no sysctl is
// another, and what is there is the service's and nobody else's.
func TestInstallingStartsNothing(t *testing.T) {
	m := newMachine(t)
	sysctls := func() string {
		return m.Run(t, "sh", "-c", "cd /proc/sys/net && grep . core/*mem* $(ls -d netfilter/nf_conntrack_* | grep -v count)")
	}
	before := sysctls()
	wants := m.Run(t, "find", "/etc/systemd", "-type", "l")
	m.Run(t, "dpkg", "-i", deb("1.0.0"))
	if after := sysctls(); after != before {
		t.Errorf("sysctls before:\n%s\nafter:\n%s", before, after)
	}
	if got := m.Run(t, "find", "/etc/systemd", "-type", "l"); got != wants {
		t.Errorf("enabled:\n%s\nbefore:\n%s", got, wants)
	}
	for unit, want := range map[string]string{"ctferry.service": "inactive", "ctferry@x.service": "inactive"} {
		if got := m.Property(t, unit, "ActiveState"); got != want {
			t.Errorf("%s is %s", unit, got)
		}
	}
	owners := m.Run(t, "stat", "-c", "%A %U:%G %n", "/etc/ctferry", "/etc/ctferry/conf.d", config, "/var/lib/ctferry", "/var/log/ctferry", "/usr/bin/ctferry")
	if want := `drwxr-x--- root:ctferry /etc/ctferry
drwxr-x--- root:ctferry /etc/ctferry/conf.d
-rw-r----- root:ctferry /etc/ctferry/ctferry.yaml
drwxr-x--- ctferry:ctferry /var/lib/ctferry
drwxr-x--- ctferry:ctferry /var/log/ctferry
-rwxr-xr-x root:root /usr/bin/ctferry
`; owners != want {
		t.Errorf("owners:\n%s\nexpected\n%s", owners, want)
	}
	if out := m.Run(t, "setpriv", "--reuid=ctferry", "--regid=ctferry", "--clear-groups", "ctferry", "check", config); !strings.Contains(out, "ok") {
		t.Errorf("check: %s", out)
	}
	m.Run(t, "sh", "-c", "man -w ctferry && bash -c '. /usr/share/bash-completion/completions/ctferry'")
}

// TestDebianLife installs, starts, edits, upgrades three times, removes and purges.
func TestDebianLife(t *testing.T) {
	m := installed(t)
	const unit = "ctferry.service"
	m.Run(t, "systemctl", "enable", "--now", unit)
	m.active(unit)
	m.churn(100)
	m.records(flows, "new", 100)
	m.records(flows, "destroy", 100)

	m.upgradeKeepsTheEdit(unit)
	m.upgradeRefused(unit)
	m.remove(unit)
}

// upgradeKeepsTheEdit upgrades to a version that ships another configuration.
func (m machine) upgradeKeepsTheEdit(unit string) {
	m.t.Helper()
	m.Run(m.t, "sed", "-i", "s/events: .*/events: [new, update, destroy]/", config)
	m.Run(m.t, "systemctl", "reload", unit)
	before := m.pid(unit)
	out := m.Run(m.t, "dpkg", "-i", "--force-confold", m.repack("1.1.5", "$a # another default"))
	if got := m.Run(m.t, "cat", config); !strings.Contains(got, "[new, update, destroy]") || strings.Contains(got, "another default") {
		m.t.Errorf("the edited configuration is now:\n%s\n%s", got, out)
	}
	if got := m.Run(m.t, "cat", config+".dpkg-dist"); !strings.Contains(got, "another default") {
		m.t.Errorf("the shipped configuration is not beside it: %s", got)
	}
	m.active(unit)
	after := m.pid(unit)
	if exe := m.Run(m.t, "readlink", "/proc/"+after+"/exe"); after == before || exe != "/usr/bin/ctferry\n" {
		m.t.Errorf("process %s became %s, which runs %s", before, after, exe)
	}
	if got := m.Run(m.t, "ctferry", "version"); !strings.HasPrefix(got, "ctferry v1.1.0 ") {
		m.t.Errorf("version: %s", got)
	}
	m.churn(50)
	m.records(flows, "new", 150)
}

// upgradeRefused upgrades while the configuration is wrong: the old process
// stays, goes on delivering, and dpkg is content.
func (m machine) upgradeRefused(unit string) {
	m.t.Helper()
	m.Run(m.t, "sed", "-i", "s/type: file/type: fiel/", config)
	before := m.pid(unit)
	out := m.Run(m.t, "dpkg", "-i", "--force-confold", m.repack("1.2.0", ""))
	for _, want := range []string{"refuses the configuration of " + unit, config + ":", "fiel", "goes on with the version that it runs"} {
		if !strings.Contains(out, want) {
			m.t.Errorf("the upgrade does not say %q:\n%s", want, out)
		}
	}
	m.active(unit)
	if after := m.pid(unit); after != before {
		m.t.Errorf("process %s became %s", before, after)
	}
	if exe := m.Run(m.t, "readlink", "/proc/"+before+"/exe"); !strings.Contains(exe, "deleted") {
		m.t.Errorf("it runs %s", exe)
	}
	if got := m.Run(m.t, "dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", "ctferry"); got != "1.2.0 installed" {
		m.t.Errorf("package: %s", got)
	}
	m.churn(50)
	m.records(flows, "new", 200)
	m.Run(m.t, "sed", "-i", "s/type: fiel/type: file/", config)
	m.Run(m.t, "systemctl", "restart", unit)
	m.active(unit)
}

// remove removes, which leaves what was written, and purges, which does not.
func (m machine) remove(unit string) {
	m.t.Helper()
	m.write("/etc/ctferry/broker.pem", "the administrator's")
	m.Run(m.t, "dpkg", "-r", "ctferry")
	if got := m.Property(m.t, unit, "ActiveState"); got != "inactive" {
		m.t.Errorf("after removing %s is %s", unit, got)
	}
	m.Run(m.t, "test", "-s", flows, "-a", "-e", config, "-a", "!", "-e", "/usr/bin/ctferry")
	if links := m.Run(m.t, "find", "/etc/systemd", "-name", "ctferry*"); links != "" {
		m.t.Errorf("still enabled: %s", links)
	}
	m.Run(m.t, "dpkg", "-P", "ctferry")
	left := m.Run(m.t, "find", "/etc", "/usr", "/var", "/run", "-name", "*ctferry*", "-not", "-path", "/run/log/*")
	if left != "/etc/ctferry\n" {
		m.t.Errorf("after purging there is left:\n%s", left)
	}
	m.Run(m.t, "test", "-e", "/etc/ctferry/broker.pem")
}
