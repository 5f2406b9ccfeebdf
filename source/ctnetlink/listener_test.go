package ctnetlink

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// listen opens a Listener in the namespace and closes it with the test.
func listen(tb testing.TB, ns *testnet.Namespace, c Config) *Listener {
	tb.Helper()
	c.NetNS = ns.Path()
	l, err := Listen(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			tb.Error(err)
		}
	})
	return l
}

// drain reads until nothing is waiting and calls f with every event.
func drain(tb testing.TB, l *Listener, f func(*flow.Event)) (events int) {
	tb.Helper()
	b := flow.NewBatch(eventSlots)
	for {
		n, err := l.Read(b, eventSlots)
		if err != nil {
			tb.Fatal(err)
		}
		for i := range b.Events() {
			f(&b.Events()[i])
		}
		events += b.Len()
		if b.Reset(); n == 0 {
			return events
		}
	}
}

func none(*flow.Event) {}

// quiet makes a namespace that tracks and records.
func quiet(tb testing.TB, addrs ...netip.Addr) *testnet.Namespace {
	tb.Helper()
	ns := testnet.New(tb)
	if err := errors.Join(ns.Up(addrs...), ns.Record(), ns.Lay(testnet.Track())); err != nil {
		tb.Fatal(err)
	}
	return ns
}

func TestConfigRefused(t *testing.T) {
	for _, c := range []Config{
		{Groups: 1 << 10},
		{Groups: ConntrackNew, Buffer: -1},
		{Groups: ConntrackNew, Buffer: 1 << 20, MaxBuffer: 1 << 19},
		{Groups: ConntrackNew, MaxBuffer: -1},
		{Groups: ConntrackNew, Receive: ReceiveSocket + 1},
		{Groups: ConntrackNew, NetNS: "/run/netns/there-is-none"},
	} {
		if l, err := Listen(c); err == nil {
			l.Close()
			t.Errorf("%+v was accepted", c)
		}
	}
	_, err := Listen(Config{Groups: ConntrackNew, NetNS: "/run/netns/there-is-none"})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("namespace that is none: %v", err)
	}
}

// TestGroupsLater opens a listener in no group: nothing comes until it joins one.
func TestGroupsLater(t *testing.T) { both(t, testGroupsLater) }

func testGroupsLater(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: via})
	churn(t, testnet.Churn{NS: ns, Entries: 10})
	if n := drain(t, l, none); n != 0 {
		t.Errorf("%d events of no group", n)
	}
	if err := l.SetGroups(ConntrackNew); err != nil {
		t.Fatal(err)
	}
	churn(t, testnet.Churn{NS: ns, Entries: 10})
	if n := drain(t, l, none); n != 10 {
		t.Errorf("%d events of 10", n)
	}
}

// TestGroups joins one group at a time: each brings its own kind and no other.
func TestGroups(t *testing.T) { both(t, testGroups) }

func testGroups(t *testing.T, via Receive) {
	all := flow.TypesOf(flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy, flow.TypeDump)
	for _, c := range []struct {
		groups        Groups
		n, upd, destr int
	}{
		{ConntrackNew, 100, 0, 0},
		{ConntrackUpdate, 0, 100, 0},
		{ConntrackDestroy, 0, 0, 100},
		{GroupsOf(flow.TableConntrack, flow.TypesOf(flow.TypeNew, flow.TypeDestroy)), 100, 0, 100},
		{GroupsOf(flow.TableConntrack, all), 100, 100, 100},
		{GroupsOf(flow.TableExpect, all), 0, 0, 0},
	} {
		ns := testnet.New(t)
		l := listen(t, ns, Config{Receive: via, Groups: c.groups, Buffer: 1 << 20})
		churn(t, testnet.Churn{NS: ns, Entries: 50, Update: true, Mark: 1})
		churn(t, testnet.Churn{NS: ns, Entries: 50, First: 50, Update: true, Mark: 1})
		seen := map[flow.Type]int{}
		drain(t, l, func(e *flow.Event) {
			seen[e.Type]++
			if e.Table != flow.TableConntrack || !e.Got(flow.HasOrig|flow.HasReply|flow.HasID|flow.HasPortID) {
				t.Errorf("%s", describe(e))
			}
		})
		if seen[flow.TypeNew] != c.n || seen[flow.TypeUpdate] != c.upd || seen[flow.TypeDestroy] != c.destr {
			t.Errorf("groups %#x: %v", c.groups, seen)
		}
	}
	if GroupsOf(flow.TableExpect, all)|GroupsOf(flow.TableConntrack, all) != allGroups {
		t.Error("GroupsOf leaves a group out")
	}
}

