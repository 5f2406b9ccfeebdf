package ctnetlink

// receiver is the seam between the kernel and everything above: the next batch
// of raw datagrams. Only one goroutine calls next; the other methods may be
// called at the same time, but none after close.
type receiver interface {
	// next gives the datagrams that are waiting, at most as many as the receiver
	// has slots, and never waits for one; none is not an error. Fewer than the
	// slice has capacity for means that no more were waiting. They are valid until
	// the next call.
	next() ([]datagram, error)

	// descriptor is what poll(2) reports as readable when next would give
	// something. The reader asks for it before it waits: what next gave is not
	// valid any more.
	descriptor() int

	// stats tells how full the receiver is and how much the kernel has dropped.
	stats() (SocketStats, error)

	// grow raises the receive buffer to so many effective bytes, or as far as it
	// may, and tells the result. It never makes it smaller.
	grow(bytes int) (effective int, err error)

	close() error
}

// datagram is what the kernel sent with one skb.
type datagram struct {
	data      []byte
	truncated bool // it was longer than its slot, and the rest is lost
	foreign   bool // a process sent it, not the kernel
}

// SocketStats is the state of an event socket (SO_MEMINFO), or of the ring in
// its place. A ring's bytes are told fourfold: so many of a socket hold as many
// events (see [Config].Buffer).
type SocketStats struct {
	Queued uint64 // bytes of the receive buffer in use, as the kernel charges them
	Buffer uint64 // effective receive buffer, bytes
	Drops  uint64 // events that the kernel dropped since the socket was opened

	// Refused is how many events the kernel's part of the filter has refused. Only
	// the ring counts them: see [Listener.Filters].
	Refused uint64
}

// EventCost is what the kernel charges to the receive buffer for one event,
// whatever its kind: skb->truesize as measured on Linux 6.18, x86-64.
const EventCost = 1280
