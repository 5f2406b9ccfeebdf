package doctor

import (
	"bytes"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The old form of iptables keeps its rules in tables of its own, read with
// getsockopt(2) (linux/netfilter_ipv4/ip_tables.h, and the same for IPv6). What
// is wanted is only whether some rule names a match or target that needs
// tracking, so the blob is searched for their names.
const (
	iptGetInfo    = 64 // IPT_SO_GET_INFO, IP6T_SO_GET_INFO
	iptGetEntries = 65 // IPT_SO_GET_ENTRIES, IP6T_SO_GET_ENTRIES
	iptTableName  = 32 // XT_TABLE_MAXNAMELEN
	iptInfoLen    = 84 // struct ipt_getinfo
	iptInfoSize   = 80 // where its size stands
	iptHeaderLen  = 40 // struct ipt_get_entries before the entries
)

// addLegacy adds what the old tables ask. Only tables that exist are read:
// asking for another would make the kernel load it.
func (r *Rules) addLegacy() {
	for _, f := range []struct {
		names         string
		family, level int
	}{
		{"/proc/thread-self/net/ip_tables_names", unix.AF_INET, unix.IPPROTO_IP},
		{"/proc/thread-self/net/ip6_tables_names", unix.AF_INET6, unix.IPPROTO_IPV6},
	} {
		names, err := os.ReadFile(f.names)
		if err != nil {
			continue // the kernel has none
		}
		for _, table := range strings.Fields(string(names)) {
			blob, err := legacyTable(f.family, f.level, table)
			if err != nil {
				r.Blind = "iptables table " + table + ": " + err.Error()
				continue
			}
			r.addBlob(blob)
		}
	}
}

// addBlob searches a table's entries for the names of extensions.
func (r *Rules) addBlob(blob []byte) {
	for _, name := range append(extensions(), "NOTRACK") {
		// A name stands after a length of two bytes, and is filled up with zeros.
		if bytes.Contains(blob, append([]byte{0}, append([]byte(name), 0)...)) {
			r.addExtension("iptables-legacy", name)
		}
	}
}

// legacyTable reads a table's entries.
func legacyTable(family, level int, table string) ([]byte, error) {
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	info := make([]byte, iptInfoLen)
	copy(info[:iptTableName-1], table)
	if err := getsockopt(fd, level, iptGetInfo, info); err != nil {
		return nil, err
	}
	size := *(*uint32)(unsafe.Pointer(&info[iptInfoSize])) // host byte order
	entries := make([]byte, iptHeaderLen+int(size))
	copy(entries[:iptTableName-1], table)
	*(*uint32)(unsafe.Pointer(&entries[iptTableName])) = size
	if err := getsockopt(fd, level, iptGetEntries, entries); err != nil {
		return nil, err
	}
	return entries[iptHeaderLen:], nil
}

func getsockopt(fd, level, name int, value []byte) error {
	size := uint32(len(value))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&value[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return os.NewSyscallError("getsockopt", errno)
	}
	return nil
}