func churn(tb testing.TB, c testnet.Churn) testnet.Churned {
	tb.Helper()
	done, err := c.Run(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return done
}

// TestExpectGroups has a real FTP session make expectations.
func TestExpectGroups(t *testing.T) { both(t, testExpectGroups) }

func testExpectGroups(t *testing.T, via Receive) {
	ns := quiet(t)
	if err := ns.Lay(testnet.UseHelper(testnet.Match{Proto: unix.IPPROTO_TCP, DstPort: 21}, "ftp")); err != nil {
		t.Fatal(err)
	}
	l := listen(t, ns, Config{Receive: via, Groups: ExpectNew | ExpectUpdate | ExpectDestroy})
	made, err := testnet.Traffic{NS: ns, Port: 21}.FTP(t.Context(), 3, true)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[flow.Type]int{}
	drain(t, l, func(e *flow.Event) {
		seen[e.Type]++
		x := &e.Extra.Expect
		const want = flow.HasExpectID | flow.HasExpectTuple | flow.HasExpectMask | flow.HasExpectMaster |
			flow.HasExpectTimeout | flow.HasExpectHelper | flow.HasExpectFlags | flow.HasExpectClass
		if e.Table != flow.TableExpect || !x.Got(want) || x.Helper != "ftp" || x.Tuple.Proto != flow.ProtoTCP || x.Master.DstPort != 21 {
			t.Errorf("%s", describe(e))
		}
	})
	if seen[flow.TypeNew] == 0 || seen[flow.TypeNew] != seen[flow.TypeDestroy] || seen[flow.TypeUpdate] != 0 {
		t.Errorf("%d sessions: %v", made, seen)
	}
}

// TestOverflow overflows the smallest buffers: what was received and what the
// kernel dropped add up to what was produced, exactly.
func TestOverflow(t *testing.T) { both(t, testOverflow) }

func testOverflow(t *testing.T, via Receive) {
	for _, size := range []int{1, 8 << 10, 64 << 10, 212992} {
		ns := testnet.New(t)
		l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew | ConntrackDestroy, Buffer: size})
		done := churn(t, testnet.Churn{NS: ns, Entries: 3000})
		got := drain(t, l, none)
		s, err := l.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if uint64(got)+s.Drops != uint64(done.Events()) || s.Drops == 0 || got == 0 {
			t.Errorf("buffer %d: %d received, %d dropped of %d produced", s.Buffer, got, s.Drops, done.Events())
		}
		if c := l.Counts(); c != (Counts{Received: uint64(got)}) {
			t.Errorf("counts %+v", c)
		}
		// After an overflow the socket must go on at once (NETLINK_NO_ENOBUFS).
		churn(t, testnet.Churn{NS: ns, Entries: 1, Keep: true})
		if drain(t, l, none) != 1 {
			t.Errorf("buffer %d: events are dropped after the queue was emptied", s.Buffer)
		}
	}
}

