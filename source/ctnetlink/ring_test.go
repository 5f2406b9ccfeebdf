package ctnetlink

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// ringListener is a listener that surely has a ring.
func ringListener(t *testing.T, ns *testnet.Namespace, c Config) *Listener {
	t.Helper()
	needRing(t)
	c.Receive = ReceiveRing
	return listen(t, ns, c)
}

func TestRingBytes(t *testing.T) {
	page := os.Getpagesize()
	for bytes, want := range map[int]int{
		0: page, 1: page, 4 * page: page, 4*page + 1: 2 * page, 64 << 20: 16 << 20, 100 << 20: 32 << 20, 1<<31 - 2: 512 << 20,
	} {
		if got := ringBytes(bytes); got != want {
			t.Errorf("%d bytes: a ring of %d, want %d", bytes, got, want)
		}
	}
}

// withOnly calls f on a thread that has the given capabilities and no others.
func withOnly(t *testing.T, f func(), capabilities ...int) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	if err := unix.Capget(&head, &had[0]); err != nil {
		t.Fatal(err)
	}
	now := had
	now[0].Effective, now[1].Effective = 0, 0
	for _, c := range capabilities {
		now[c/32].Effective |= 1 << (c % 32)
	}
	if err := unix.Capset(&head, &now[0]); err != nil {
		testnet.Unavailable(t, "capabilities %v: %v", capabilities, err)
	}
	defer func() {
		if err := unix.Capset(&head, &had[0]); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// TestRingNeedsLittle makes a ring with CAP_BPF alone: the verifier must accept
// the filter without the trust that it has in root, and without a licence that
// is the GPL's.
func TestRingNeedsLittle(t *testing.T) {
	needRing(t)
	withOnly(t, func() {
		for _, reliable := range []bool{false, true} {
			r, err := newRing(1<<20, reliable, nil)
			if err != nil {
				t.Fatal(err)
			}
			spec := ringProgram(r.rings, r.count.m, reliable, nil)
			if n := len(spec.Instructions); n > 64 || strings.Contains(spec.License, "GPL") {
				t.Errorf("%d instructions under the licence %q", n, spec.License)
			}
			if got, err := r.grow(4 << 20); got != 4<<20 || err != nil {
				t.Errorf("grown to %d: %v", got, err)
			}
			if err := r.close(); err != nil {
				t.Error(err)
			}
		}
	}, unix.CAP_BPF)
}

// TestNoRight asks for each way without CAP_BPF.
func TestNoRight(t *testing.T) {
	ns := testnet.New(t)
	c := Config{NetNS: ns.Path(), Groups: ConntrackNew}
	withOnly(t, func() {
		for _, c.Receive = range []Receive{ReceiveAuto, ReceiveSocket} {
			l := listen(t, ns, c)
			way, why := l.Receives()
			if way != ReceiveSocket || errors.Is(why, unix.EPERM) != (c.Receive == ReceiveAuto) {
				t.Errorf("%s: %s, %v", c.Receive, way, why)
			}
		}
		c.Receive = ReceiveRing
		l, err := Listen(c)
		if err == nil {
			l.Close()
		}
		if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "needs CAP_BPF") {
			t.Errorf("ring: %v", err)
		}
	}, unix.CAP_NET_ADMIN) // CAP_SYS_ADMIN would stand for CAP_BPF
}

func TestRingNeeds(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{unix.EPERM, "operation not permitted: needs CAP_BPF in the first user namespace, and before Linux 5.11 a larger RLIMIT_MEMLOCK"},
		{unix.EINVAL, "invalid argument: needs Linux 5.8 or later with CONFIG_BPF_SYSCALL"},
		{unix.ENOSYS, "function not implemented: needs Linux 5.8 or later with CONFIG_BPF_SYSCALL"},
		{unix.ENOMEM, "cannot allocate memory"},
	} {
		if got := ringNeeds(c.err); got.Error() != c.want || !errors.Is(got, c.err) {
			t.Errorf("%v", got)
		}
	}
}

func TestAutoTakesTheRing(t *testing.T) {
	needRing(t)
	l := listen(t, testnet.New(t), Config{Groups: ConntrackNew})
	if way, why := l.Receives(); way != ReceiveRing || why != nil {
		t.Errorf("%s: %v", way, why)
	}
}

