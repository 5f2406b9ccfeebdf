package doctor

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// sysctlFolder holds the settings of connection tracking; it shows those of the
// namespace of the thread that opens them.
const sysctlFolder = "/proc/sys/net/netfilter/nf_conntrack_"

// sysctlNames are the settings that are looked at.
func sysctlNames() []string {
	return []string{"events", "acct", "timestamp", "max", "buckets", "count"}
}

// readSysctls reads what there is of the settings, and rmem_max.
func readSysctls() map[string]int64 {
	values := map[string]int64{}
	read := func(name, path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			return
		}
		if v, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			values[name] = v
		}
	}
	for _, name := range sysctlNames() {
		read(name, sysctlFolder+name)
	}
	// It is not there in namespaces on kernels before 6.x; the machine's is.
	read("rmem_max", "/proc/sys/net/core/rmem_max")
	return values
}

// capabilities tells whether CAP_NET_ADMIN is effective, and whether a ring may
// be made: CAP_BPF or CAP_SYS_ADMIN in the machine's first user namespace.
func capabilities() (netAdmin, bpf bool) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // capabilities 0 to 31, and 32 to 63
	if unix.Capget(&header, &sets[0]) != nil {
		return false, false
	}
	has := func(bit int) bool { return sets[bit/32].Effective>>(bit%32)&1 == 1 }
	first, err := os.ReadFile("/proc/thread-self/uid_map")
	inFirst := err == nil && strings.Join(strings.Fields(string(first)), " ") == "0 0 4294967295"
	return has(unix.CAP_NET_ADMIN), inFirst && (has(unix.CAP_BPF) || has(unix.CAP_SYS_ADMIN))
}

// mayForce tries SO_RCVBUFFORCE on a socket of its own, with what it has.
func mayForce() bool {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return false
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	now, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	return err == nil && unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, now/2) == nil
}
