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
// some 1,300 rows ahead of fn, by a goroutine that has ended when Dump returns. By
// o.Only it may be read in two passes: then IPv4's rows come first.
//
// A zeroing dump that ends with an error has set some counters to zero, those of
// rows that were read ahead too.
func (c *Conn) Dump(ctx context.Context, table flow.Table, o flow.DumpOptions, fn func(*flow.Batch) error) (count uint64, err error) {
	passes, err := (*dumpOptions)(&o).requests(table)
	if err != nil {
		return 0, err
	}
	sock, err := c.open(passes[0].request)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, sock.close()) }()
	m := c.memory(sock.recv.descriptor(), o.Dying)
	defer c.giveBack(m)
	d := dump{table: table, fn: fn, batch: m.batch}
	buffers := m.buffers
	var interrupted error
	for _, p := range passes {
		if err := d.pass(ctx, sock, p, buffers); err != nil {
			if d.stopped || !errors.Is(err, flow.ErrInterrupted) {
				return d.count, err
			}
			interrupted = err // the dump went on to its end, and so do the others
		}
	}
	return d.count, interrupted
}

// open opens a socket for one dump.
func (c *Conn) open(q *request) (*requester, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sock == nil {
		return nil, q.fail(os.ErrClosed)
	}
	return newRequester(c.ns, 1)
}

// errNoSupport is the kernel's own ENOTSUPP, which some of its functions let out.
const errNoSupport = unix.Errno(524)

// dump is a dump under way.
type dump struct {
	table       flow.Table
	fn          func(*flow.Batch) error
	batch       *flow.Batch
	dec         decoder
	count       uint64
	interrupted bool
	began       bool // the kernel has given a row
	refused     bool // it does not take the request's filters
	stopped     bool // fn wants no more
}

// pass is one request and what comes of it; a kernel that refuses what narrows it
// is asked again without.
func (d *dump) pass(ctx context.Context, sock *requester, p dumpPass, buffers []receiver) error {
	d.began, d.refused, d.interrupted = false, false, false
	err := d.ask(ctx, sock, p.request, buffers)
	if d.refused && p.plain != nil {
		return d.ask(ctx, sock, p.plain, buffers)
	}
	return err
}

func (d *dump) ask(ctx context.Context, sock *requester, q *request, buffers []receiver) error {
	if err := sock.send(q); err != nil {
		return err
	}
	return d.run(ctx, sock, q, buffers)
}

// run has one goroutine read, and decodes in this one; both have ended when it
// returns. With one buffer there is nothing to do at once; nor is there where the
// first read has all.
func (d *dump) run(ctx context.Context, sock *requester, q *request, buffers []receiver) error {
	if len(buffers) == 1 {
		return d.alone(ctx, buffers[0], sock, q)
	}
	got, err := buffers[0].next()
	if ended, err := d.take(ctx, filled{buffers[0], got, err}, sock, q); ended {
		return err
	}
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
	d.began = true
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
		d.stopped = true
		d.batch.Reset()
		return err
	}
	d.count += uint64(n)
	d.batch.Reset()
	return nil
}

func (d *dump) end(q *request, err error) error {
	d.refused = !d.began && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, errNoSupport))
	if err == nil && d.interrupted {
		err = q.fail(flow.ErrInterrupted)
	}
	return errors.Join(err, d.flush())
}
