package ctnetlink

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Receive is the way by which events come from the kernel.
type Receive uint8

// The ways. Both keep a flow's order and an exact count of what is lost.
//
// The ring is an eBPF socket filter that copies each event into memory shared
// with the kernel, so that receiving takes no system call. It needs Linux 5.8
// (5.10 to grow) and CAP_BPF in the machine's first user namespace; on kernels
// before 5.11 also a RLIMIT_MEMLOCK that has room for it.
//
// The socket is the kernel's own queue, read with recvmmsg(2). It alone tells
// who sent a datagram: what a process has multicast to the groups, which needs
// CAP_NET_ADMIN over the namespace, is refused as foreign there, and looks like
// the kernel's in the ring.
const (
	ReceiveAuto   Receive = iota // the ring where it can be, else the socket
	ReceiveRing                  // the ring, or an error
	ReceiveSocket                // the socket
)

// receiveWords is by Receive.
func receiveWords() [3]string { return [3]string{"auto", "ring", "socket"} }

// String is the configuration's word.
func (r Receive) String() string {
	if words := receiveWords(); int(r) < len(words) {
		return words[r]
	}
	return fmt.Sprintf("Receive(%d)", uint8(r))
}

// ParseReceive is the inverse of String.
func ParseReceive(word string) (Receive, error) {
	for r, w := range receiveWords() {
		if w == word {
			return Receive(r), nil
		}
	}
	return 0, fmt.Errorf("%q is not known: expected auto, ring or socket", word)
}

// opened is an event socket with its receiver, which owns it.
type opened struct {
	socket
	recv receiver
	way  Receive
	why  error // that the ring could not be, where it was not demanded

	filters  bool  // the kernel runs the filter
	noFilter error // why it does not, where there is one to run
}

// open dials an event socket and gives it the receiver that is asked for.
func (c *Config) open(ns *os.File) (opened, error) {
	if c.Receive == ReceiveSocket {
		return c.openQueue(ns)
	}
	o, err := c.openRing(ns)
	if err == nil || c.Receive == ReceiveRing {
		return o, err
	}
	o, second := c.openQueue(ns)
	o.why = err
	return o, second
}

func (c *Config) openQueue(ns *os.File) (o opened, err error) {
	s, err := dial(ns, func(conn *netlink.Conn) error {
		return c.prepare(conn, func(fd int) (err error) {
			o.filters, o.noFilter, err = c.Filter.install(func(k *KernelFilter) error { return k.attach(fd) })
			return errors.Join(err, c.prepareBuffer(fd))
		})
	})
	if err != nil {
		return opened{}, err
	}
	o.socket, o.recv, o.way = s, newMmsg(s.fd, eventSlots, eventSlotSize), ReceiveSocket
	return o, nil
}

func (c *Config) openRing(ns *os.File) (opened, error) {
	if !mayLoad() {
		return opened{}, &Error{Op: "open", Subject: "receive ring", Err: ringNeeds(unix.EPERM)}
	}
	o := opened{way: ReceiveRing}
	var r *ring
	var err error
	o.filters, o.noFilter, err = c.Filter.install(func(k *KernelFilter) (err error) { // with it the program may be too much for the verifier
		r, err = newRing(c.Buffer, c.Reliable, k)
		return err
	})
	if err != nil {
		return opened{}, &Error{Op: "open", Subject: "receive ring", Err: ringNeeds(err)}
	}
	s, err := dial(ns, func(conn *netlink.Conn) error {
		return c.prepare(conn, func(fd int) error {
			if !c.Reliable {
				return r.attach(fd)
			}
			return errors.Join(plug(fd), r.attach(fd))
		})
	})
	if err != nil {
		return opened{}, errors.Join(err, r.close())
	}
	r.fd = s.fd
	o.socket, o.recv = s, r
	return o, nil
}

// mayLoad reports whether bpf(2) is worth a try. Where the process has not the
// right, a filter of system calls may kill it for asking.
func mayLoad() bool {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return true // the kernel says it itself
	}
	return data[unix.CAP_BPF/32].Effective&(1<<(unix.CAP_BPF%32)) != 0 || data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// errNoRing is the kernel's, when it has no ring buffers.
var errNoRing = errors.New("needs Linux 5.8 or later with CONFIG_BPF_SYSCALL")

// ringNeeds adds to an error what would help.
func ringNeeds(err error) error {
	switch {
	case errors.Is(err, unix.EPERM): // the library's own words for it mislead
		return fmt.Errorf("%w: needs CAP_BPF in the first user namespace, and before Linux 5.11 a larger RLIMIT_MEMLOCK", unix.EPERM)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("%w: %w", err, errNoRing)
	}
	return err
}
