// Package testhost gives a machine to try a service and a package on: a private
// systemd as process 1 of its own process, mount, cgroup, IPC and host name
// namespaces, over a throw-away copy (an overlay) of this machine's files. What
// is installed, started or removed there is real, by the real dpkg and systemd,
// and gone when the test ends. Its network namespace is the test's own.
//
// The kernel is this machine's: modules are not loaded and sysctls outside net.
// are read-only in there. Root is needed, and the Debian packages systemd and
// util-linux; where they lack, tests skip (see testnet.Unavailable).
package testhost
