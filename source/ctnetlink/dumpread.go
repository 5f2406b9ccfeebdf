package ctnetlink

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// The kernel makes a dump while it is read, so that reading is most of its time.
// It is done by a goroutine of its own, into aheadBuffers in turn, of aheadSlots
// datagrams each: 384 KiB a dump, whatever the table holds.
const (
	aheadBuffers = 3
	aheadSlots   = 4
	dyingSlots   = 12 // as much memory
)

// ahead reads a dump's datagrams before they are asked for, in their order.
type ahead struct {
	free chan receiver // buffers that may be filled; closed by the decoder
	full chan filled   // those that are; closed by the reader
}

// filled is what one read gave: no datagram where the kernel has none yet.
type filled struct {
	in  receiver
	got []datagram
	err error
}

// aheadOf makes the buffers. They share the socket, which stays its owner's.
//
// The list of the dying is read into one, alone: the kernel goes on in it from an
// entry that may be gone meanwhile, and then leaves out the rest
// (ctnetlink_dump_dying), so as little time as possible is to pass between its reads.
func aheadOf(fd int, dying bool) (buffers []*mmsg) {
	count, slots := aheadBuffers, aheadSlots
	if dying {
		count, slots = 1, dyingSlots
	}
	for range count {
		m := newMmsg(fd, slots, replySize)
		m.slow = true
		buffers = append(buffers, m)
	}
	return buffers
}

// dumpMemory is what a dump reads and decodes into.
type dumpMemory struct {
	receivers []*mmsg
	buffers   []receiver // the same
	batch     *flow.Batch
	dying     bool
}

// memory gives what a dump of that socket needs, perhaps that of one before.
func (c *Conn) memory(fd int, dying bool) *dumpMemory {
	c.mu.Lock()
	m := c.spare
	c.spare = nil
	c.mu.Unlock()
	if m == nil || m.dying != dying {
		m = &dumpMemory{receivers: aheadOf(fd, dying), batch: flow.NewBatch(dumpSlots), dying: dying}
		for _, r := range m.receivers {
			m.buffers = append(m.buffers, r)
		}
	}
	for _, r := range m.receivers {
		r.fd = fd
	}
	return m
}

// giveBack keeps a dump's memory for the next, if that is wanted. Nobody reads
// into it any more.
func (c *Conn) giveBack(m *dumpMemory) {
	if !c.keep {
		return
	}
	m.batch.Reset()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spare = m
}

func newAhead(buffers []receiver) *ahead {
	r := &ahead{free: make(chan receiver, len(buffers)), full: make(chan filled, len(buffers))}
	for _, b := range buffers {
		r.free <- b
	}
	return r
}

// run reads until ctx ends or free is closed. After a read that was not full it
// waits until all buffers are back: as a rule that was the dump's end, and the
// decoder knows.
func (r *ahead) run(ctx context.Context) {
	defer close(r.full)
	var mine []receiver
	for short := false; ; {
		for len(mine) == 0 || short && len(mine) < cap(r.free) {
			b, more := <-r.free
			if !more {
				return
			}
			mine = append(mine, b)
		}
		if ctx.Err() != nil {
			return
		}
		last := len(mine) - 1
		got, err := mine[last].next()
		r.full <- filled{mine[last], got, err}
		mine, short = mine[:last], len(got) < aheadSlots
	}
}

// follow decodes what is read ahead of it until the dump ends.
func (d *dump) follow(ctx context.Context, r *ahead, sock *requester, q *request) error {
	for f := range r.full {
		if ended, err := d.take(ctx, f, sock, q); ended {
			return err
		}
		r.free <- f.in
	}
	return d.broken(q, ctx.Err())
}

// alone reads and decodes in turn.
func (d *dump) alone(ctx context.Context, b receiver, sock *requester, q *request) error {
	for {
		got, err := b.next()
		if ended, err := d.take(ctx, filled{b, got, err}, sock, q); ended {
			return err
		}
	}
}

// take decodes what one read gave, and waits for the kernel where that was nothing.
func (d *dump) take(ctx context.Context, f filled, sock *requester, q *request) (ended bool, err error) {
	if err = f.err; err == nil && len(f.got) == 0 {
		err = sock.await()
	}
	if err != nil {
		return true, d.broken(q, err)
	}
	for i := range f.got {
		if err := ctx.Err(); err != nil {
			return true, d.broken(q, err)
		}
		if ended, err := d.datagram(sock, q, &f.got[i]); ended {
			return true, err
		}
	}
	return false, nil
}

// datagram decodes the rows of one datagram. ended: there is no more to come,
// because of the kernel's word or of an error.
func (d *dump) datagram(sock *requester, q *request, got *datagram) (ended bool, err error) {
	switch {
	case got.foreign:
		return false, nil
	case got.truncated:
		return true, d.broken(q, errTruncated)
	}
	for p := got.data; len(p) > 0; {
		m, rest, err := cutMessage(p)
		if err != nil {
			return true, d.broken(q, err)
		}
		p = rest
		if m.seq != sock.seq || m.pid != sock.portID {
			continue
		}
		d.interrupted = d.interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
		if m.kind == unix.NLMSG_ERROR || m.kind == unix.NLMSG_DONE {
			return true, d.end(q, q.verdict(&m))
		}
		if err := d.row(q, &m); err != nil {
			return true, err
		}
	}
	return false, nil
}