// TestNoENOBUFS looks at the option itself, and at its effect while the queue is
// full but not yet emptied.
func TestNoENOBUFS(t *testing.T) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: ReceiveSocket, Groups: ConntrackNew | ConntrackDestroy, Buffer: 8 << 10})
	on, err := unix.GetsockoptInt(l.fd, unix.SOL_NETLINK, unix.NETLINK_NO_ENOBUFS)
	if err != nil || on != 1 {
		t.Fatalf("NETLINK_NO_ENOBUFS is %d: %v", on, err)
	}
	churn(t, testnet.Churn{NS: ns, Entries: 100})
	before, err := l.Stats()
	if err != nil {
		t.Fatal(err)
	}
	// Make room for some, without emptying the queue.
	fd := l.fd
	for range 3 {
		if _, _, err := unix.Recvfrom(fd, make([]byte, 2048), unix.MSG_DONTWAIT); err != nil {
			t.Fatal(err)
		}
	}
	churn(t, testnet.Churn{NS: ns, Entries: 1, First: 1000})
	after, err := l.Stats()
	if err != nil || after.Drops != before.Drops {
		t.Errorf("a congested socket dropped %d events though it had room: %v", after.Drops-before.Drops, err)
	}
}

// TestReliable fills a tiny buffer with DESTROY events: none may be lost.
func TestReliable(t *testing.T) { both(t, testReliable) }

func testReliable(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackDestroy, Buffer: 64 << 10, Reliable: true})
	done := churn(t, testnet.Churn{NS: ns, Entries: 2000})
	seen := map[string]bool{}
	for end := time.Now().Add(10 * time.Second); len(seen) < done.Deleted && time.Now().Before(end); {
		if _, err := l.Wait(100 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
		drain(t, l, func(e *flow.Event) { seen[describeTuple(&e.Orig)] = true })
	}
	if s, err := l.Stats(); len(seen) != done.Deleted || err != nil || s.Drops == 0 {
		t.Errorf("%d of %d DESTROY events, %+v: %v", len(seen), done.Deleted, s, err)
	}
}

func TestGrow(t *testing.T) { both(t, testGrow) }

func testGrow(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew | ConntrackDestroy, Buffer: 64 << 10, MaxBuffer: 4 << 20})
	s, err := l.Stats()
	if err != nil || s.Buffer != 64<<10 {
		t.Fatalf("%+v: %v", s, err)
	}
	churn(t, testnet.Churn{NS: ns, Entries: 16}) // 32 events are more than half of 51
	if s, err = l.Stats(); err != nil || !plausible(s.Queued, 32, via) || s.Drops != 0 {
		t.Fatalf("before: %+v: %v", s, err)
	}
	for _, c := range []struct{ ask, want int }{{2 << 20, 2 << 20}, {1 << 20, 2 << 20}, {64 << 20, 4 << 20}} {
		if got, err := l.Grow(c.ask); err != nil || got != c.want {
			t.Errorf("grow to %d: %d, want %d: %v", c.ask, got, c.want, err)
		}
	}
	churn(t, testnet.Churn{NS: ns, Entries: 1000})
	s, err = l.Stats()
	if err != nil || !plausible(s.Queued, 2032, via) || s.Drops != 0 {
		t.Errorf("after: %+v: %v", s, err)
	}
	if got := drain(t, l, none); got != 2032 {
		t.Errorf("%d events", got)
	}
}

// plausible reports whether so many bytes are what so many events take: a socket
// charges all alike, in a ring each takes its own length.
func plausible(bytes uint64, events int, via Receive) bool {
	if via == ReceiveSocket {
		return bytes == uint64(events)*EventCost
	}
	return bytes >= uint64(events)*EventCost/2 && bytes <= uint64(events)*EventCost
}

func TestWideCounter(t *testing.T) {
	var c wideCounter
	for _, step := range []struct {
		now  uint32
		want uint64
	}{{0, 0}, {5, 5}, {5, 5}, {1<<32 - 1, 1<<32 - 1}, {0, 1 << 32}, {7, 1<<32 + 7}, {6, 2<<32 + 6}} {
		if got := c.add(step.now); got != step.want {
			t.Errorf("reading %d: %d, want %d", step.now, got, step.want)
		}
	}
}

