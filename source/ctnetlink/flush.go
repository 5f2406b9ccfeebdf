package ctnetlink

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

var (
	errFamilyFlush = errors.New("family: expected IPv4, IPv6 or none")
	errMarkFlush   = errors.New("mark: expected a mask that selects something, and no bit of the value outside of it")
	errUnfiltered  = errors.New("the kernel does not say that it knows the filter, and would flush more: delete the entries one by one")
)

// Flush removes entries all at once. It does not tell how many.
//
// A kernel passes over a filter that it is too old for, and then a narrow flush
// empties the table. So each filter is tried with a dump first, and the error
// is unix.EOPNOTSUPP, with nothing removed, where it has no effect.
func (c *Conn) Flush(ctx context.Context, o flow.FlushOptions) error {
	f := (*flushOptions)(&o)
	q := &request{
		op: "flush", subject: "conntrack", subsystem: unix.NFNL_SUBSYS_CTNETLINK, operation: msgCtDelete,
		family: byte(o.Family), attrs: f.write,
	}
	if err := f.check(); err != nil {
		return q.fail(err)
	}
	for _, probe := range f.probes() {
		matches, err := c.probe(ctx, probe)
		if err != nil {
			return q.fail(err)
		}
		if !matches {
			return nil
		}
	}
	return c.do(ctx, q, nil)
}

// flushOptions writes what narrows a flush.
type flushOptions flow.FlushOptions

func (o *flushOptions) check() error {
	switch {
	case o.Family != flow.FamilyUnspecified && o.Family != flow.IPv4 && o.Family != flow.IPv6:
		return errFamilyFlush
	case o.Mark != nil && (o.Mark.Mask == 0 || o.Mark.Value&^o.Mark.Mask != 0):
		return errMarkFlush
	}
	return nil
}

func (o *flushOptions) write(w *writer) {
	d := DumpFilter{mark: o.Mark, zone: o.Zone}
	d.write(w)
}

// probes are dumps with one filter each, since the kernel does not say which of
// several it knows.
func (o *flushOptions) probes() (probes []flow.DumpOptions) {
	if o.Mark != nil {
		probes = append(probes, flow.DumpOptions{Mark: o.Mark})
	}
	if o.Zone != nil {
		probes = append(probes, flow.DumpOptions{Zone: o.Zone})
	}
	return probes
}

// probe reads the first row of a dump with one filter. A kernel that knows the
// filter says so in each row (NLM_F_DUMP_FILTERED); without a row there is
// nothing to flush, whether or not it does.
func (c *Conn) probe(ctx context.Context, o flow.DumpOptions) (matches bool, err error) {
	d := (*dumpOptions)(&o)
	q, err := d.request(flow.TableConntrack, d.told(DumpFilter{}))
	if err != nil {
		return false, err
	}
	sock, err := c.open(q)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, sock.close()) }()
	if err := sock.send(q); err != nil {
		return false, err
	}
	m, err := sock.receive(ctx, q)
	switch {
	case err != nil:
		return false, err
	case m.kind == unix.NLMSG_ERROR || m.kind == unix.NLMSG_DONE:
		return false, q.verdict(&m)
	case m.flags&unix.NLM_F_DUMP_FILTERED == 0:
		return false, errors.Join(unix.EOPNOTSUPP, errUnfiltered)
	}
	return true, nil
}