// TestRingSizes sends datagrams of every length around a record's, and longer
// ones than any record has room for, through a ring of one page. Only a process
// can make them, so the kernel stands aside here.
func TestRingSizes(t *testing.T) {
	ns := testnet.New(t)
	l := ringListener(t, ns, Config{Groups: ConntrackNew, Buffer: 1})
	lengths := []int{1, 15, 16, 17, 3000, 20000}
	for _, size := range ringSizes() {
		lengths = append(lengths, int(size)-1, int(size), int(size)+1)
	}
	for round := range 20 {
		for _, length := range lengths {
			p := make([]byte, length)
			for i := range p {
				p[i] = byte(i*7 + round)
			}
			if err := sendTo(t, ns, p, unix.SockaddrNetlink{Groups: uint32(ConntrackNew)}); err != nil {
				t.Fatal(err)
			}
			got, err := l.recv.next()
			if err != nil || len(got) != 1 {
				t.Fatalf("%d bytes: %d datagrams: %v", length, len(got), err)
			}
			if long := length > eventSlotSize; got[0].truncated != long || !long && string(got[0].data) != string(p) {
				t.Fatalf("%d bytes came back as %d, truncated: %v", length, len(got[0].data), got[0].truncated)
			}
			l.recv.descriptor() // gives it back: a page has no room for two of the largest
		}
	}
	if s, err := l.Stats(); err != nil || s.Drops != 0 {
		t.Errorf("%+v: %v", s, err)
	}
}

// TestRingStats wants what was handed out to be no longer queued, nor to keep a
// Wait from waiting.
func TestRingStats(t *testing.T) {
	ns := testnet.New(t)
	l := ringListener(t, ns, Config{Groups: ConntrackNew, Buffer: 64 << 10})
	churn(t, testnet.Churn{NS: ns, Entries: 5, Keep: true})
	if s, err := l.Stats(); err != nil || s.Queued == 0 || s.Buffer != 64<<10 {
		t.Errorf("%+v: %v", s, err)
	}
	if n, err := l.Read(flow.NewBatch(eventSlots), eventSlots); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if s, err := l.Stats(); err != nil || s.Queued != 0 {
		t.Errorf("%+v: %v", s, err)
	}
	if ready, err := l.Wait(0); ready || err != nil {
		t.Errorf("all is read: %v, %v", ready, err)
	}
}

// TestRingWakes waits for one event at a time, at the moment at which the reader
// lies down: no wake-up may be lost.
func TestRingWakes(t *testing.T) {
	ns := testnet.New(t)
	l := ringListener(t, ns, Config{Groups: ConntrackNew | ConntrackDestroy, Buffer: 16 << 20})
	const entries = 2000
	made := make(chan error, 1)
	go func() {
		_, err := testnet.Churn{NS: ns, Entries: entries, Rate: 8000}.Run(t.Context())
		made <- err
	}()
	b := flow.NewBatch(eventSlots)
	for got := 0; got < 2*entries; {
		ready, err := l.Wait(5 * time.Second)
		if err != nil || !ready {
			s, _ := l.Stats()
			t.Fatalf("after %d events nobody woke the reader: %v, %+v", got, err, s)
		}
		for {
			n, err := l.Read(b, eventSlots)
			if err != nil {
				t.Fatal(err)
			}
			got += b.Len()
			if b.Reset(); n == 0 {
				break
			}
		}
	}
	if err := <-made; err != nil {
		t.Fatal(err)
	}
}

// TestTwoRings opens two event sockets in one namespace and one in another: each
// has a ring of its own.
func TestTwoRings(t *testing.T) {
	ns, other := testnet.New(t), testnet.New(t)
	c := Config{Groups: ConntrackNew | ConntrackDestroy, Buffer: 4 << 20}
	first, second, third := ringListener(t, ns, c), ringListener(t, ns, c), ringListener(t, other, c)
	done := churn(t, testnet.Churn{NS: ns, Entries: 500})
	if a, b := drain(t, first, none), drain(t, second, none); a != done.Events() || b != a {
		t.Errorf("%d and %d of %d events", a, b, done.Events())
	}
	if n := drain(t, third, none); n != 0 {
		t.Errorf("%d events of another namespace", n)
	}
}

