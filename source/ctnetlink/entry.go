package ctnetlink

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// entryKey writes a key.
type entryKey flow.Key

// errKey is why a key was refused. A DELETE without a tuple would empty the
// whole table, and half a tuple names something else than it seems to.
var errKey = errors.New("key: expected both addresses, of one family, and the protocol")

// check refuses a key that the kernel would misread.
func (k *entryKey) check() error {
	if !k.Tuple.Got(flow.HasAddrs | flow.HasProto) {
		return errKey
	}
	if k.Tuple.Family != flow.IPv4 && k.Tuple.Family != flow.IPv6 {
		return errKey
	}
	return nil
}

func (k *entryKey) write(w *writer) {
	kind := uint16(ctaTupleOrig)
	if k.Reply {
		kind = ctaTupleReply
	}
	w.putTuple(kind, &k.Tuple)
	if k.Zone != 0 {
		w.put16(ctaZone, k.Zone)
	}
	if k.ID != nil {
		w.put32(ctaID, *k.ID)
	}
}

// request makes a request about the entry.
func (k *entryKey) request(op string, operation uint16) (*request, error) {
	q := &request{
		op: op, subject: "conntrack entry", subsystem: unix.NFNL_SUBSYS_CTNETLINK, operation: operation,
		family: byte(k.Tuple.Family), attrs: k.write,
	}
	if err := k.check(); err != nil {
		return nil, q.fail(err)
	}
	return q, nil
}

// GetZero is Get, and sets the entry's counters to zero as it reads them. The
// kernel does not compare ids here either: an entry that came into the tuple's
// place meanwhile has lost its counters when the error says so.
func (c *Conn) GetZero(ctx context.Context, k flow.Key, b *flow.Batch) error {
	return c.getBy(ctx, k, msgCtGetCtrZero, b)
}

// Get reads one entry into the next slot of b (TypeDump), which must have one.
// The error is unix.ENOENT when there is no such entry.
func (c *Conn) Get(ctx context.Context, k flow.Key, b *flow.Batch) error {
	return c.getBy(ctx, k, msgCtGet, b)
}

func (c *Conn) getBy(ctx context.Context, k flow.Key, operation uint16, b *flow.Batch) error {
	q, err := (*entryKey)(&k).request("get", operation)
	if err != nil {
		return err
	}
	if err := c.get(ctx, q, flow.TableConntrack, b); err != nil {
		return err
	}
	// The kernel compares ids when it deletes, but not when it reads.
	if e := &b.Events()[b.Len()-1]; k.ID != nil && e.ID != *k.ID {
		b.Undo()
		return q.fail(unix.ENOENT)
	}
	return nil
}

// get makes a request for one row. Both tables' rows come as NEW messages, 0.
func (c *Conn) get(ctx context.Context, q *request, table flow.Table, b *flow.Batch) error {
	if b.Free() == 0 {
		return q.fail(errFull)
	}
	found := false
	err := c.do(ctx, q, func(m *message) error {
		if found || m.operation() != msgCtNew {
			return nil
		}
		found = true
		return c.dec.entry(b, m, table, flow.TypeDump)
	})
	if err == nil && !found {
		return q.fail(unix.ENOENT)
	}
	return err
}

// Delete removes one entry. The error is unix.ENOENT when there is no such entry.
func (c *Conn) Delete(ctx context.Context, k flow.Key) error {
	q, err := (*entryKey)(&k).request("delete", msgCtDelete)
	if err != nil {
		return err
	}
	return c.do(ctx, q, nil)
}
