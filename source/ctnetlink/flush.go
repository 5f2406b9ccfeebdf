package ctnetlink

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// FlushOptions narrows a flush of the conntrack table; the zero value empties
// it. An entry must match all that is given.
//
// There is none for addresses: the kernel's (CTA_FILTER) is inverted for IPv6,
// so a flush by it removes all the others.
type FlushOptions struct {
	Family flow.Family // 0 is both; a kernel from before nfgenmsg.version counted (the 4.x years) removes both whatever it is
	Mark   *Masked     // entries of which mark & Mask is Value; Mask must not be 0
	Zone   *uint16     // 0 is the default zone only
}

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
func (c *Conn) Flush(ctx context.Context, o FlushOptions) error {
	q := &request{
		op: "flush", subject: "conntrack", subsystem: unix.NFNL_SUBSYS_CTNETLINK, operation: msgCtDelete,
		family: byte(o.Family), attrs: o.write,
	}
	if err := o.check(); err != nil {
		return q.fail(err)
	}
	for _, probe := range o.probes() {
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

func (o *FlushOptions) check() error {
	switch {
	case o.Family != flow.FamilyUnspecified && o.Family != flow.IPv4 && o.Family != flow.IPv6:
		return errFamilyFlush
	case o.Mark != nil && (o.Mark.Mask == 0 || o.Mark.Value&^o.Mark.Mask != 0):
		return errMarkFlush
	}
	return nil
}

func (o *FlushOptions) write(w *writer) {
	d := DumpOptions{Mark: o.Mark, Zone: o.Zone}
	d.filter(w)
}

// probes are dumps with one filter each, since the kernel does not say which of
// several it knows.
func (o *FlushOptions) probes() (probes []DumpOptions) {
	if o.Mark != nil {
		probes = append(probes, DumpOptions{Mark: o.Mark})
	}
	if o.Zone != nil {
		probes = append(probes, DumpOptions{Zone: o.Zone})
	}
	return probes
}

// probe reads the first row of a dump with one filter. A kernel that knows the
// filter says so in each row (NLM_F_DUMP_FILTERED); without a row there is
// nothing to flush, whether or not it does.
func (c *Conn) probe(ctx context.Context, o DumpOptions) (matches bool, err error) {
	q, err := o.request(flow.TableConntrack)
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
