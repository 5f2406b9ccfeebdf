package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// netlinkNetfilter is NETLINK_NETFILTER, the number in the column Eth of /proc/net/netlink.
const netlinkNetfilter = "12"

// listening tells whether a process's namespace has a netfilter socket that joined groups.
func listening(pid int) (bool, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/net/netlink", pid))
	if err != nil {
		return false, err
	}
	defer f.Close()
	return listener(f)
}

// listener looks for such a socket in the text of /proc/net/netlink, whose columns
// begin with sk, Eth, Pid, Groups.
func listener(r io.Reader) (bool, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		cols := strings.Fields(lines.Text())
		if len(cols) > 3 && cols[1] == netlinkNetfilter && strings.Trim(cols[3], "0") != "" {
			return true, nil
		}
	}
	return false, lines.Err()
}

// field finds a figure in the text of /proc/PID/status: "VmHWM:	 1234 kB" is 1234.
func field(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name+":")
		if !ok {
			continue
		}
		word, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("field %s: %w", name, err)
		}
		return n, nil
	}
	return 0, fmt.Errorf("no field %s", name)
}

// peakOf is the greatest resident memory of a process so far, in bytes.
func peakOf(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	kib, err := field(string(text), "VmHWM")
	return kib << 10, err
}

// ringOf is how much of a process's resident memory are eBPF maps, in bytes: the ring,
// whose data the kernel maps twice, one after the other.
func ringOf(pid int) (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return mapped(f, "bpf-map")
}

// mapped adds up what is resident of the mappings in the text of /proc/PID/smaps
// whose name contains a word, in bytes.
func mapped(r io.Reader, word string) (sum int64, err error) {
	lines, inside := bufio.NewScanner(r), false
	for lines.Scan() {
		line := lines.Text()
		first, rest, _ := strings.Cut(line, " ")
		switch {
		case !strings.HasSuffix(first, ":"): // the head of a mapping: address range, rights, …, name
			inside = strings.Contains(rest, word)
		case inside && first == "Rss:":
			kib, err := field(line, "Rss")
			if err != nil {
				return 0, err
			}
			sum += kib << 10
		}
	}
	return sum, lines.Err()
}

// switchesOf counts the context switches of all threads of a process: each was a
// thread that ran, so they bound the wake-ups.
func switchesOf(pid int) (sum int64, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for _, kind := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
			n, err := field(string(text), kind)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", name, err)
			}
			sum += n
		}
	}
	return sum, nil
}

// waitedOf is how long the threads of a process were ready to run and had no CPU: the
// second figure of /proc/PID/task/*/schedstat. Where nobody else is on its CPU it is
// next to nothing; where the kernel does not count it, 0.
func waitedOf(pid int) (sum time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended, or the kernel does not count
		}
		wait, err := runDelay(string(text))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += wait
	}
	return sum, nil
}

// runDelay reads the text of a schedstat file: time on the CPU and time waiting for it, in
// nanoseconds, and the number of time slices.
func runDelay(text string) (time.Duration, error) {
	cols := strings.Fields(text)
	if len(cols) != 3 {
		return 0, fmt.Errorf("%q: expected three figures", text)
	}
	n, err := strconv.ParseInt(cols[1], 10, 64)
	return time.Duration(n), err
}

// busy tells whether a thread of a process runs, waits for a CPU (both are R) or for a
// disk (D). The time that a thread waits for a CPU is counted only once it got one, so
// that on a crowded machine this alone tells a process at rest from one that is starved.
func busy(pid int) (bool, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false, err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		if state := threadState(string(text)); state == 'R' || state == 'D' {
			return true, nil
		}
	}
	return false, nil
}

// threadState reads the text of a stat file: pid, name in parentheses (which may hold any
// character), state.
func threadState(text string) byte {
	i := strings.LastIndex(text, ") ")
	if i < 0 || i+2 >= len(text) {
		return '?'
	}
	return text[i+2]
}