// TestSplitDatagram reads datagrams of several messages, as no kernel sends them
// to an event socket, with a batch that is too small for one.
func TestSplitDatagram(t *testing.T) {
	three := append(append(good(), good()...), good()...)
	broken := append(append(good(), good()...), 1, 2, 3)
	l := &Listener{recv: &scripted{give: [][]datagram{{{data: three}, {data: broken}, {data: good()}}, {{data: good()}}}}}
	b := flow.NewBatch(2)
	var sizes, taken []int
	for range 3 {
		n, err := l.Read(b, eventSlots)
		if err != nil {
			t.Fatal(err)
		}
		sizes, taken = append(sizes, b.Len()), append(taken, n)
		b.Reset()
	}
	// 2 of three; 1 of three and 1 of broken; 1 of broken, which then is found
	// out, so that it is taken back, and the good one; the last, which comes
	// with another call to the receiver because the first filled all it has room for.
	if !slices.Equal(sizes, []int{2, 2, 2}) || !slices.Equal(taken, []int{1, 2, 3}) {
		t.Errorf("events %v, datagrams %v", sizes, taken)
	}
	if c := l.Counts(); c != (Counts{Received: 7, Malformed: 1}) {
		t.Errorf("%+v", c)
	}
	for range 2 {
		b.Next()
	}
	if _, err := l.Read(b, eventSlots); !errors.Is(err, errFull) {
		t.Errorf("a full batch: %v", err)
	}
}

// TestSmallBatch reads with fewer slots than there are datagrams: nothing is lost.
func TestSmallBatch(t *testing.T) { both(t, testSmallBatch) }

func testSmallBatch(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew | ConntrackDestroy, Buffer: 4 << 20})
	done := churn(t, testnet.Churn{NS: ns, Entries: 400})
	b := flow.NewBatch(7)
	events := 0
	for {
		n, err := l.Read(b, eventSlots)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		if n != b.Len() {
			t.Fatalf("%d datagrams, %d events", n, b.Len())
		}
		events += b.Len()
		b.Reset()
	}
	if events != done.Events() || l.Counts().Received != uint64(events) {
		t.Errorf("%d of %d events, %+v", events, done.Events(), l.Counts())
	}
}

// TestOthersMayAsk calls from several goroutines, while one reads, what any may
// call (see it under the race detector).
func TestOthersMayAsk(t *testing.T) { both(t, testOthersMayAsk) }

func testOthersMayAsk(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew | ConntrackDestroy, Buffer: 64 << 10, MaxBuffer: 8 << 20})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for size := range 3 {
		wg.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				s, err := l.Stats()
				_, grown := l.Grow(n * size << 16)
				if err != nil || grown != nil || l.Counts().Malformed != 0 || s.Buffer == 0 {
					t.Errorf("%+v: %v, %v", s, err, grown)
					return
				}
				l.Interrupt()
				time.Sleep(time.Millisecond)
			}
		})
	}
	done := churn(t, testnet.Churn{NS: ns, Entries: 3000})
	got := drain(t, l, none)
	if _, err := l.Wait(time.Second); err != nil {
		t.Error(err)
	}
	close(stop)
	wg.Wait()
	if s, err := l.Stats(); err != nil || uint64(got)+s.Drops != uint64(done.Events()) {
		t.Errorf("%d received, %d dropped of %d: %v", got, s.Drops, done.Events(), err)
	}
}

func TestClosed(t *testing.T) { both(t, testClosed) }

func testClosed(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Interrupt() // must not write to a descriptor that is no longer its own
	if _, err := l.Stats(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Stats: %v", err)
	}
	if _, err := l.Grow(1 << 20); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Grow: %v", err)
	}
	if err := l.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Close: %v", err)
	}
}
