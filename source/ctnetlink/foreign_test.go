package ctnetlink

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestForged sends a perfect event from a process: it must be refused, because
// only the kernel tells the truth about its table.
func TestForged(t *testing.T) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Groups: ConntrackNew})
	forged := good()
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, to := range []unix.SockaddrNetlink{{Pid: l.PortID()}, {Groups: uint32(ConntrackNew)}} {
			to.Family = unix.AF_NETLINK
			if err := unix.Sendto(fd, forged, 0, &to); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := drain(t, l, none); n != 0 {
		t.Errorf("%d forged events were believed", n)
	}
	if c := l.Counts(); c != (Counts{Received: 2, Foreign: 2}) {
		t.Errorf("%+v", c)
	}
}

// TestTruncated receives into slots that are too small for an event.
func TestTruncated(t *testing.T) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Groups: ConntrackNew | ConntrackDestroy})
	l.recv = newMmsg(l.recv.descriptor(), 4, 100)
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
	if n, err := l.Read(b); n != 1 || err != nil || b.Len() != 0 {
		t.Errorf("%d datagrams, %d events: %v", n, b.Len(), err)
	}
	if c := l.Counts(); c != (Counts{Received: 1, Malformed: 1}) {
		t.Errorf("%+v", c)
	}
}

// TestKernelReply makes the kernel answer on the event socket: an error message
// is no event.
func TestKernelReply(t *testing.T) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Groups: ConntrackNew})
	var w writer
	w.finish(w.begin(unix.NFNL_SUBSYS_CTNETLINK, 99, unix.NLM_F_ACK, 1, 0))
	if err := unix.Sendto(l.recv.descriptor(), w.b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	if n := drain(t, l, none); n != 0 {
		t.Errorf("%d events", n)
	}
	if c := l.Counts(); c != (Counts{Received: 1, Foreign: 1}) {
		t.Errorf("%+v", c)
	}
}
