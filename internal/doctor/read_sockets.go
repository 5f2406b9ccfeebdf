package doctor

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Socket is a netlink socket of some process that has joined netfilter's groups.
type Socket struct {
	Port   uint32 // its address
	Groups uint32 // the first 32 groups, group n as bit n-1
	Queued uint64 // bytes that wait to be read
	Drops  uint64 // datagrams that found no room since it was opened
	Inode  uint64
	PID    int    // who has it; 0 is not known
	Owner  string // that process's name
}

// conntrackGroups are the groups of connection tracking: new, update, destroy,
// and the same of expectations (enum nfnetlink_groups).
const conntrackGroups = 0x3f

// netlinkNetfilter is NETLINK_NETFILTER.
const netlinkNetfilter = "12"

// readSockets lists the listeners of the thread's namespace. Those that have
// dropped something get their owners, where these may be read; quickly only by
// the convention that a process's first socket has its process id as its port.
func readSockets(quick bool) ([]Socket, error) {
	f, err := os.Open("/proc/thread-self/net/netlink")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := parseSockets(f)
	if err != nil || len(all) == 0 {
		return all, err
	}
	wanted := map[uint64]*Socket{}
	for i := range all {
		if s := &all[i]; s.Drops > 0 {
			wanted[s.Inode] = s
			s.Owner = processName(int(s.Port))
		}
	}
	if len(wanted) == 0 || quick {
		return all, nil
	}
	eachSocket(func(pid int, inode uint64) {
		if s := wanted[inode]; s != nil && s.PID == 0 {
			s.PID, s.Owner = pid, processName(pid)
		}
	})
	return all, nil
}

// parseSockets reads /proc/net/netlink (netlink_native_seq_show).
func parseSockets(r io.Reader) ([]Socket, error) {
	var all []Socket
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		// sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
		words := strings.Fields(sc.Text())
		if len(words) < 10 || words[1] != netlinkNetfilter {
			continue
		}
		var s Socket
		var port, groups uint64
		for _, v := range []struct {
			to   *uint64
			text string
			base int
		}{{&port, words[2], 10}, {&groups, words[3], 16}, {&s.Queued, words[4], 10}, {&s.Drops, words[8], 10}, {&s.Inode, words[9], 10}} {
			var err error
			if *v.to, err = strconv.ParseUint(v.text, v.base, 64); err != nil {
				return nil, fmt.Errorf("/proc/net/netlink: %w", err)
			}
		}
		s.Port, s.Groups = uint32(port), uint32(groups)
		if s.Groups&conntrackGroups != 0 {
			all = append(all, s)
		}
	}
	return all, sc.Err()
}

// eachSocket calls f for every open socket of every process that may be read.
func eachSocket(f func(pid int, inode uint64)) {
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return
	}
	for _, link := range links {
		to, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(to, "socket:[") {
			continue
		}
		inode, err := strconv.ParseUint(strings.TrimSuffix(to[len("socket:["):], "]"), 10, 64)
		pid, err2 := strconv.Atoi(strings.Split(link, "/")[2])
		if err == nil && err2 == nil {
			f(pid, inode)
		}
	}
}

// processName is a process's command, or "".
func processName(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// ferries are the other processes of this program's name that run as the service.
func ferries(binary string) []int {
	var pids []int
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil
	}
	for _, path := range lines {
		text, err := os.ReadFile(path)
		words := strings.Split(string(text), "\x00")
		if err != nil || len(words) < 2 || filepath.Base(words[0]) != filepath.Base(binary) || words[1] != "run" {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(path, "/")[2]); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
