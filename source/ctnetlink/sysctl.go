package ctnetlink

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Sysctls are the settings of a namespace that decide what the kernel records
// of a flow; each counts at the flow's creation. Nil is unknown.
type Sysctls struct {
	Acct      *int64 // net.netfilter.nf_conntrack_acct: counters
	Timestamp *int64 // net.netfilter.nf_conntrack_timestamp: start, stop and event times
	Events    *int64 // net.netfilter.nf_conntrack_events: 0 none, 1 always, 2 for flows made while somebody listens
}

// ReadSysctls reads the settings of a network namespace by its file; "" is the
// process's own. What cannot be read stays nil, and the error says why.
//
// /proc/sys/net shows the namespace of the thread that opens it, so the calling
// goroutine's thread enters the namespace (CAP_SYS_ADMIN) and comes back.
func ReadSysctls(netns string) (s Sysctls, err error) {
	err = inNetNS(netns, func() error {
		var errs [3]error
		s.Acct, errs[0] = readSysctl("nf_conntrack_acct")
		s.Timestamp, errs[1] = readSysctl("nf_conntrack_timestamp")
		s.Events, errs[2] = readSysctl("nf_conntrack_events")
		return errors.Join(errs[:]...)
	})
	return s, err
}

func readSysctl(name string) (*int64, error) {
	text, err := os.ReadFile("/proc/sys/net/netfilter/" + name)
	if err != nil {
		return nil, &Error{Op: "read", Subject: "sysctl", Err: err}
	}
	v, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return nil, &Error{Op: "read", Subject: "sysctl net.netfilter." + name, Err: err}
	}
	return &v, nil
}

// inNetNS calls f on a thread that is in the namespace. Should the way back
// fail, the thread stays the goroutine's own and dies with it, so that no other
// goroutine ever runs in the wrong namespace.
func inNetNS(path string, f func() error) error {
	ns, err := openNetNS(path)
	if err != nil {
		return err
	}
	if ns == nil {
		return f()
	}
	defer ns.Close()
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return &Error{Op: "open", Subject: "network namespace", Err: err}
	}
	defer home.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return &Error{Op: "enter", Subject: "network namespace " + path, Err: err}
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, &Error{Op: "leave", Subject: "network namespace " + path, Err: back})
	}
	runtime.UnlockOSThread()
	return err
}