// TestRingMemory wants a ring to count once as resident memory.
func TestRingMemory(t *testing.T) {
	needRing(t)
	before := resident(t)
	r, err := newRing(256<<20, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if grown := resident(t) - before; grown > 72<<20 {
		t.Errorf("a ring of 64 MiB takes %d MiB", grown>>20)
	}
}

func resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var total, pages int
	if _, err := fmt.Sscan(string(text), &total, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// lives follows the order of each entry's events.
type lives struct {
	last map[[2]string]flow.Type
	bad  string
}

func (l *lives) see(e *flow.Event) {
	key := [2]string{describeTuple(&e.Orig)}
	if e.Type <= l.last[key] && l.last[key] != flow.TypeDestroy {
		l.bad = fmt.Sprintf("%v after %v: %s", e.Type, l.last[key], key[0])
	}
	l.last[key] = e.Type
}

// TestRingGrowsUnderLoad has a generator on each processor write to a ring that
// is at first much too small, and is exchanged for larger ones meanwhile: all is
// received or counted, and the events of each entry come in their order.
func TestRingGrowsUnderLoad(t *testing.T) {
	ns := testnet.New(t)
	l := ringListener(t, ns, Config{Groups: ConntrackNew | ConntrackUpdate | ConntrackDestroy, Buffer: 16 << 10, MaxBuffer: 64 << 20})
	const makers, entries = 4, 10000
	var wg sync.WaitGroup
	for i := range makers {
		wg.Go(func() {
			pin(t, i%runtime.NumCPU())
			if _, err := (testnet.Churn{NS: ns, First: i * entries, Entries: entries, Update: true}).Run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		for size := 32 << 10; size <= 64<<20; size *= 2 {
			time.Sleep(20 * time.Millisecond)
			if got, err := l.Grow(size); got != size || err != nil {
				t.Errorf("grown to %d, want %d: %v", got, size, err)
			}
		}
	})
	over := make(chan struct{})
	go func() { wg.Wait(); close(over) }()
	seen := lives{last: map[[2]string]flow.Type{}}
	got := 0
	for open := true; open; {
		select {
		case <-over:
			open = false
		case <-time.After(time.Millisecond):
		}
		got += drain(t, l, seen.see)
	}
	s, err := l.Stats()
	if err != nil || uint64(got)+s.Drops != makers*entries*3 || s.Queued != 0 || s.Buffer != 64<<20 {
		t.Errorf("%d received of %d, %+v: %v", got, makers*entries*3, s, err)
	}
	if seen.bad != "" {
		t.Error(seen.bad)
	}
	t.Logf("%d received, %d dropped", got, s.Drops)
}

// pin keeps the calling goroutine on one processor; it must end with the test.
func pin(t *testing.T, cpu int) {
	runtime.LockOSThread() // never unlocked: the thread ends with its goroutine
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		t.Errorf("processor %d: %v", cpu, err)
	}
}

// TestRingRealPackets sends real packets from both processors in two namespaces
// at once, while each is read.
func TestRingRealPackets(t *testing.T) {
	var wg sync.WaitGroup
	for range 2 {
		ns := quiet(t)
		l := ringListener(t, ns, Config{Groups: ConntrackNew, Buffer: 1 << 20})
		wg.Go(func() {
			total := 0
			done := make(chan int, 2)
			for cpu := range 2 {
				go func() {
					pin(t, cpu%runtime.NumCPU())
					tally, err := testnet.Mix{NS: ns, Flows: 300}.Run(t.Context())
					if err != nil {
						t.Error(err)
					}
					done <- tally.Total()
				}()
			}
			total = <-done + <-done
			if got := drain(t, l, none); got != total {
				t.Errorf("%d of %d flows were new", got, total)
			}
		})
	}
	wg.Wait()
}

// TestReadGoesOnInTheNextRing: that less was read than was asked for means, beside a
// ring that has just grown too, that nothing more was waiting.
func TestReadGoesOnInTheNextRing(t *testing.T) {
	ns := testnet.New(t)
	l := ringListener(t, ns, Config{Groups: ConntrackNew, Buffer: 1 << 20, MaxBuffer: 4 << 20})
	churn(t, testnet.Churn{NS: ns, Entries: 5})
	if _, err := l.Grow(4 << 20); err != nil {
		t.Fatal(err)
	}
	churn(t, testnet.Churn{NS: ns, First: 5, Entries: 15})
	if n, err := l.Read(flow.NewBatch(64), 64); n != 20 || err != nil {
		t.Errorf("%d of 20 events that were waiting: %v", n, err)
	}
}
