package testnet

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// threadNetns is the network namespace of the calling thread.
const threadNetns = "/proc/thread-self/ns/net"

// Namespace is a network namespace kept alive by an open descriptor. Its methods may
// be called by several goroutines at once, but none after Close.
type Namespace struct {
	file  *os.File
	ports atomic.Uint32 // source ports and identifiers handed out so far

	mu    sync.Mutex
	mount string // where Bind mounted it, or empty
}

// Create makes an empty network namespace. It needs CAP_SYS_ADMIN (root, or a process
// started by [Reexec]); without it the error is EPERM. Tests use [New].
func Create() (*Namespace, error) {
	type result struct {
		file *os.File
		err  error
	}
	made := make(chan result)
	// A goroutine of its own, because the thread may have to be thrown away and the
	// caller's must not be. It ends before Create returns its answer.
	go func() {
		file, err := unshare()
		made <- result{file, err}
	}()
	r := <-made
	if r.err != nil {
		return nil, fmt.Errorf("create network namespace: %w", r.err)
	}
	return &Namespace{file: r.file}, nil
}

// unshare makes a namespace on this thread, opens it and goes back.
func unshare() (file *os.File, err error) {
	runtime.LockOSThread()
	home, err := os.Open(threadNetns)
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer home.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("unshare: %w", err)
	}
	file, err = os.Open(threadNetns)
	if back := restore(home); back != nil && file != nil {
		// The thread is lost, the namespace is good: the goroutine ends locked, and
		// the runtime destroys its thread.
		return file, nil
	}
	return file, err
}

// restore moves the locked thread to home and unlocks it. On an error the thread stays
// locked, so that no other goroutine ever runs in the wrong namespace.
func restore(home *os.File) error {
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("return to the former network namespace: %w", err)
	}
	runtime.UnlockOSThread()
	return nil
}

// Do calls f on a thread that is inside the namespace, and goes back when f returns or
// the goroutine ends in it. What f creates there belongs to the namespace for life:
// sockets, commands started. A goroutine that f starts is outside. Calls may nest.
//
// If going back fails, the calling goroutine stays locked to its thread, which the
// runtime destroys when the goroutine ends; the error says so.
func (ns *Namespace) Do(f func() error) (err error) {
	runtime.LockOSThread()
	home, err := os.Open(threadNetns)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace: %w", err)
	}
	defer home.Close()
	if err := unix.Setns(int(ns.file.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace: %w", err)
	}
	defer func() { err = errors.Join(err, restore(home)) }()
	return f()
}

// File is the open descriptor of the namespace, for setns(2) and the like. It belongs
// to the Namespace.
func (ns *Namespace) File() *os.File { return ns.file }

// Path names the namespace for this process and its children: a file that can be
// opened until Close. After Bind it is the name under /run/netns.
func (ns *Namespace) Path() string {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.mount != "" {
		return ns.mount
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.file.Fd())
}

// Inode is the kernel's number for the namespace, the one in "net:[4026531840]".
func (ns *Namespace) Inode() (uint64, error) { return inode(ns.file) }

// inode asks the kernel for a namespace file's number.
func inode(f *os.File) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, fmt.Errorf("stat %s: %w", f.Name(), err)
	}
	return st.Ino, nil
}

// Close removes the name that Bind gave and lets the namespace go. The kernel destroys
// it when the last socket, thread and mount in it are gone too. A second Close is an error.
func (ns *Namespace) Close() error {
	return errors.Join(ns.unbind(), ns.file.Close())
}
