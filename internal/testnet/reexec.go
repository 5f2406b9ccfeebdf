package testnet

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// marker is the environment variable that tells a process started by Reexec from its
// parent; its value is the inode of the parent's network namespace.
const marker = "TESTNET_PARENT_NETNS"

// Reexec prepares this program to be run again, with args, inside a network namespace
// of its own. Without root it gets a user namespace too, in which it is root; then its
// receive buffers are bounded by net.core.rmem_max. The command has this process's
// standard streams and is asked to end (SIGTERM, 5 s later SIGKILL) when ctx is done.
// Where the machine refuses user namespaces, Start returns EPERM, ENOSPC or EUSERS.
func Reexec(ctx context.Context, args ...string) (*exec.Cmd, error) {
	parent, err := ownInode()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), marker+"="+strconv.FormatUint(parent, 10))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = privateAttr(os.Geteuid(), os.Getegid())
	return cmd, nil
}

// privateAttr asks clone(2) for a network namespace and, for anyone but root, for a
// user namespace whose root is that user.
func privateAttr(uid, gid int) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}}
	}
	return attr
}

// Reexecuted tells whether this process was started by [Reexec].
func Reexecuted() bool { return os.Getenv(marker) != "" }

// Inherited is the namespace of a process that [Reexec] started. Anywhere else it is
// an error, so that no rule is ever laid on the machine's own network by mistake.
func Inherited() (*Namespace, error) {
	own, err := ownInode()
	if err != nil {
		return nil, err
	}
	parent, err := strconv.ParseUint(os.Getenv(marker), 10, 64)
	if err != nil || parent == own {
		return nil, fmt.Errorf("inherited network namespace: this process has none of its own; it was not started by Reexec")
	}
	file, err := os.Open(threadNetns)
	if err != nil {
		return nil, fmt.Errorf("inherited network namespace: %w", err)
	}
	return &Namespace{file: file}, nil
}

// ownInode numbers the namespace of the calling thread.
func ownInode() (uint64, error) {
	file, err := os.Open(threadNetns)
	if err != nil {
		return 0, fmt.Errorf("own network namespace: %w", err)
	}
	defer file.Close()
	return inode(file)
}
