package ctnetlink

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// dumpSlots is the size of the batches in which a dump is handed on.
const dumpSlots = 256

// Dump reads a table and calls fn with batches of its rows (TypeDump) as they
// come; the table is never held in memory. A batch is fn's until fn returns.
// Count is the number of rows handed to fn, also with an error. A dump is no
// snapshot: what changes under it may be missing or there twice, mostly
// without a [flow.ErrInterrupted]. ctx ends it between datagrams. The table is read
// some 1,300 rows ahead of fn, by a goroutine that has ended when Dump returns.
//
// A zeroing dump that ends with an error has set some counters to zero, those of
// rows that were read ahead too.
func (c *Conn) Dump(ctx context.Context, table flow.Table, o flow.DumpOptions, fn func(*flow.Batch) error) (count uint64, err error) {
	q, err := (*dumpOptions)(&o).request(table)
	if err != nil {
		return 0, err
	}
	sock, err := c.open(q)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, sock.close()) }()
	if err := sock.send(q); err != nil {
		return 0, err
	}
	d := dump{table: table, fn: fn, batch: flow.NewBatch(dumpSlots)}
	err = d.run(ctx, sock, q, aheadOf(sock.recv.descriptor()))
	return d.count, err
}

// open opens a socket for one dump.
func (c *Conn) open(q *request) (*requester, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sock == nil {
		return nil, q.fail(os.ErrClosed)
	}
	return newRequester(c.ns)
}

var errTable = errors.New("no such table")

// dump is a dump under way.
type dump struct {
	table       flow.Table
	fn          func(*flow.Batch) error
	batch       *flow.Batch
	dec         decoder
	count       uint64
	interrupted bool
}

// run has one goroutine read, and decodes in this one; both have ended when it
// returns.
func (d *dump) run(ctx context.Context, sock *requester, q *request, buffers []receiver) error {
	reading, stop := context.WithCancel(ctx)
	r := newAhead(buffers)
	defer func() {
		stop()
		close(r.free)
		for range r.full { // until the reader has ended
		}
	}()
	go r.run(reading)
	return d.follow(ctx, r, sock, q)
}

// broken hands on what was decoded before the dump broke off.
func (d *dump) broken(q *request, err error) error { return errors.Join(q.fail(err), d.flush()) }

// row decodes a row, after the batch is handed on if it is full.
func (d *dump) row(q *request, m *message) error {
	if m.subsystem() != q.subsystem || m.operation() != msgCtNew { // msgExpNew is the same
		return nil
	}
	if d.batch.Free() == 0 {
		if err := d.flush(); err != nil {
			return err
		}
	}
	if err := d.dec.entry(d.batch, m, d.table, flow.TypeDump); err != nil {
		return errors.Join(q.fail(err), d.flush())
	}
	return nil
}

// flush hands the batch on. What fn refuses does not count.
func (d *dump) flush() error {
	if d.batch.Len() == 0 {
		return nil
	}
	n := d.batch.Len()
	if err := d.fn(d.batch); err != nil {
		d.batch.Reset()
		return err
	}
	d.count += uint64(n)
	d.batch.Reset()
	return nil
}

func (d *dump) end(q *request, err error) error {
	if err == nil && d.interrupted {
		err = q.fail(flow.ErrInterrupted)
	}
	return errors.Join(err, d.flush())
}

// dumpOptions writes what narrows a dump.
type dumpOptions flow.DumpOptions

// request turns the options into a message.
func (o *dumpOptions) request(table flow.Table) (*request, error) {
	q := &request{op: "dump", subject: table.String(), flags: unix.NLM_F_DUMP, family: byte(o.Family), attrs: o.filter}
	switch table {
	case flow.TableConntrack:
		q.subsystem, q.operation = unix.NFNL_SUBSYS_CTNETLINK, o.operation()
	case flow.TableExpect:
		q.subsystem, q.operation = unix.NFNL_SUBSYS_CTNETLINK_EXP, msgExpGet
		if *o != (dumpOptions{Family: o.Family}) {
			return nil, q.fail(errors.New("the expect table has no option but the family"))
		}
	default:
		return nil, q.fail(errTable)
	}
	if q.operation == 0 {
		return nil, q.fail(errors.New("zero, dying and unconfirmed exclude one another"))
	}
	return q, nil
}

// operation is the message that asks for the dump, or 0 if the options
// contradict one another.
func (o *dumpOptions) operation() uint16 {
	switch [3]bool{o.Zero, o.Dying, o.Unconfirmed} {
	case [3]bool{}:
		return msgCtGet
	case [3]bool{0: true}:
		return msgCtGetCtrZero
	case [3]bool{1: true}:
		return msgCtGetDying
	case [3]bool{2: true}:
		return msgCtGetUnconfirm
	}
	return 0
}

func (o *dumpOptions) filter(w *writer) {
	if o.Mark != nil {
		w.put32(ctaMark, o.Mark.Value)
		w.put32(ctaMarkMask, o.Mark.Mask)
	}
	if o.Status != nil {
		w.put32(ctaStatus, o.Status.Value)
		w.put32(ctaStatusMask, o.Status.Mask)
	}
	if o.Zone != nil {
		w.put16(ctaZone, *o.Zone)
	}
}
