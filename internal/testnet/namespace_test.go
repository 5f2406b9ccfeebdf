package testnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// here is the calling thread's namespace.
func here(t *testing.T) uint64 {
	t.Helper()
	n, err := ownInode()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDoGoesInAndComesBack(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home := here(t)
	outer, inner := New(t), New(t)
	want, err := outer.Inode()
	if err != nil || want == home {
		t.Fatalf("inode %d at home %d: %v", want, home, err)
	}
	boom := errors.New("boom")
	err = outer.Do(func() error {
		if got := here(t); got != want {
			t.Errorf("in namespace %d, expected %d", got, want)
		}
		if err := inner.Do(func() error { return nil }); err != nil {
			t.Error(err)
		}
		if got := here(t); got != want {
			t.Errorf("after a nested call in namespace %d, expected %d", got, want)
		}
		return boom
	})
	if err != boom && !errors.Is(err, boom) {
		t.Errorf("error %v, expected what the function returned", err)
	}
	if got := here(t); got != home {
		t.Errorf("came back to %d, expected %d", got, home)
	}
}

func TestDoComesBackFromPanicAndGoexit(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, ns := here(t), New(t)
	func() {
		defer func() { _ = recover() }()
		_ = ns.Do(func() error { panic("out") })
	}()
	if got := here(t); got != home {
		t.Errorf("after a panic in %d, expected %d", got, home)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = ns.Do(func() error { runtime.Goexit(); return nil })
	}()
	<-ended
}

// TestLostThreadStaysLocked gives restore a descriptor that cannot work.
func TestLostThreadStaysLocked(t *testing.T) {
	lost := make(chan int)
	go func() {
		runtime.LockOSThread()
		bad, _, _ := os.Pipe()
		defer bad.Close()
		if err := restore(bad); err == nil {
			t.Error("a pipe was taken for a namespace")
		}
		lost <- unix.Gettid() // the goroutine ends locked
	}()
	tid := <-lost
	if tid == os.Getpid() {
		t.Skip("ran on the first thread, which the runtime keeps")
	}
	task := fmt.Sprintf("/proc/self/task/%d", tid)
	for range 100 {
		if _, err := os.Stat(task); errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("thread %d lives on in the wrong namespace", tid)
}

func TestUpAddressesAndSysctl(t *testing.T) {
	ns := New(t)
	addrs := []netip.Addr{netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("2001:db8:77::1")}
	if err := ns.Up(addrs...); err != nil {
		t.Fatal(err)
	}
	err := ns.Do(func() error {
		for _, a := range append(addrs, netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()) {
			l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
			if err != nil {
				return err
			}
			l.Close()
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := ns.Up(addrs[0]); !errors.Is(err, unix.EEXIST) {
		t.Errorf("the same address twice: %v, expected EEXIST", err)
	}
	if err := ns.Record(); err != nil {
		t.Error(err)
	}
	if err := ns.Sysctl("net.netfilter.nf_conntrack_udp_timeout", "7"); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"acct": "1", "timestamp": "1", "events": "1", "udp_timeout": "7"} {
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "cat", "/proc/sys/net/netfilter/nf_conntrack_"+name)
		cmd.Stdout = &out
		if err := ns.Run(cmd); err != nil || strings.TrimSpace(out.String()) != want {
			t.Errorf("%s is %q, expected %q: %v", name, out.String(), want, err)
		}
	}
	for name, want := range map[string]error{"net.netfilter.nf_conntrack_nonsense": os.ErrNotExist, "net.netfilter.nf_conntrack_count": os.ErrPermission} {
		if err := ns.Sysctl(name, "1"); !errors.Is(err, want) {
			t.Errorf("sysctl %s: %v, expected %v", name, err, want)
		}
	}
}

func TestNamed(t *testing.T) {
	name := fmt.Sprintf("testnet-%d", os.Getpid())
	path := filepath.Join(netnsDir, name)
	t.Run("bound", func(t *testing.T) {
		ns := NewNamed(t, name)
		if ns.Path() != path {
			t.Errorf("path %s, expected %s", ns.Path(), path)
		}
		sameNamespace(t, ns)
		if err := ns.Bind(name + "b"); err == nil {
			t.Error("bound twice")
		}
		other := New(t)
		if err := other.Bind(name); !errors.Is(err, os.ErrExist) {
			t.Errorf("a name in use: %v, expected that it exists", err)
		}
		for _, bad := range []string{"", "..", "a/b", ".hidden"} {
			if err := other.Bind(bad); err == nil {
				t.Errorf("name %q was taken", bad)
			}
		}
	})
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s after Close: %v", path, err)
	}
}

// sameNamespace checks that Path leads to the namespace.
func sameNamespace(t *testing.T, ns *Namespace) {
	t.Helper()
	f, err := os.Open(ns.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := inode(f)
	want, err2 := ns.Inode()
	if err != nil || err2 != nil || got != want {
		t.Errorf("path %s leads to %d, expected %d: %v, %v", ns.Path(), got, want, err, err2)
	}
}

func TestPathWorksInAChild(t *testing.T) {
	ns := New(t)
	sameNamespace(t, ns)
	out, err := exec.CommandContext(t.Context(), "stat", "-L", "-c", "%i", ns.Path()).Output()
	want, _ := ns.Inode()
	if got := strings.TrimSpace(string(out)); err != nil || got != fmt.Sprint(want) {
		t.Errorf("a child sees inode %s, expected %d: %v", got, want, err)
	}
}

func TestNothingRemains(t *testing.T) {
	var gone []uint64
	var handles []unix.FileHandle
	goroutines := runtime.NumGoroutine()
	for range 5 {
		ns, err := Create()
		if errors.Is(err, unix.EPERM) {
			Unavailable(t, "private network namespaces are refused: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(ns.Up(), ns.Lay(Track())); err != nil {
			t.Fatal(err)
		}
		if _, err := (Mix{NS: ns, Flows: 20}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		n, _ := ns.Inode()
		gone = append(gone, n)
		handles = append(handles, handle(t, ns)...)
		if held := holders(t, n); held == 0 {
			t.Error("the search for holders finds nothing even before Close")
		}
		if err := ns.Close(); err != nil {
			t.Fatal(err)
		}
		if err := ns.Do(func() error { return nil }); err == nil {
			t.Error("a closed namespace let us in")
		}
	}
	for _, h := range handles {
		destroyed(t, h)
	}
	for _, n := range gone {
		if held := holders(t, n); held != 0 {
			t.Errorf("namespace %d is still held %d times", n, held)
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
}

// nsfsRoot stands for the file system of namespaces in open_by_handle_at(2), since Linux
// 6.18 (FD_NSFS_ROOT).
const nsfsRoot = -10003

// handle names a namespace without holding it; none if the kernel cannot.
func handle(t *testing.T, ns *Namespace) []unix.FileHandle {
	t.Helper()
	h, _, err := unix.NameToHandleAt(int(ns.File().Fd()), "", unix.AT_EMPTY_PATH)
	if err == nil {
		var fd int
		if fd, err = unix.OpenByHandleAt(nsfsRoot, h, unix.O_RDONLY); err == nil {
			unix.Close(fd)
			return []unix.FileHandle{h}
		}
	}
	t.Logf("cannot ask the kernel whether it let go: %v", err)
	return nil
}

// destroyed waits until the kernel itself no longer knows a namespace; whoever holds
// one, in any process, would keep it.
func destroyed(t *testing.T, h unix.FileHandle) {
	t.Helper()
	var err error
	for range 200 {
		var fd int
		if fd, err = unix.OpenByHandleAt(nsfsRoot, h, unix.O_RDONLY); err != nil {
			break
		}
		unix.Close(fd)
		time.Sleep(10 * time.Millisecond)
	}
	if err == nil {
		t.Error("the kernel still has a closed namespace after 2 s")
	} else if !errors.Is(err, unix.ESTALE) {
		t.Errorf("a closed namespace: %v, expected ESTALE", err)
	}
}

// holders counts this process's threads in, and descriptors of, a namespace.
func holders(t *testing.T, inode uint64) int {
	t.Helper()
	n := 0
	for _, pattern := range []string{"/proc/self/task/*/ns/net", "/proc/self/fd/*"} {
		links, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			if to, _ := os.Readlink(link); to == fmt.Sprintf("net:[%d]", inode) {
				n++
			}
		}
	}
	return n
}

// recorder is a TB that notes what befalls the test.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Skipf(f string, a ...any)  { r.skipped = fmt.Sprintf(f, a...) }
func (r *recorder) Fatalf(f string, a ...any) { r.failed = fmt.Sprintf(f, a...); r.skipped = "" }
func (r *recorder) Context() context.Context  { return context.Background() }

func TestUnavailable(t *testing.T) {
	t.Setenv("REQUIRE_ALL", "")
	r := &recorder{TB: t}
	if Unavailable(r, "no %s", "moon"); r.skipped != "no moon" || r.failed != "" {
		t.Errorf("without REQUIRE_ALL: %+v", r)
	}
	t.Setenv("REQUIRE_ALL", "1")
	r = &recorder{TB: t}
	Unavailable(r, "no %s", "moon")
	if !strings.Contains(r.failed, "no moon") {
		t.Errorf("with REQUIRE_ALL=1: %+v", r)
	}
}
