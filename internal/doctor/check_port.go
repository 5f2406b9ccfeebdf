package doctor

import (
	"bufio"
	"errors"
	"fmt"
	"net"
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
	pid := listenerOf(port)
	switch {
	case slices.Contains(ferries, pid):
		return result(OK, fmt.Sprintf("is in use by ctferry run (pid %d)", pid), "")
	case pid > 0:
		return result(Fail, fmt.Sprintf("is in use by %s (pid %d)", processName(pid), pid), "ss -ltnp 'sport = :"+port+"'")
	}
	return result(Fail, "is in use", "ss -ltnp 'sport = :"+port+"'")
}

// listenerOf is the process that listens on a TCP port; 0 is not known.
func listenerOf(port string) (owner int) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0
	}
	inodes := map[uint64]bool{}
	for _, file := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
		listening(file, n, inodes)
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

// listening adds the inodes of the sockets that listen on a port.
func listening(file string, port uint64, inodes map[uint64]bool) {
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
		_, hex, _ := strings.Cut(words[1], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err != nil || n != port {
			continue
		}
		if inode, err := strconv.ParseUint(words[9], 10, 64); err == nil {
			inodes[inode] = true
		}
	}
}
