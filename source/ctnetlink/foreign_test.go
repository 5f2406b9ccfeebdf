package ctnetlink

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestForged sends a perfect event from a process: it must be refused, because
// only the kernel tells the truth about its table. What is sent to the socket's
// port comes back to the sender; what is sent to a group the queue tells from
// the kernel's, and the ring cannot (see [ReceiveRing]).
func TestForged(t *testing.T) { both(t, testForged) }

func testForged(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew})
	err := sendTo(t, ns, good(), unix.SockaddrNetlink{Pid: l.PortID()})
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("to the port: %v", err)
	}
	if n := drain(t, l, none); n != 0 || l.Counts() != (Counts{}) {
		t.Errorf("to the port: %d events, %+v", n, l.Counts())
	}
	if err := sendTo(t, ns, good(), unix.SockaddrNetlink{Groups: uint32(ConntrackNew)}); err != nil {
		t.Fatal(err)
	}
	wantEvents, want := 0, Counts{Received: 1, Foreign: 1}
	if via == ReceiveRing {
		wantEvents, want = 1, Counts{Received: 1}
	}
	if n := drain(t, l, none); n != wantEvents || l.Counts() != want {
		t.Errorf("to the group: %d events, %+v", n, l.Counts())
	}
}

// sendTo sends a datagram from a socket of its own in the namespace.
func sendTo(t *testing.T, ns *testnet.Namespace, p []byte, to unix.SockaddrNetlink) error {
	t.Helper()
	to.Family = unix.AF_NETLINK
	return ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, p, 0, &to)
	})
}

// TestTruncated receives into slots that are too small for an event.
func TestTruncated(t *testing.T) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: ReceiveSocket, Groups: ConntrackNew | ConntrackDestroy})
	l.recv = newMmsg(l.fd, 4, 100)
	churn(t, testnet.Churn{NS: ns, Entries: 3})
	if n := drain(t, l, none); n != 0 {
		t.Errorf("%d events were made of truncated datagrams", n)
	}
	if c := l.Counts(); c != (Counts{Received: 6, Malformed: 6}) {
		t.Errorf("%+v", c)
	}
}

// TestTruncatedAtMessageEnd cuts a datagram where a message ends: what is left
// looks whole, and is not.
func TestTruncatedAtMessageEnd(t *testing.T) {
	l := &Listener{recv: &scripted{give: [][]datagram{{{data: good(), truncated: true}}}}}
	b := flow.NewBatch(4)
	if n, err := l.Read(b, eventSlots); n != 1 || err != nil || b.Len() != 0 {
		t.Errorf("%d datagrams, %d events: %v", n, b.Len(), err)
	}
	if c := l.Counts(); c != (Counts{Received: 1, Malformed: 1}) {
		t.Errorf("%+v", c)
	}
}

// TestKernelReply makes the kernel answer on the event socket: an error message
// is no event.
func TestKernelReply(t *testing.T) { both(t, testKernelReply) }

func testKernelReply(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew})
	var w writer
	w.finish(w.begin(unix.NFNL_SUBSYS_CTNETLINK, 99, unix.NLM_F_ACK, 1, 0))
	if err := unix.Sendto(l.fd, w.b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	if n := drain(t, l, none); n != 0 {
		t.Errorf("%d events", n)
	}
	if c := l.Counts(); c != (Counts{Received: 1, Foreign: 1}) {
		t.Errorf("%+v", c)
	}
}
