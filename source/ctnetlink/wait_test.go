package ctnetlink

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
)

func TestWait(t *testing.T) { both(t, testWait) }

func testWait(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew})
	if ready, err := l.Wait(0); ready || err != nil {
		t.Errorf("nothing is waiting: %v, %v", ready, err)
	}
	start := time.Now()
	if ready, err := l.Wait(30 * time.Millisecond); ready || err != nil || time.Since(start) < 30*time.Millisecond {
		t.Errorf("timeout: %v, %v after %v", ready, err, time.Since(start))
	}
	churn(t, testnet.Churn{NS: ns, Entries: 1})
	if ready, err := l.Wait(-1); !ready || err != nil {
		t.Errorf("an event is waiting: %v, %v", ready, err)
	}
	drain(t, l, none)
}

func TestWaitWithoutWaiting(t *testing.T) {
	l := &Listener{pending: []datagram{{}}}
	if ready, err := l.Wait(-1); !ready || err != nil {
		t.Errorf("what was read already and not decoded: %v, %v", ready, err)
	}
	w, err := newWaker()
	if err != nil {
		t.Fatal(err)
	}
	if ready, err := w.wait(1<<20, -1); ready || !errors.Is(err, unix.EBADF) {
		t.Errorf("a descriptor that is none: %v, %v", ready, err)
	}
	if err := w.close(); err != nil {
		t.Error(err)
	}
}

// TestSilentKernel waits for an answer to what was never asked.
func TestSilentKernel(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	c.sock.wait = 20 * time.Millisecond
	_, err := c.sock.receive(t.Context(), &request{op: "stats", subject: "conntrack"})
	if !errors.Is(err, errSilent) || err.Error() != "stats conntrack: the kernel did not answer" {
		t.Error(err)
	}
}

func TestInterrupt(t *testing.T) { both(t, testInterrupt) }

func testInterrupt(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew})
	waited := make(chan time.Duration)
	go func() {
		start := time.Now()
		if ready, err := l.Wait(10 * time.Second); ready || err != nil {
			t.Errorf("interrupted: %v, %v", ready, err)
		}
		waited <- time.Since(start)
	}()
	time.Sleep(50 * time.Millisecond)
	l.Interrupt()
	if d := <-waited; d > 5*time.Second {
		t.Errorf("the wait took %v", d)
	}
	// An interrupt that comes first ends the next wait, and only that.
	l.Interrupt()
	l.Interrupt()
	start := time.Now()
	if ready, err := l.Wait(10 * time.Second); ready || err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("interrupted before: %v, %v after %v", ready, err, time.Since(start))
	}
	start = time.Now()
	if _, err := l.Wait(20 * time.Millisecond); err != nil || time.Since(start) < 20*time.Millisecond {
		t.Errorf("the interrupt is still there: %v after %v", err, time.Since(start))
	}
}

func TestMilliseconds(t *testing.T) {
	for d, want := range map[time.Duration]int{
		-1: -1, 0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, 1 << 62: 1<<31 - 1,
	} {
		if got := milliseconds(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}

// TestWaitAgain arms the same descriptor time and again: an event ends one wait,
// and the next one as long as it has not been read.
func TestWaitAgain(t *testing.T) { both(t, testWaitAgain) }

func testWaitAgain(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew})
	for i := range 20 {
		churn(t, testnet.Churn{NS: ns, First: i, Entries: 1})
		for range 2 {
			if ready, err := l.Wait(10 * time.Second); !ready || err != nil {
				t.Fatalf("event %d: %v, %v", i, ready, err)
			}
		}
		drain(t, l, none)
		if ready, err := l.Wait(0); ready || err != nil {
			t.Fatalf("event %d was read: %v, %v", i, ready, err)
		}
	}
}

// TestOutOfPoller proves that the runtime's poller does not watch the socket: its
// epoll instance would be listed among those that do.
func TestOutOfPoller(t *testing.T) { both(t, testOutOfPoller) }

func testOutOfPoller(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew})
	watched := watchedBy(t, l.fd)
	if len(watched) != 0 {
		t.Errorf("epoll instances that watch the socket: %v", watched)
	}
	if _, err := l.Wait(0); err != nil {
		t.Fatal(err)
	}
	// The waker's own may; the runtime's has that one, not the socket.
	if watched := watchedBy(t, l.fd); len(watched) > 1 {
		t.Errorf("epoll instances that watch the socket after a wait: %v", watched)
	}
	if fl, err := unix.FcntlInt(uintptr(l.fd), unix.F_GETFD, 0); err != nil || fl&unix.FD_CLOEXEC == 0 {
		t.Errorf("the descriptor is inherited by children: %v, %v", fl, err)
	}
}

// watchedBy lists this process's epoll instances that watch a socket, by its inode.
func watchedBy(t *testing.T, fd int) (watchers []string) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("/proc/self/fdinfo")
	if err != nil {
		t.Fatal(err)
	}
	polls := 0
	for _, e := range entries {
		text, err := os.ReadFile("/proc/self/fdinfo/" + e.Name())
		if err != nil {
			continue // closed meanwhile: the directory's own descriptor
		}
		if strings.Contains(string(text), "tfd:") {
			polls++
		}
		if strings.Contains(string(text), fmt.Sprintf(" ino:%x ", st.Ino)) {
			watchers = append(watchers, e.Name())
		}
	}
	if polls == 0 {
		t.Fatal("no epoll instance found at all: the test looks at the wrong place")
	}
	return watchers
}
