package doctor

import (
	"context"
	"errors"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// Host is what was read of a host and one of its network namespaces. Where a
// fact has an error beside it, the fact counts only if that is nil.
type Host struct {
	Name string // of the namespace; "" is the process's own
	Path string // of its file; "" is the process's own

	Release string // uname -r
	Binary  string // this program's file

	Sysctls map[string]int64 // net.netfilter.nf_conntrack_… without the prefix, and rmem_max

	NetAdmin bool // the capability is effective
	BPF      bool // CAP_BPF or CAP_SYS_ADMIN is, in the machine's first user namespace
	Force    bool // a receive buffer may exceed rmem_max (SO_RCVBUFFORCE)

	Fill    flow.TableFill // how full the table is
	FillErr error
	CPUs    []flow.CPUStats // before and after whatever else was read
	CPUsErr error

	Hooks    Hooks // what calls the tracker, where the kernel tells
	HooksErr error
	Rules    Rules // what the rules ask of it
	RulesErr error

	Sockets    []Socket // of other processes, for netfilter's events
	SocketsErr error

	Offloaded    bool // an entry of the table is offloaded
	OffloadedErr error
	ZonesSeen    map[uint16]bool // those of Wants.Zones that have entries

	Clock    Clock
	ClockErr error

	LabelFile bool // connlabel.conf is there

	Ferries []int // other processes of this program that run as the service
}

// Wants says what to look at beyond what is always looked at.
type Wants struct {
	Name, Path string // the namespace; empty is the process's own
	Zones      []uint16
	Quick      bool // nothing that takes longer on a larger table
}

// Look reads a host. What cannot be read stays unknown; the error is about the
// namespace as a whole. The calling goroutine's thread enters the namespace and
// comes back.
func Look(ctx context.Context, w Wants) (*Host, error) {
	h := &Host{Name: w.Name, Path: w.Path}
	var err error
	if h.Binary, err = os.Executable(); err != nil {
		h.Binary = "ctferry"
	}
	before := readOffset()
	err = inNamespace(w.Path, func() { h.read(ctx, w) })
	if err != nil {
		return nil, err
	}
	h.Clock, h.ClockErr = readClock(before)
	if !w.Quick {
		h.Ferries = ferries(h.Binary)
	}
	return h, nil
}

// read reads everything that is of the thread's namespace.
func (h *Host) read(ctx context.Context, w Wants) {
	h.Release = release()
	h.Sysctls = readSysctls()
	h.NetAdmin, h.BPF = capabilities()
	h.Force = mayForce()
	h.Hooks, h.HooksErr = readHooks(ctx)
	h.Rules, h.RulesErr = readRules(ctx)
	h.Sockets, h.SocketsErr = readSockets(w.Quick)
	_, err := os.Stat(connlabelConf)
	h.LabelFile = err == nil
	h.readTable(ctx, w)
}

// connlabelConf names the label bits (libxt_connlabel).
const connlabelConf = "/etc/xtables/connlabel.conf"

// inNamespace calls f on a thread that is in the namespace; "" is where it is.
// Should the way back fail, the thread stays the goroutine's own.
func inNamespace(path string, f func()) error {
	if path == "" {
		f()
		return nil
	}
	target, err := os.Open(path)
	if err != nil {
		return err
	}
	defer target.Close()
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return &os.PathError{Op: "enter network namespace", Path: path, Err: err}
	}
	f()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return &os.PathError{Op: "leave network namespace", Path: path, Err: err}
	}
	runtime.UnlockOSThread()
	return nil
}

// release is the running kernel's.
func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// Clock is how the machine's clock stands.
type Clock struct {
	Unsynchronised bool          // STA_UNSYNC or TIME_ERROR: nothing keeps it right
	MaxError       time.Duration // as the kernel estimates it
	Step           time.Duration // how far it was set while doctor looked
}

// readClock asks adjtimex(2); before is readOffset's a while ago.
func readClock(before time.Duration) (Clock, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return Clock{}, os.NewSyscallError("adjtimex", err)
	}
	return Clock{
		Unsynchronised: state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0,
		MaxError:       time.Duration(t.Maxerror) * time.Microsecond,
		Step:           readOffset() - before,
	}, nil
}

// readOffset is the time of day less the time since boot. It changes only when
// the clock is set, and by slewing, which is at most half a millisecond a second.
func readOffset() time.Duration {
	var day, boot unix.Timespec
	if errors.Join(unix.ClockGettime(unix.CLOCK_REALTIME, &day), unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)) != nil {
		return 0
	}
	return time.Duration(day.Nano() - boot.Nano())
}
