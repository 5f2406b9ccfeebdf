package doctor

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// checkPorts judges the addresses on which the process will listen.
func checkPorts() check {
	return check{
		id: "port", title: "addresses to listen on", machine: true,
		why:  "a server whose address is taken keeps ctferry from starting",
		look: func(f *Facts) []Finding { return f.Answers.ports },
	}
}

// look tries the address.
func (p *Port) look(ferries []int) []Finding {
	result := func(s Severity, text, fix string) []Finding {
		return []Finding{{Severity: s, Subject: p.Key, Found: p.Address + ": " + text, Fix: fix}}
	}
	l, err := net.Listen("tcp", p.Address)
	if err == nil {
		_ = l.Close()
		return result(OK, "is free", "")
	}
	_, port, _ := net.SplitHostPort(p.Address)
	if !errors.Is(err, unix.EADDRINUSE) {
		return result(Fail, err.Error(), "ip address show")
	}
	pid := listenerOf(p.Address)
	switch {
	case slices.Contains(ferries, pid):
		return result(OK, fmt.Sprintf("is in use by ctferry run (pid %d)", pid), "")
	case pid > 0:
		return result(Fail, fmt.Sprintf("is in use by %s (pid %d)", processName(pid), pid), "ss -ltnp 'sport = :"+port+"'")
	}
	return result(Fail, "is in use", "ss -ltnp 'sport = :"+port+"'")
}

// listenerOf is the process that listens on a TCP address, or on one that has it
// taken; 0 is not known. Another may listen on the same port of another address.
func listenerOf(address string) (owner int) {
	want, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return 0
	}
	inodes := map[uint64]bool{}
	for _, file := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
		listening(file, want.AddrPort(), inodes)
	}
	eachSocket(func(pid int, inode uint64) {
		if inodes[inode] && owner == 0 {
			owner = pid
		}
	})
	return owner
}

// tcpListen is TCP_LISTEN in /proc/net/tcp.
const tcpListen = "0A"

// listening adds the inodes of the sockets whose listening keeps others from the address.
func listening(file string, want netip.AddrPort, inodes map[uint64]bool) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		// sl local_address rem_address st queues timer retrnsmt uid timeout inode
		words := strings.Fields(sc.Text())
		if len(words) < 10 || words[3] != tcpListen {
			continue
		}
		if has, ok := localAddress(words[1]); !ok || !collide(has, want) {
			continue
		}
		if inode, err := strconv.ParseUint(words[9], 10, 64); err == nil {
			inodes[inode] = true
		}
	}
}

// localAddress reads an address of /proc/net/tcp or tcp6: words of 32 bits in the
// host's order, and the port as a number, in hexadecimal digits.
func localAddress(s string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	bytes, errHex := hex.DecodeString(address)
	if err != nil || errHex != nil || len(bytes)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(bytes); i += 4 {
		binary.NativeEndian.PutUint32(bytes[i:], binary.BigEndian.Uint32(bytes[i:]))
	}
	ip, ok := netip.AddrFromSlice(bytes)
	return netip.AddrPortFrom(ip, uint16(n)), ok
}

// collide reports whether one address is another's, or every host's. What no host
// was named for is every host's too.
func collide(has, want netip.AddrPort) bool {
	a, b := has.Addr().Unmap(), want.Addr().Unmap()
	return has.Port() == want.Port() && (a == b || a.IsUnspecified() || !b.IsValid() || b.IsUnspecified())
}
